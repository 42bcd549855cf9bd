"""Reads WebM as browsers record it, and gives its Opus audio as Ogg, which recognisers understand. Pure.

Elements of EBML (RFC 8794) are read as one flat row: of those that hold others only the head is taken, so that a
Segment or Cluster whose size is not known yet, as in every live recording, needs no care.
"""

from __future__ import annotations

from transcription.audio.ogg_opus import OggOpusWriter
from transcription.errors import BadAudio

WEBM_MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT, CLUSTER, TRACKS, TRACK_ENTRY, BLOCK_GROUP = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xA0
HOLDERS = (SEGMENT, CLUSTER, TRACKS, TRACK_ENTRY, BLOCK_GROUP)
TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE, SIMPLE_BLOCK, BLOCK = 0xD7, 0x86, 0x63A2, 0xA3, 0xA1
WANTED = (TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE, SIMPLE_BLOCK, BLOCK)
OPUS = b"A_OPUS"
LACING = 0x06
MAX_ID_BYTES, MAX_SIZE_BYTES = 4, 8
# Video beside the audio may have large blocks; of an element that is read no more is held.
MAX_ELEMENT_BYTES = 4 * 1024 * 1024


class WebmOpus:
    """Bytes of one WebM in, Ogg pages of its first Opus track out."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._to_skip = 0
        self._tracks: list[dict[int, bytes]] = []
        self._number: int | None = None
        self._writer = OggOpusWriter()

    def feed(self, data: bytes) -> bytes:
        """Raises BadAudio for what is no WebM, or has no Opus in it."""
        self._held += data
        pages, packets = b"", []
        while (element := self._take()) is not None:
            kind, content = element
            if kind == TRACK_ENTRY:
                self._tracks.append({})
            elif kind in (TRACK_NUMBER, CODEC_ID, CODEC_PRIVATE) and self._tracks:
                self._tracks[-1][kind] = content
            elif kind == CLUSTER and self._number is None:
                pages += self._begin()
            elif kind in (SIMPLE_BLOCK, BLOCK) and (packet := self._packet(content)):
                packets.append(packet)
        return pages + self._writer.pages(packets)

    def _take(self) -> tuple[int, bytes] | None:
        """The next element that matters; None while bytes are missing."""
        while True:
            skipped = min(self._to_skip, len(self._held))
            del self._held[:skipped]
            self._to_skip -= skipped
            head = None if self._to_skip else self._head()
            if head is None:
                return None
            kind, size, head_bytes = head
            if kind in HOLDERS:
                del self._held[:head_bytes]
                return kind, b""
            if size is None or (kind in WANTED and size > MAX_ELEMENT_BYTES):
                raise BadAudio("The audio begins as WebM does, but cannot be read as such.")
            if kind not in WANTED:
                self._to_skip = head_bytes + size
                continue
            if len(self._held) < head_bytes + size:
                return None
            content = bytes(self._held[head_bytes : head_bytes + size])
            del self._held[: head_bytes + size]
            return kind, content

    def _head(self) -> tuple[int, int | None, int] | None:
        """An element's kind, its size (None: not known yet) and the bytes they take."""
        kind = _number(self._held, 0, MAX_ID_BYTES, keeps_marker=True)
        size = _number(self._held, kind[1], MAX_SIZE_BYTES) if kind is not None else None
        if kind is None or size is None:
            return None
        is_unknown = size[0] == (1 << 7 * (size[1] - kind[1])) - 1
        return kind[0], None if is_unknown else size[0], size[1]

    def _begin(self) -> bytes:
        for track in self._tracks:
            if track.get(CODEC_ID, b"").rstrip(b"\0") == OPUS and track.get(CODEC_PRIVATE, b"").startswith(b"OpusHead"):
                self._number = int.from_bytes(track.get(TRACK_NUMBER, b"\1"), "big")
                return self._writer.begin(track[CODEC_PRIVATE])
        raise BadAudio("The WebM has no Opus audio in it.")

    def _packet(self, block: bytes) -> bytes:
        """What a block of our track holds; nothing of another one."""
        number = _number(block, 0, MAX_SIZE_BYTES)
        # Behind the track's number come two bytes of time and one of flags.
        if number is None or number[0] != self._number or len(block) < number[1] + 3:
            return b""
        if block[number[1] + 2] & LACING:
            raise BadAudio("The WebM has several packets in one block, which is not served.")
        return block[number[1] + 3 :]


def _number(data: bytes | bytearray, at: int, most: int, *, keeps_marker: bool = False) -> tuple[int, int] | None:
    """A number of EBML's variable length and where it ends; None while bytes are missing. Raises BadAudio."""
    if at >= len(data):
        return None
    length = 9 - data[at].bit_length()
    if length > most:
        raise BadAudio("The audio begins as WebM does, but cannot be read as such.")
    if at + length > len(data):
        return None
    value = int.from_bytes(data[at : at + length], "big")
    return value if keeps_marker else value & (1 << 7 * length) - 1, at + length
