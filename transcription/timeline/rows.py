"""Writing and reading the log of a session. Plain functions for a database thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count

from transcription.timeline.chronicle import Note
from transcription.timeline.models import SessionEvent

# Of one session, whatever its client and its recogniser do.
MAX_PER_SESSION = 500

Kind = SessionEvent.Kind


def note(session_pk: int, kind: Kind, *, audio_ms: int | None = None, **detail: Any) -> None:
    """Note something in the transaction that does it, so that it is noted exactly once."""
    _insert([SessionEvent(session_id=session_pk, kind=kind, audio_ms=audio_ms, detail=detail)])


def write_chronicles(taken: Sequence[tuple[int, Sequence[Note]]]) -> None:
    """Write what was noted of several sessions. Those that were deleted meanwhile are left out."""
    if not _is_written(taken):
        for of_one in taken:
            _is_written([of_one])


def _is_written(taken: Sequence[tuple[int, Sequence[Note]]]) -> bool:
    """False if one of the sessions is gone; then nothing is written."""
    try:
        with transaction.atomic():
            _insert([_row(pk, note) for pk, notes in taken for note in notes])
    except IntegrityError:
        return False
    return True


def _row(pk: int, note: Note) -> SessionEvent:
    return SessionEvent(session_id=pk, at=note.at, kind=note.kind, audio_ms=note.audio_ms, detail=note.detail)


def _insert(rows: Sequence[SessionEvent]) -> None:
    """Insert what is within the bound of each session; the first one beyond it says that the log ends here."""
    events = SessionEvent.objects.filter(session__in={row.session_id for row in rows})
    counts = dict(events.order_by().values_list("session").annotate(Count("pk")))
    kept = []
    for row in rows:
        count = counts[row.session_id] = counts.get(row.session_id, 0) + 1
        if count == MAX_PER_SESSION:
            row.kind, row.detail = Kind.CUT_SHORT, {}
        if count <= MAX_PER_SESSION:
            kept.append(row)
    SessionEvent.objects.bulk_create(kept)


def read_events(session_pk: int) -> list[SessionEvent]:
    """Everything that was noted, in order; at most MAX_PER_SESSION."""
    return list(SessionEvent.objects.filter(session=session_pk)[:MAX_PER_SESSION])
