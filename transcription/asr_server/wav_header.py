"""The header of a RIFF/WAVE file, read from bytes that arrive in pieces of any size."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .errors import RequestError

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
# Chunks before the sound (LIST, bext, JUNK) that a sane file has room in.
MAX_HEADER_BYTES = 1 << 18
# Recorders that write to a pipe leave these in place of the size they do not know yet.
UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF)


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the header says. data_bytes is None where the header does not know."""

    tag: int
    channels: int
    sample_rate_hz: int
    bits: int
    data_bytes: int | None


def could_be_wav(head: bytes) -> bool:
    """True while the bytes seen so far may be the beginning of a RIFF/WAVE file."""
    pattern = b"RIFF....WAVE"
    return all(p == ord(".") or p == b for p, b in zip(pattern, head, strict=False))


def parse_wav_header(head: bytes) -> tuple[WavFormat, int] | None:
    """The format and the offset of the first sound byte; None while bytes are missing.

    Raises RequestError (field `audio_content`) if this is no WAV file that can be read.
    """
    if len(head) < 12:
        return None
    found: tuple[int, int, int, int] | None = None
    at = 12
    while len(head) >= at + 8:
        name, size = struct.unpack_from("<4sI", head, at)
        if name == b"data":
            if found is None:
                raise RequestError("audio_content", "the WAV header has no format before its data")
            return WavFormat(*found, None if size in UNKNOWN_SIZES else size), at + 8
        if name == b"fmt ":
            if len(head) < at + 8 + min(size, 26):
                return None
            found = _parse_format(head[at + 8 : at + 8 + size])
        at += 8 + size + (size & 1)
        if at > MAX_HEADER_BYTES:
            raise RequestError("audio_content", "the WAV header has no sound in its first 256 KiB")
    return None


def _parse_format(body: bytes) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise RequestError("audio_content", "the format in the WAV header is too short")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack_from("<H", body, 24)[0]
    return tag, channels, rate, bits
