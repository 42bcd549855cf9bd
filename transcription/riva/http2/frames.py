"""Frames of HTTP/2 (RFC 9113) and of gRPC in them, as bytes. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

SETTING_HEADER_TABLE_SIZE = 0x1
SETTING_ENABLE_PUSH = 0x2
SETTING_MAX_CONCURRENT_STREAMS = 0x3
SETTING_INITIAL_WINDOW_SIZE = 0x4
SETTING_MAX_HEADER_LIST_SIZE = 0x6

# What every peer takes, and all that we take, unasked.
MAX_FRAME_BYTES = 16_384
DEFAULT_WINDOW_BYTES = 65_535
MAX_WINDOW_BYTES = 2**31 - 1
MAX_STREAM_ID = 2**31 - 1
STREAM_ID_MASK = 0x7FFF_FFFF

# length (its upper two bytes and its lowest), type, flags, stream
FRAME_HEAD = struct.Struct(">HBBBI")
FRAME_HEAD_BYTES = FRAME_HEAD.size
# of a gRPC message: whether it is compressed, length
MESSAGE_HEAD = struct.Struct(">BI")
MESSAGE_HEAD_BYTES = MESSAGE_HEAD.size
# Both, for a message that fits into one frame.
_FRAMED_MESSAGE_HEAD = struct.Struct(">HBBBIBI")
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")
_GOAWAY = struct.Struct(">II")
PRIORITY_BYTES = 5


class ErrorCode(IntEnum):
    """Why a stream or a connection was ended (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ProtocolError(Exception):
    """The peer broke the rules. code: what it is told."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def name_of(error_code: int) -> str:
    """The name of an error code, or the number of one that has none."""
    try:
        return ErrorCode(error_code).name
    except ValueError:
        return f"0x{error_code:x}"


# What we send


def build_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def build_framed_message(stream_id: int, message: bytes) -> bytes:
    """A gRPC message in a DATA frame of its own; with its head it must not be over MAX_FRAME_BYTES."""
    length = len(message)
    size = length + MESSAGE_HEAD_BYTES
    return _FRAMED_MESSAGE_HEAD.pack(size >> 8, size & 0xFF, DATA, 0, stream_id, 0, length) + message


def build_message(message: bytes) -> bytes:
    """A gRPC message with its head, to be cut into DATA frames."""
    return MESSAGE_HEAD.pack(0, len(message)) + message


def build_settings(settings: dict[int, int]) -> bytes:
    return build_frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in settings.items()))


def build_headers(stream_id: int, block: bytes) -> bytes:
    """A header block in as many frames as it needs."""
    pieces = [block[at : at + MAX_FRAME_BYTES] for at in range(0, len(block), MAX_FRAME_BYTES)]
    last = len(pieces) - 1
    return b"".join(
        build_frame(CONTINUATION if index else HEADERS, END_HEADERS if index == last else 0, stream_id, piece)
        for index, piece in enumerate(pieces)
    )


def build_reset(stream_id: int, code: ErrorCode) -> bytes:
    return build_frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))


def build_window_update(stream_id: int, increment_bytes: int) -> bytes:
    return build_frame(WINDOW_UPDATE, 0, stream_id, _NUMBER.pack(increment_bytes))


def build_goaway(code: ErrorCode) -> bytes:
    return build_frame(GOAWAY, 0, 0, _GOAWAY.pack(0, code))


# What we are sent


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Raises ProtocolError for a length that is no multiple of a setting's."""
    if len(payload) % _SETTING.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
    return _SETTING.iter_unpack(payload)


def read_number(payload: bytes) -> int:
    """The error code of RST_STREAM, the increment of WINDOW_UPDATE."""
    if len(payload) != _NUMBER.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a frame of a wrong length")
    number: int = _NUMBER.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, str]:
    """The last stream that was taken, the error code, and what the peer says of it."""
    if len(payload) < _GOAWAY.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of a wrong length")
    last_stream_id, code = _GOAWAY.unpack_from(payload)
    return last_stream_id & STREAM_ID_MASK, code, payload[_GOAWAY.size :].decode(errors="replace")


def without_padding(flags: int, payload: bytes, *, skipped_bytes: int = 0) -> bytes:
    """The content of DATA and HEADERS. skipped_bytes: what precedes it, after the length of the padding."""
    padding_bytes = 0
    if flags & PADDED:
        if not payload:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without a length")
        padding_bytes = payload[0]
        skipped_bytes += 1
    end = len(payload) - padding_bytes
    if end < skipped_bytes:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "more padding than frame")
    return payload[skipped_bytes:end]
