"""What the database holds of sessions, as plain values. Needs Django set up; blocking."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from transcription.models import TranscriptionSession
from transcription.tests.chaos.records import StoredSegment, StoredSession

ORPHANED_AFTER = timedelta(seconds=60)


def read_sessions(public_ids: Iterable[str]) -> dict[str, StoredSession]:
    rows = TranscriptionSession.objects.filter(public_id__in=list(public_ids)).prefetch_related("segments")
    orphans = set(orphaned_sessions())
    return {row.public_id: _session(row, is_orphan=row.public_id in orphans) for row in rows}


def orphaned_sessions() -> list[str]:
    """Sessions that are live although their worker has not been alive for over a minute."""
    is_dead = Q(worker=None) | Q(worker__heartbeat_at__lt=Now() - ORPHANED_AFTER)
    live = TranscriptionSession.objects.filter(state=TranscriptionSession.State.LIVE)
    return list(live.filter(is_dead).values_list("public_id", flat=True))


def _session(row: Any, *, is_orphan: bool) -> StoredSession:
    return StoredSession(
        session_id=row.public_id,
        state=row.state,
        epoch=row.epoch,
        next_seq=row.next_seq,
        committed_bytes=row.committed_bytes,
        segments=tuple(_segment(segment) for segment in sorted(row.segments.all(), key=lambda one: one.index)),
        flushed_bytes=row.flushed_bytes,
        gaps=tuple((start, end) for start, end in row.gaps),
        is_orphan=is_orphan,
    )


def _segment(row: Any) -> StoredSegment:
    return StoredSegment(
        index=row.index,
        epoch=row.epoch,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        text=row.asr_text,
        words=tuple((word["word"], word["start_ms"], word["end_ms"]) for word in row.words),
        tail=row.tail,
        promoted=row.promoted,
    )
