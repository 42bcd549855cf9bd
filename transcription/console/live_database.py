"""Live sessions as the database knows them: finals, but no interims."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from transcription.console.live_rows import Row
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.pages.words import end_in_words
from transcription.storage.database_threads import TooManyJobs

MAX_ROWS = 2000
READ_TIMEOUT_S = 5.0
# How long a session that failed stays in the list, and how many of them.
FAILED_SHOWN_S = 30.0
MAX_FAILED = 50
# Ends that are nobody's failure.
LEFT = ("client_lost", "cancelled", "deleted")
# What a read may raise that is tried again.
DATABASE_ERRORS = (DatabaseError, TimeoutError, TooManyJobs)

State = TranscriptionSession.State


def read_live_rows() -> dict[str, Row]:
    """Rows of all live and detached sessions by id, newest first, at most MAX_ROWS."""
    return _read_rows(State.LIVE, State.DETACHED)


def read_detached_rows() -> dict[str, Row]:
    """Rows of the sessions whose client may still come back, which no process tells of."""
    return _read_rows(State.DETACHED)


def read_failed_rows() -> dict[str, Row]:
    """Rows of the sessions that have failed a moment ago, with state `failed` and the error in words."""
    now = timezone.now()
    # A session lasts a day at most, which lets the index on state and created_at narrow the search.
    ended = TranscriptionSession.objects.filter(
        Q(state=State.FAILED) | (Q(state=State.INTERRUPTED) & ~Q(end_reason__in=LEFT)),
        state__in=(State.FAILED, State.INTERRUPTED),
        created_at__gte=now - timedelta(days=1),
        ended_at__gte=now - timedelta(seconds=FAILED_SHOWN_S),
    )
    return {
        session.public_id: _row(session) | {"state": State.FAILED.value, "error": end_in_words(session)}
        for session in _with_words(ended)[:MAX_FAILED]
    }


def read_newest_rows(limit: int) -> dict[str, Row]:
    """Rows of the newest sessions in any state, by id."""
    return _rows(TranscriptionSession.objects.all(), limit)


def _read_rows(*states: str) -> dict[str, Row]:
    return _rows(TranscriptionSession.objects.filter(state__in=states), MAX_ROWS)


def _rows(sessions: QuerySet[TranscriptionSession], limit: int) -> dict[str, Row]:
    return {session.public_id: _row(session) for session in _with_words(sessions)[:limit]}


def _with_words(sessions: QuerySet[TranscriptionSession]) -> QuerySet[Any]:
    newest = TranscriptSegment.objects.filter(session=OuterRef("pk")).order_by("-index")
    found = sessions.select_related("owner", "api_key", "worker")
    return found.annotate(final_text=Subquery(newest.values("text")[:1]))


def _row(session: Any) -> Row:
    started_at = session.started_at or session.created_at
    label = session.owner.get_username() if session.owner else session.api_key.name if session.api_key else "local"
    return {
        "session_id": session.public_id,
        "title": session.title,
        "owner": label,
        "owner_id": session.owner_id,
        "source": "key" if session.api_key else "user" if session.owner else "local",
        "key": session.api_key.name if session.api_key else "",
        "dialect": session.dialect,
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
        "first_interim_ms": session.first_interim_ms,
        "final_lag_ms": session.final_lag_p95_ms,
        "audio_ms": session.audio_ms if session.has_ended else session.committed_ms,
    }
