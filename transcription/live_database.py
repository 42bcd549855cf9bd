"""Live sessions as the database knows them: finals, but no interims."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, Subquery

from transcription.live_rows import Row
from transcription.models import TranscriptionSession, TranscriptSegment

MAX_ROWS = 2000
MAX_FINALS = 5000


State = TranscriptionSession.State


def read_live_rows() -> dict[str, Row]:
    """Rows of all live and detached sessions by id, newest first, at most MAX_ROWS."""
    return _read_rows(State.LIVE, State.DETACHED)


def read_detached_rows() -> dict[str, Row]:
    """Rows of the sessions whose client may still come back, which no process tells of."""
    return _read_rows(State.DETACHED)


def _read_rows(*states: str) -> dict[str, Row]:
    newest = TranscriptSegment.objects.filter(session=OuterRef("pk")).order_by("-index")
    sessions = (
        TranscriptionSession.objects.filter(state__in=states)
        .select_related("owner", "api_key", "worker")
        .annotate(final_text=Subquery(newest.values("text")[:1]))[:MAX_ROWS]
    )
    return {session.public_id: _row(session) for session in sessions}


def _row(session: Any) -> Row:
    started_at = session.started_at or session.created_at
    label = session.owner.get_username() if session.owner else session.api_key.name if session.api_key else "local"
    return {
        "session_id": session.public_id,
        "title": session.title,
        "owner": label,
        "owner_id": session.owner_id,
        "language": session.language,
        "state": session.state,
        "started_at": started_at.isoformat(),
        "worker": str(session.worker or "") if session.is_live else "",
        "segments": session.segment_count,
        "final": session.final_text or "",
        "interim": "",
        "captions_hidden": False,
        "level": None,
        "backlog_ms": None,
        "latency_ms": None,
        "audio_ms": session.committed_ms,
    }


def read_has_ended(public_id: str) -> bool:
    """Whether a session is over, or deleted."""
    goes_on = (State.CREATED, State.LIVE, State.DETACHED)
    return not TranscriptionSession.objects.filter(public_id=public_id, state__in=goes_on).exists()


def read_finals(public_id: str, after: int) -> list[dict[str, Any]]:
    """Segments with an index over `after`, oldest first, at most MAX_FINALS."""
    segments = TranscriptSegment.objects.filter(session__public_id=public_id, index__gt=after).order_by("index")
    return [
        {
            "segment": segment.index,
            "start_ms": segment.start_ms,
            "end_ms": segment.end_ms,
            "text": segment.text,
            "confidence": segment.confidence,
            "speaker": segment.speaker,
        }
        for segment in segments[:MAX_FINALS]
    ]
