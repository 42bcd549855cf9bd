"""WebSocket frames (RFC 6455, section 5): bytes in, messages and control frames out. No I/O, no extensions."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = MASKED = 0x80
CONTROL, OPCODE = 0x08, 0x0F
# What a frame may begin with: no reserved bit, no unknown opcode, no fragmented control frame.
FIRST_BYTES = frozenset(
    {CONTINUATION, TEXT, BINARY, FIN | CONTINUATION, FIN | TEXT, FIN | BINARY, FIN | CLOSE, FIN | PING, FIN | PONG}
)
MASK_BYTES = 4
MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2

# Sizes that stand for one of so many bytes that follows.
SIZE_16_BITS, SIZE_64_BITS = 126, 127
SIZE_BYTES = {SIZE_16_BITS: 2, SIZE_64_BITS: 8}
HEAD_16_BITS, HEAD_64_BITS = struct.Struct("!BBH"), struct.Struct("!BBQ")

NO_CODE = 1005
ABNORMAL = 1006
PROTOCOL_ERROR = 1002
BAD_TEXT = 1007
TOO_BIG = 1009

# TEXT with a str, BINARY, PING or PONG with bytes, CLOSE with (code, reason).
Event = tuple[int, Any]
Data = bytes | bytearray


class ProtocolError(Exception):
    """The client broke the protocol: what it sends cannot be read on. Close with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def xor_mask(data: Data, mask: Data) -> bytes:
    """Mask or unmask data with four bytes (section 5.3)."""
    size = len(data)
    repeated = (mask * (size // MASK_BYTES + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


apply_mask: Callable[[Data, Data], bytes]
try:
    # The same in C, of a package that uvicorn brings along.
    from websockets import speedups
except ImportError:
    apply_mask = xor_mask
else:
    apply_mask = cast("Callable[[Data, Data], bytes]", speedups.apply_mask)


class FrameReader:
    """What one client sends: `feed` bytes as they come, then take `next` until it is None.

    max_size_bytes: of one message, all its fragments together. What is kept is never more than that, and what was fed
    and not taken.
    """

    __slots__ = ("_data", "_fragments", "_max_size_bytes", "_opcode", "_start")

    def __init__(self, max_size_bytes: int) -> None:
        self._max_size_bytes = max_size_bytes
        # Fed, of which everything from _start on has not been taken.
        self._data: Data = b""
        self._start = 0
        # The fragmented message under way. Joined at once: a list of empty fragments would grow without bound.
        self._fragments: bytearray | None = None
        self._opcode = CONTINUATION

    @property
    def waiting_bytes(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        if not self._data:
            self._data = data
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        self._data += data

    def next(self) -> Event | None:
        """The next complete message or control frame, or None until more is fed.

        Raises ProtocolError; nothing may be taken after it.
        """
        while len(self._data) - self._start >= 2:
            data, start = self._data, self._start
            first, size = data[start], data[start + 1]
            if first not in FIRST_BYTES:
                raise ProtocolError(PROTOCOL_ERROR, "unknown frame")
            if size < MASKED:
                raise ProtocolError(PROTOCOL_ERROR, "frame without a mask")
            size -= MASKED
            room = self._max_size_bytes
            if first & CONTROL:
                if size > MAX_CONTROL_BYTES:
                    raise ProtocolError(PROTOCOL_ERROR, "control frame too long")
            elif self._fragments is None:
                if first & OPCODE == CONTINUATION:
                    raise ProtocolError(PROTOCOL_ERROR, "nothing to continue")
            else:
                room -= len(self._fragments)
                if first & OPCODE != CONTINUATION:
                    raise ProtocolError(PROTOCOL_ERROR, "another message is not finished")
            size_at = start + 2
            mask_at = size_at + SIZE_BYTES.get(size, 0)
            payload_at = mask_at + MASK_BYTES
            if payload_at > len(data):
                break
            if mask_at > size_at:
                size = int.from_bytes(data[size_at:mask_at])
            if size > room and not first & CONTROL:
                raise ProtocolError(TOO_BIG, "message too big")
            end = payload_at + size
            if end > len(data):
                break

            # A slice and not a view: for the sizes of audio messages the copy is cheaper than the view.
            payload = apply_mask(data[payload_at:end], data[mask_at:payload_at])
            self._start = end
            event = self._complete(first, payload)
            if event is not None:
                if end == len(data):
                    self._data, self._start = b"", 0
                return event
        # Let go of what was taken. This copies a part of the latest feed, however often a frame is continued.
        if self._start:
            self._data, self._start = self._data[self._start :], 0
        return None

    def _complete(self, first: int, payload: bytes) -> Event | None:
        """What the application or the connection hears of a frame; None of a fragment that is not the last."""
        if first == FIN | BINARY:
            return BINARY, payload
        if first == FIN | TEXT:
            return TEXT, decode(payload)
        if first == FIN | CLOSE:
            return CLOSE, parse_close(payload)
        if first & CONTROL:
            return first & OPCODE, payload
        if self._fragments is None:
            self._opcode, self._fragments = first & OPCODE, bytearray()
        self._fragments += payload
        if not first & FIN:
            return None
        whole, self._fragments = bytes(self._fragments), None
        return (TEXT, decode(whole)) if self._opcode == TEXT else (BINARY, whole)


def decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ProtocolError(BAD_TEXT, "text is not UTF-8") from None


def parse_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; (1005, "") of an empty one. Raises ProtocolError."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not may_be_sent(code):
        raise ProtocolError(PROTOCOL_ERROR, "bad close code")
    return code, decode(payload[2:])


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry it (section 7.4 and IANA's registry: 1004 to 1006 and 1015 may not)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def build_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame as servers send it, unmasked."""
    size = len(payload)
    if size < SIZE_16_BITS:
        return bytes((FIN | opcode, size)) + payload
    if size < 1 << 16:
        return HEAD_16_BITS.pack(FIN | opcode, SIZE_16_BITS, size) + payload
    return HEAD_64_BITS.pack(FIN | opcode, SIZE_64_BITS, size) + payload


def build_close(code: int, reason: str = "") -> bytes:
    """A close frame. 1005 makes an empty one; a long reason is cut. Raises ValueError for a code of no frame."""
    if code == NO_CODE:
        return build_frame(CLOSE, b"")
    if not may_be_sent(code):
        raise ValueError(f"{code} cannot be sent as a close code")
    whole_characters = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
    return build_frame(CLOSE, code.to_bytes(2) + whole_characters)
