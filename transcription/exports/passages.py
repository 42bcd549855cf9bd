"""The transcript as it is written: its passages in order, edited or as the machine heard them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from transcription.models import TranscriptionSession
from transcription.review.passages import Reading
from transcription.review.transcript import read_transcript
from transcription.review.words import Word
from transcription.storage.coverage import Span


@dataclass(frozen=True, slots=True)
class Passage:
    """A segment with the text that was asked for: one of the machine's, a part of one, or several joined.

    id: tells it from others, as the review API does. index: of the machine's segment in which it begins. words: of the
    text, with times. heard: the machine's words there. spans: of the machine's segments.
    """

    id: str
    index: int
    start_ms: int
    end_ms: int
    text: str
    asr_text: str
    words: list[dict[str, Any]]
    heard: list[dict[str, Any]]
    spans: tuple[Span, ...]
    confidence: float | None
    speaker: str
    language: str
    is_edited: bool
    is_reviewed: bool


def read_passages(session: TranscriptionSession, text: Literal["edited", "machine"]) -> Iterator[Passage]:
    """In order, some at a time: no cursor and no transaction stays open while a slow client reads."""
    return map(_passage, read_transcript(session, edited=text == "edited"))


def _passage(reading: Reading) -> Passage:
    passage, machine = reading.passage, reading.machines[0]
    # As they came, where nobody has changed anything.
    stored = list(machine.words)
    is_as_heard = reading.is_whole and not reading.is_edited
    return Passage(
        id=str(passage.id),
        index=passage.index,
        start_ms=passage.start_ms,
        end_ms=passage.end_ms,
        text=passage.text,
        asr_text=machine.asr_text if reading.is_whole else reading.asr_text,
        words=stored if is_as_heard else list(map(_word, reading.words)),
        heard=stored if reading.is_whole else [_word(word) for _index, word in reading.heard],
        spans=tuple(Span(heard.start_ms, heard.end_ms) for heard in reading.machines),
        confidence=machine.confidence if reading.is_whole else reading.confidence,
        speaker=passage.speaker,
        language=machine.language,
        is_edited=reading.is_edited,
        is_reviewed=passage.reviewed,
    )


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "confidence": word.confidence,
        "speaker": word.speaker,
    }
