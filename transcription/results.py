"""What a recogniser says, in our own words. Pure values; times are integer ms from the start of the session's audio.

Nothing changes them once they are made. They are not frozen because that makes each three times as dear, and thousands
are made in a second.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, unsafe_hash=True)
class Word:
    """One word of a result. confidence is None where the recogniser sets none; speaker is a tag or None."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float | None = None
    speaker: str | None = None


@dataclass(slots=True, unsafe_hash=True)
class Alternative:
    """One hypothesis; the list of a result is best first."""

    text: str
    confidence: float | None = None


@dataclass(slots=True, unsafe_hash=True)
class InterimResult:
    """A hypothesis that may change; it replaces the previous one of the same utterance."""

    text: str
    start_ms: int
    end_ms: int
    stability: float | None = None
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    channel: int | None = None
    language: str | None = None
    audio_processed_ms: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class FinalResult:
    """A result that will not change. start_ms and end_ms are the utterance's, from its words where it has any."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    channel: int | None = None
    language: str | None = None
    audio_processed_ms: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class Progress:
    """The recogniser heard audio up to a position and has nothing to say about it."""

    audio_processed_ms: int
