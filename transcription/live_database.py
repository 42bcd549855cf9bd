"""Live sessions as the database knows them: finals, but no interims."""

from __future__ import annotations

from typing import Any

from django.db import Error as DatabaseError
from django.db.models import OuterRef, QuerySet, Subquery

from transcription.database_threads import TooManyJobs
from transcription.live_rows import Row
from transcription.models import TranscriptionSession, TranscriptSegment

MAX_ROWS = 2000
READ_TIMEOUT_S = 5.0
# What a read may raise that is tried again.
DATABASE_ERRORS = (DatabaseError, TimeoutError, TooManyJobs)

State = TranscriptionSession.State


def read_live_rows() -> dict[str, Row]:
    """Rows of all live and detached sessions by id, newest first, at most MAX_ROWS."""
    return _read_rows(State.LIVE, State.DETACHED)


def read_detached_rows() -> dict[str, Row]:
    """Rows of the sessions whose client may still come back, which no process tells of."""
    return _read_rows(State.DETACHED)


def read_newest_rows(limit: int) -> dict[str, Row]:
    """Rows of the newest sessions in any state, by id."""
    return _rows(TranscriptionSession.objects.all(), limit)


def _read_rows(*states: str) -> dict[str, Row]:
    return _rows(TranscriptionSession.objects.filter(state__in=states), MAX_ROWS)


def _rows(sessions: QuerySet[TranscriptionSession], limit: int) -> dict[str, Row]:
    newest = TranscriptSegment.objects.filter(session=OuterRef("pk")).order_by("-index")
    found = sessions.select_related("owner", "api_key", "worker").annotate(
        final_text=Subquery(newest.values("text")[:1])
    )
    return {session.public_id: _row(session) for session in found[:limit]}


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
        "interim_segment": None,
        "captions_hidden": False,
        "level": None,
        "backlog_ms": None,
        "latency_ms": None,
        "audio_ms": session.audio_ms if session.has_ended else session.committed_ms,
    }
