"""Audio that carries numbered words in its samples, so that a fake recogniser hears exactly what was sent.

Each 10 ms of a word begins with five samples: a mark, the number of the word (its last four digits), which 10 ms of
the word this is, of how many, and the number's further digits. So words are found at any byte the audio is cut at and
sent again from, and a word that lost its beginning or end is told from a whole one. LINEAR_PCM only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FRAME_MS = 10
FRAMES_PER_SECOND = 100
MARK = 32123
TOKEN_SAMPLES = 5
TONE = 4000
NUMBER_BASE = 10_000
MAX_WORD_NUMBER = NUMBER_BASE * NUMBER_BASE - 1
WORD, BROKEN_WORD = "word", "part"
HEARD_WORD = re.compile(rf"\b({WORD}|{BROKEN_WORD})(\d{{4,8}})\b")


def word_text(number: int) -> str:
    return f"{WORD}{number:04d}"


def broken_word_text(number: int) -> str:
    """How a word is heard that lost its beginning or its end."""
    return f"{BROKEN_WORD}{number:04d}"


def word_numbers(text: str) -> list[int]:
    """The numbers of the whole words in a transcript, in order."""
    return [int(number) for kind, number in HEARD_WORD.findall(text) if kind == WORD]


def broken_word_numbers(text: str) -> list[int]:
    return [int(number) for kind, number in HEARD_WORD.findall(text) if kind == BROKEN_WORD]


def word_texts(words: int, *, first: int = 1) -> list[str]:
    return [word_text(number) for number in range(first, first + words)]


def silence(duration_ms: int, *, sample_rate_hz: int = 16000) -> bytes:
    return bytes(2 * (duration_ms * sample_rate_hz // 1000))


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where in the audio a word lies, in ms from its beginning."""

    number: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Speech:
    """How numbered words are spoken: lead, words with gaps or pauses between them, tail. word_ms: a multiple of 10.

    words_per_utterance: after so many of them comes a pause. first: the number of the first word.
    """

    words: int
    first: int = 1
    word_ms: int = 300
    gap_ms: int = 100
    words_per_utterance: int = 5
    pause_ms: int = 1200
    lead_ms: int = 200
    tail_ms: int = 1200

    def __post_init__(self) -> None:
        if self.first + self.words - 1 > MAX_WORD_NUMBER:
            raise ValueError(f"word numbers end at {MAX_WORD_NUMBER}")

    def timeline(self) -> Iterator[SpokenWord]:
        """The words in order."""
        position_ms = self.lead_ms
        for index in range(self.words):
            if index:
                position_ms += self.pause_ms if index % self.words_per_utterance == 0 else self.gap_ms
            yield SpokenWord(self.first + index, position_ms, position_ms + self.word_ms)
            position_ms += self.word_ms

    def chunks(self, sample_rate_hz: int = 16000) -> Iterator[bytes]:
        """Mono PCM: each word with the silence before it, and at last the tail."""
        position_ms = 0
        for word in self.timeline():
            yield silence(word.start_ms - position_ms, sample_rate_hz=sample_rate_hz)
            yield _word(word.number, self.word_ms, sample_rate_hz)
            position_ms = word.end_ms
        yield silence(self.tail_ms if self.words else self.lead_ms + self.tail_ms, sample_rate_hz=sample_rate_hz)


def spoken(words: int, *, sample_rate_hz: int = 16000, **manner: int) -> bytes:
    """Mono PCM of numbered words; manner: fields of Speech."""
    return b"".join(Speech(words, **manner).chunks(sample_rate_hz))


def _word(number: int, word_ms: int, sample_rate_hz: int) -> bytes:
    frames = word_ms // FRAME_MS
    samples = np.full((frames, sample_rate_hz // FRAMES_PER_SECOND), TONE, dtype="<i2")
    samples[:, 1::2] = -TONE
    samples[:, 0] = MARK
    samples[:, 1] = number % NUMBER_BASE
    samples[:, 2] = np.arange(frames)
    samples[:, 3] = frames
    samples[:, 4] = number // NUMBER_BASE
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
            _, number, index, total, upper = samples[mark : mark + TOKEN_SAMPLES].tolist()
            frames[mark // self._frame_samples] = Token(upper * NUMBER_BASE + number, index, total)
        return frames
