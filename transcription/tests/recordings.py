"""First bytes of recordings as other programs write them."""

from __future__ import annotations

import struct

SUBTYPE_GUID = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
MPEG_FRAME = b"\xff\xfb\x90\x00".ljust(417, b"\x55")  # 128 kbit/s, 44.1 kHz


def wav(
    audio: bytes,
    *,
    rate_hz: int = 16000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    before_data: bytes = b"",
    extensible: bool = False,
) -> bytes:
    """A RIFF WAVE file. before_data: whole chunks between `fmt ` and `data`."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate_hz, rate_hz * block, block, bits)
    if extensible:
        fmt += struct.pack("<HHIH", 22, bits, 3, tag) + SUBTYPE_GUID
    body = b"WAVE" + chunk(b"fmt ", fmt) + before_data + chunk(b"data", audio)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


CONTAINERS = {
    "WebM": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04",
    "Ogg": b"OggS\x00\x02" + bytes(20),
    "FLAC": b"fLaC\x00\x00\x00\x22" + bytes(34),
    "MP3": b"ID3\x04\x00\x00\x00\x00\x00\x00" + MPEG_FRAME,
    "MP3 without tags": MPEG_FRAME * 3,
    "MP4": b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00",
    "AIFF": b"FORM\x00\x00\x10\x00AIFFCOMM",
    "CAF": b"caff\x00\x01\x00\x00desc" + bytes(8),
}
