"""The transcript as it is written: its passages in order, edited or as the machine heard them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from transcription.models import TranscriptionSession, TranscriptSegment

# Read from the database at once; with the times of their words each takes some 10 kB.
ROWS_PER_READ = 200


@dataclass(frozen=True, slots=True)
class Passage:
    """A segment with the text that was asked for. words: the machine's."""

    index: int
    start_ms: int
    end_ms: int
    text: str
    asr_text: str
    words: list[dict[str, Any]]
    confidence: float | None
    speaker: str
    language: str
    is_edited: bool
    is_reviewed: bool


def read_passages(session: TranscriptionSession, text: Literal["edited", "machine"]) -> Iterator[Passage]:
    """In order, some at a time: no cursor and no transaction stays open while a slow client reads."""
    segments = session.segments.order_by("index").defer("alternatives")
    rows = list(segments[:ROWS_PER_READ])
    while rows:
        last = rows[-1].index
        for row in rows:
            yield _passage(row, row.asr_text if text == "machine" else row.text)
        rows = list(segments.filter(index__gt=last)[:ROWS_PER_READ])


def _passage(row: TranscriptSegment, text: str) -> Passage:
    return Passage(
        index=row.index,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        text=text,
        asr_text=row.asr_text,
        words=row.words,
        confidence=row.confidence,
        speaker=row.speaker,
        language=row.language,
        is_edited=row.is_edited,
        is_reviewed=row.reviewed,
    )
