"""A session that somebody subscribed to, as the database has it. Plain functions for a database thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.rest.schemas import SessionAnswer
from transcription.subscriptions.messages import SegmentItem
from transcription.subscriptions.picture import MAX_KEPT_SEGMENTS, StoredSegment

COLUMNS = (
    "epoch", "index", "start_ms", "end_ms", "text", "asr_text", "confidence", "speaker", "language", "channel", "tail",
    "words",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class News:
    """pk: another one than before means that the session was deleted, and a new one has its id."""

    pk: int
    facts: SessionAnswer
    segments: tuple[StoredSegment, ...]


def read_news(public_id: str, from_index: int) -> News | None:
    """The facts of a session, and the last MAX_KEPT_SEGMENTS of its segments from an index on. None: it is deleted.

    The facts first: who reads that a session has ended then reads all of its segments.
    """
    session = TranscriptionSession.objects.select_related("owner", "api_key").filter(public_id=public_id).first()
    if session is None:
        return None
    segments = TranscriptSegment.objects.filter(session_id=session.pk, index__gte=from_index)
    last = _read(segments.order_by("-index")[:MAX_KEPT_SEGMENTS])
    return News(session.pk, SessionAnswer.of(session), last[::-1])


def read_page(public_id: str, indexes: range) -> tuple[StoredSegment, ...]:
    """Segments with these indexes, in order."""
    segments = TranscriptSegment.objects.filter(
        session__public_id=public_id, index__gte=indexes.start, index__lt=indexes.stop
    )
    return _read(segments.order_by("index"))


def _read(segments: QuerySet[TranscriptSegment]) -> tuple[StoredSegment, ...]:
    return tuple(_segment(*values) for values in segments.values_list(*COLUMNS))


def _segment(epoch: int, index: int, *values: Any) -> StoredSegment:
    named = dict(zip(COLUMNS[2:], values, strict=True))
    named["speaker"], named["language"] = named["speaker"] or None, named["language"] or None
    return StoredSegment(epoch, SegmentItem(segment=index, **named))
