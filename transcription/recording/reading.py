"""A session's audio read from its parts, what nobody wrote filled with silence."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from transcription.audio.formats import AudioFormat, Encoding
from transcription.recording.parts import Part
from transcription.recording.plan import plan

BLOCK_BYTES = 64 * 1024
# Codes of the smallest sample. Source: ITU-T G.711.
SILENT_BYTES = {Encoding.LINEAR_PCM: b"\x00", Encoding.MULAW: b"\xff", Encoding.ALAW: b"\xd5"}


def read(parts: Sequence[Part], audio_format: AudioFormat, first: int, last: int) -> Iterator[bytes]:
    """The bytes [first, last), a block at a time; a part that is shorter than it was ends in silence.

    Raises OSError.
    """
    silent = SILENT_BYTES.get(audio_format.encoding, b"")
    for part, start, end in plan(parts, first=first, last=last):
        if part is not None:
            start = yield from _read_part(part, start, end)
        while silent and start < end:
            size = min(BLOCK_BYTES, end - start)
            yield silent * size
            start += size


def _read_part(part: Part, start: int, end: int) -> Generator[bytes, None, int]:
    """Returns the position up to which there was something."""
    with open(part.path, "rb") as file:
        file.seek(start - part.start)
        while start < end and (block := file.read(min(BLOCK_BYTES, end - start))):
            yield block
            start += len(block)
    return start
