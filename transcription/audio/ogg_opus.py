"""Writes Opus packets as an Ogg stream (RFC 3533, RFC 7845). Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence

OPUS_RATE_HZ = 48_000
SERIAL = 1
FIRST_PAGE = 2
MAX_PAGE_SEGMENTS = 255
SEGMENT_BYTES = 255
TAGS = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
# Of one frame in samples, by the upper bits of a packet's first byte (RFC 6716, section 3.1).
FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
CRC_POLYNOMIAL = 0x04C11DB7


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (CRC_POLYNOMIAL if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


class OggOpusWriter:
    """Pages as packets come: `begin` first, then `pages` any number of times."""

    def __init__(self) -> None:
        self._number = 0
        self._samples = 0

    def begin(self, head: bytes) -> bytes:
        """head: the OpusHead packet."""
        return self._page([head], FIRST_PAGE) + self._page([TAGS], 0)

    def pages(self, packets: Sequence[bytes]) -> bytes:
        pages, segments = b"", 0
        waiting: list[bytes] = []
        for packet in packets:
            wanted = len(packet) // SEGMENT_BYTES + 1
            if waiting and segments + wanted > MAX_PAGE_SEGMENTS:
                pages += self._page(waiting, 0)
                waiting, segments = [], 0
            waiting.append(packet)
            segments += wanted
            self._samples += packet_samples(packet)
        return pages + self._page(waiting, 0) if waiting else pages

    def _page(self, packets: Sequence[bytes], flags: int) -> bytes:
        lacing = b"".join(_lacing(len(packet)) for packet in packets)
        head = struct.pack("<4sBBqIII", b"OggS", 0, flags, self._samples, SERIAL, self._number, 0)
        self._number += 1
        page = bytearray(head + bytes([len(lacing)]) + lacing + b"".join(packets))
        crc = 0
        for byte in page:
            crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
        page[22:26] = struct.pack("<I", crc)
        return bytes(page)


def packet_samples(packet: bytes) -> int:
    """How long a packet sounds, in samples at 48 kHz; 0 for one that is no packet."""
    if not packet:
        return 0
    # 0: one frame, 1 and 2: two of them, 3: the second byte says how many.
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[packet[0] & 3]
    return FRAME_SAMPLES[packet[0] >> 3] * frames


def _lacing(size: int) -> bytes:
    return bytes([SEGMENT_BYTES]) * (size // SEGMENT_BYTES) + bytes([size % SEGMENT_BYTES])
