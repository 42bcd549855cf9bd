"""What the API answers about reviews. Times are ms of the session's audio.

What has thousands of words is no Schema of the framework, whose way of reading each field takes several times as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from ninja import Schema
from pydantic import BaseModel

from transcription.rest.schemas import ErrorAnswer
from transcription.review.models import EditLock, Review, SessionNote
from transcription.review.passages import Reading


class ReviewWord(BaseModel):
    """A word of the current text. is_heard: the machine heard it; confidence is null where it did not, or said none."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float | None
    is_heard: bool


class ReviewSegment(BaseModel):
    """A segment as people see it. segment, last_segment: the machine's segments that it is of.

    place: its order among those that begin in the same segment of the machine.
    asr_text: what was heard there. version: to send along with a change of it.
    """

    id: str
    segment: int
    last_segment: int
    place: float
    start_ms: int
    end_ms: int
    text: str
    asr_text: str
    speaker: str | None
    confidence: float | None
    is_edited: bool
    reviewed: bool
    version: int
    words: list[ReviewWord]

    @classmethod
    def of(cls, reading: Reading) -> Self:
        passage = reading.passage
        words = [
            ReviewWord(
                word=word.text,
                start_ms=word.start_ms,
                end_ms=word.end_ms,
                confidence=word.confidence,
                is_heard=word.is_heard,
            )
            for word in reading.words
        ]
        return cls(
            id=str(passage.id),
            segment=passage.index,
            last_segment=passage.last_index,
            place=passage.place,
            start_ms=passage.start_ms,
            end_ms=passage.end_ms,
            text=passage.text,
            asr_text=reading.asr_text,
            speaker=passage.speaker or None,
            confidence=reading.confidence,
            is_edited=reading.is_edited,
            reviewed=passage.reviewed,
            version=passage.version,
            words=words,
        )


class LockAnswer(BaseModel):
    """Who edits a segment. is_yours: the lock is of these credentials."""

    segment_id: str
    by: str
    is_yours: bool
    expires_at: datetime

    @classmethod
    def of(cls, lock: EditLock, holder: str) -> Self:
        segment_id = f"{lock.index}.{lock.part}" if lock.part else str(lock.index)
        return cls(segment_id=segment_id, by=lock.by, is_yours=lock.holder == holder, expires_at=lock.expires_at)


class ReviewFacts(BaseModel):
    """The state of a review. why_read_only: null if these credentials may change the transcript now."""

    session_id: str
    version: int
    changed_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str
    why_read_only: Literal["not_ended", "reviewed", "not_allowed"] | None


class ReviewAnswer(ReviewFacts):
    """A part of the transcript. next: what to ask for as `from` for the part behind it, null at the end."""

    segments: list[ReviewSegment]
    next: int | None
    locks: list[LockAnswer]


class NewsAnswer(ReviewFacts):
    """What changed after a version: segments that are new or different, and ids that are no more.

    is_all: false where it is too much to tell; then read the transcript again.
    """

    is_all: bool
    segments: list[ReviewSegment]
    removed: list[str]
    locks: list[LockAnswer]


class ChangeAnswer(BaseModel):
    """What a change did. version: of the review, which is also the number of the entry in the history; the same as
    before if there was nothing to change. segments: those that are new or different; removed: ids that are no more.

    is_all: false where they are too many to tell; then read the transcript again.
    """

    version: int
    is_all: bool
    segments: list[ReviewSegment]
    removed: list[str]


class ConflictAnswer(ErrorAnswer):
    """409. current: the segment as it stands; changed_by, changed_at: who made it so and when; yours: the text that was
    sent; all only where reason is `edit_conflict`."""

    version: int | None = None
    current: ReviewSegment | None = None
    yours: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None


class FoundPlace(Schema):
    """A segment in which a text was found. places: [start, end) characters of its text."""

    segment_id: str
    version: int
    places: list[tuple[int, int]]


class FoundAnswer(Schema):
    """count: of all places. segments: the first MAX_FOUND of those that have any."""

    version: int
    count: int
    segments: list[FoundPlace]


class DoubtfulWordAnswer(Schema):
    """number: of the word in its segment, from 0."""

    segment_id: str
    number: int
    word: str
    start_ms: int
    end_ms: int
    confidence: float


class DoubtfulAnswer(Schema):
    """count: of all doubtful words; words: the first of them in order."""

    count: int
    words: list[DoubtfulWordAnswer]


class SpeakerAnswer(Schema):
    """name: null for segments without a speaker."""

    name: str | None
    segments: int
    talk_ms: int


class FiguresAnswer(Schema):
    """Of the transcript as it stands. words_per_minute: of talk. changes: entries of the history.

    word_error_rate: of the machine's text against the text as it stands; 0.06 is 6 %.
    """

    segments: int
    edited_segments: int
    changes: int
    words: int
    talk_ms: int
    mean_confidence: float | None
    words_per_minute: float | None
    doubtful_words: int
    word_errors: int
    word_error_rate: float | None
    speakers: list[SpeakerAnswer]


class TextStretch(Schema):
    kind: Literal["same", "removed", "added"]
    text: str


class ChangedSegment(Schema):
    """What a change did to one segment. old, new: values that it changed; null where the segment did not exist.

    diff: of its text, empty where that stayed.
    """

    segment_id: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    diff: list[TextStretch]


class HistoryEntry(Schema):
    """kind: what was done. target: the entry that was undone or restored. details: what was asked for.

    segment_count: how many it changed; segments: the first of them.
    """

    number: int
    kind: str
    label: str
    by: str
    at: datetime
    target: int | None
    details: dict[str, Any]
    segment_count: int
    segments: list[ChangedSegment]


class HistoryPage(Schema):
    """Newest first. next: what to ask for as `before`, null on the last page."""

    version: int
    entries: list[HistoryEntry]
    next: int | None


class NoteAnswer(Schema):
    """is_yours: made with these credentials."""

    id: int
    kind: Literal["bookmark", "note"]
    time_ms: int
    text: str
    by: str
    is_yours: bool
    created_at: datetime
    changed_at: datetime | None

    @classmethod
    def of(cls, note: SessionNote, holder: str) -> Self:
        return cls(
            id=note.pk,
            kind="note" if note.kind == SessionNote.Kind.NOTE else "bookmark",
            time_ms=note.time_ms,
            text=note.text,
            by=note.by,
            is_yours=note.holder == holder,
            created_at=note.created_at,
            changed_at=note.changed_at,
        )


class NoteList(Schema):
    """By time."""

    notes: list[NoteAnswer]


def facts_of(session_id: str, review: Review | None, why_read_only: str | None) -> dict[str, Any]:
    """The values of ReviewFacts."""
    review = review or Review()
    return {
        "session_id": session_id,
        "version": review.version,
        "changed_at": review.changed_at,
        "reviewed_at": review.reviewed_at,
        "reviewed_by": review.reviewed_by,
        "why_read_only": why_read_only,
    }
