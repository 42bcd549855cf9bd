"""Audio that carries numbered words in its samples, so that a fake recogniser hears exactly what was sent.

Each 10 ms of a word begins with four samples: a mark, the number of the word, which 10 ms of the word this is,
and of how many. So words are found at any byte the audio is cut at and sent again from, and a word that
lost its beginning or end is told from a whole one. LINEAR_PCM only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME_MS = 10
FRAMES_PER_SECOND = 100
MARK = 32123
TOKEN_SAMPLES = 4
TONE = 4000
MAX_WORD_NUMBER = 9999


def word_text(number: int) -> str:
    return f"word{number:04d}"


def broken_word_text(number: int) -> str:
    """How a word is heard that lost its beginning or its end."""
    return f"part{number:04d}"


def word_texts(words: int, *, first: int = 1) -> list[str]:
    return [word_text(number) for number in range(first, first + words)]


def silence(duration_ms: int, *, sample_rate_hz: int = 16000) -> bytes:
    return bytes(2 * (duration_ms * sample_rate_hz // 1000))


def spoken(
    words: int,
    *,
    first: int = 1,
    word_ms: int = 300,
    gap_ms: int = 100,
    words_per_utterance: int = 5,
    pause_ms: int = 1200,
    lead_ms: int = 200,
    tail_ms: int = 1200,
    sample_rate_hz: int = 16000,
) -> bytes:
    """Mono PCM of words numbered from first, with a pause after every words_per_utterance of them.

    word_ms must be a multiple of 10. The audio is lead, words with gaps or pauses between them, tail.
    """
    if first + words - 1 > MAX_WORD_NUMBER:
        raise ValueError(f"word numbers end at {MAX_WORD_NUMBER}")
    parts = [silence(lead_ms, sample_rate_hz=sample_rate_hz)]
    for index in range(words):
        if index:
            pause = pause_ms if index % words_per_utterance == 0 else gap_ms
            parts.append(silence(pause, sample_rate_hz=sample_rate_hz))
        parts.append(_word(first + index, word_ms, sample_rate_hz))
    parts.append(silence(tail_ms, sample_rate_hz=sample_rate_hz))
    return b"".join(parts)


def _word(number: int, word_ms: int, sample_rate_hz: int) -> bytes:
    frames = word_ms // FRAME_MS
    samples = np.full((frames, sample_rate_hz // FRAMES_PER_SECOND), TONE, dtype="<i2")
    samples[:, 1::2] = -TONE
    samples[:, 0] = MARK
    samples[:, 1] = number
    samples[:, 2] = np.arange(frames)
    samples[:, 3] = frames
    return samples.tobytes()


@dataclass(frozen=True, slots=True)
class Token:
    """What 10 ms of a word say: its number, and that this is frame index of total."""

    number: int
    index: int
    total: int


class Ear:
    """Cuts a stream into its 10 ms frames and finds the tokens in them, however the bytes are chunked."""

    def __init__(self, sample_rate_hz: int = 16000, channels: int = 1) -> None:
        self._frame_samples = sample_rate_hz // FRAMES_PER_SECOND
        self._channels = channels
        self._pending = b""

    def hear(self, chunk: bytes) -> list[Token | None]:
        """The frames completed by chunk, in order; None is silence. Only the first channel is heard."""
        data = self._pending + chunk
        sample_bytes = 2 * self._channels
        samples = np.frombuffer(data[: len(data) // sample_bytes * sample_bytes], dtype="<i2")[:: self._channels]
        complete = len(samples) // self._frame_samples
        marks = np.flatnonzero(samples[: complete * self._frame_samples] == MARK)
        if len(marks) and marks[-1] + TOKEN_SAMPLES > len(samples):
            complete -= 1  # the token goes on in the next chunk
            marks = marks[:-1]
        self._pending = data[complete * self._frame_samples * sample_bytes :]
        frames: list[Token | None] = [None] * complete
        for mark in marks:
            _, number, index, total = samples[mark : mark + TOKEN_SAMPLES].tolist()
            frames[mark // self._frame_samples] = Token(number, index, total)
        return frames
