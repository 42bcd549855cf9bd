"""Which words that were cut off by a lost connection stand for good when its client comes back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from transcription.audio.formats import AudioFormat


def kept_tails(
    ends_ms: Sequence[int], *, flushed_bytes: int, held_from: int, audio_format: AudioFormat
) -> tuple[int, int]:
    """How many of the tails stand, and the position before which audio is settled by them (0 where none does).

    ends_ms: where each tail ends, in order. held_from: the first byte of audio that the client can send again. What
    ends before it will not be said again: cut off or not, it is the best there will be.
    """
    ends = [audio_format.ms_to_bytes(end_ms) for end_ms in ends_ms]
    kept = len(list(takewhile(lambda end: end <= held_from, ends)))
    if not kept:
        return 0, 0
    # Behind the last of all tails the flush had heard silence.
    return kept, min(flushed_bytes, held_from) if kept == len(ends) and flushed_bytes else ends[kept - 1]
