"""How good a transcript is, in figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transcription.review.error_rate import word_errors
from transcription.review.passages import Reading
from transcription.review.words import split_words

DOUBTFUL_BELOW = 0.8


@dataclass(frozen=True, slots=True)
class DoubtfulWord:
    """A word of which the machine was not sure, and which stands as it was heard. number: in its passage, from 0."""

    segment: str
    number: int
    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class SpeakerFigures:
    """name: "" for nobody named."""

    name: str
    segments: int
    talk_ms: int


@dataclass(frozen=True, slots=True)
class Figures:
    """mean_confidence: over the words, None where none is known. words_per_minute: of talk, not of the whole
    recording. word_error_rate: of the machine's text against the text as it stands."""

    segments: int
    edited_segments: int
    words: int
    talk_ms: int
    mean_confidence: float | None
    words_per_minute: float | None
    doubtful_words: int
    word_errors: int
    word_error_rate: float | None
    speakers: tuple[SpeakerFigures, ...]


def doubtful_words(readings: Iterable[Reading], below: float = DOUBTFUL_BELOW) -> Iterable[DoubtfulWord]:
    for reading in readings:
        for number, word in enumerate(reading.words):
            if word.confidence is not None and word.confidence < below:
                yield DoubtfulWord(
                    str(reading.passage.id), number, word.text, word.start_ms, word.end_ms, word.confidence
                )


def measure(readings: Iterable[Reading], below: float = DOUBTFUL_BELOW) -> Figures:
    segments = edited = words = talk_ms = doubtful = errors = 0
    confidences: list[float] = []
    speakers: dict[str, tuple[int, int]] = {}
    for reading in readings:
        passage = reading.passage
        length_ms = max(0, passage.end_ms - passage.start_ms)
        segments += 1
        talk_ms += length_ms
        known = [word.confidence for _index, word in reading.heard if word.confidence is not None]
        if not known and reading.confidence is not None:
            known = [reading.confidence] * len(reading.heard)
        confidences += known
        if reading.is_edited:
            edited += 1
            wrong, length = word_errors(reading.asr_text, passage.text)
            errors += wrong
            words += length
            doubtful += sum(1 for _word in doubtful_words([reading], below))
        else:
            words += len(split_words(passage.text))
            doubtful += sum(confidence < below for confidence in known)
        count, spoken_ms = speakers.get(passage.speaker, (0, 0))
        speakers[passage.speaker] = (count + 1, spoken_ms + length_ms)
    return Figures(
        segments=segments,
        edited_segments=edited,
        words=words,
        talk_ms=talk_ms,
        mean_confidence=sum(confidences) / len(confidences) if confidences else None,
        words_per_minute=words * 60_000 / talk_ms if talk_ms else None,
        doubtful_words=doubtful,
        word_errors=errors,
        word_error_rate=errors / words if words else None,
        speakers=tuple(SpeakerFigures(name, *figures) for name, figures in speakers.items()),
    )
