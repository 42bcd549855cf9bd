"""Sessions that have ended, counted into the sums of their day. Plain functions for a database thread.

A session says itself what of it is counted (`counted`) and that nothing is left to do (`counted_at`): each is counted
once, whoever counts and however often, and one that goes on after its end, or is corrected, is counted anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from transcription.console.numbers import lost_ms
from transcription.daily.figures import COUNTS, Figures, HeardSegment, count_time, count_words
from transcription.daily.models import DailyNumbers
from transcription.files.models import RERUN_DIALECT
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.review.models import Review

# In one transaction: more would hold up live commits on SQLite.
SESSIONS_AT_ONCE = 50
SEGMENTS_READ_AT_ONCE = 500

State = TranscriptionSession.State
# Of the sums: which day, language and key.
Place = tuple[date, str, int]


def uncounted() -> QuerySet[TranscriptionSession]:
    """Sessions that have ended and are not counted, or not as they are now; the index session_uncounted."""
    return TranscriptionSession.objects.filter(ended_at__isnull=False, counted_at__isnull=True)


def has_uncounted() -> bool:
    # In order, or PostgreSQL would read the table for want of statistics.
    return bool(uncounted().order_by("pk").values_list("pk", flat=True)[:1])


def count_some() -> bool:
    """Count a bounded number of what is to be counted. Whether that was all."""
    chosen = list(uncounted().order_by("pk").defer("options_asked", "options_applied", "metadata")[:SESSIONS_AT_ONCE])
    _count(chosen)
    return len(chosen) < SESSIONS_AT_ONCE


def count_before_deletion(session_id: int) -> None:
    """What is deleted stays counted; so it is counted first, if nobody came to it yet."""
    _count(list(uncounted().filter(pk=session_id)))


def ask_recount(session_id: int) -> None:
    """Something of an ended session is not as it was counted."""
    TranscriptionSession.objects.filter(pk=session_id).update(counted_at=None, count_token=uuid.uuid4())


def _count(sessions: Sequence[TranscriptionSession]) -> None:
    measured = [(session, measure(session)) for session in sessions]
    with transaction.atomic():
        keys = [session.pk for session in sessions]
        locked = TranscriptionSession.objects.select_for_update().filter(pk__in=keys).order_by("pk")
        rows = {row.pk: row for row in locked.only("pk", "ended_at", "counted_at", "count_token", "counted")}
        changes: dict[Place, Figures] = {}
        for session, figures in measured:
            row = rows.get(session.pk)
            if row is None or row.counted_at is not None or _stamp(row) != _stamp(session):
                continue  # by somebody else, or it changed while it was measured: then it is still to be counted
            place = _place(session)
            change = changes.setdefault(place, Figures())
            change.add(figures)
            change.add(Figures.from_json(row.counted), -1)
            TranscriptionSession.objects.filter(pk=row.pk).update(
                # Under this place from now on, whatever becomes of its key.
                counted={**figures.as_json(), "place": [place[0].isoformat(), *place[1:]]},
                counted_at=Now(),
            )
        # In one order everywhere: two that wait for each other's rows would never end.
        for place, change in sorted(changes.items()):
            _add(place, change)


def _stamp(session: TranscriptionSession) -> tuple[Any, Any]:
    return session.ended_at, session.count_token


def _place(session: TranscriptionSession) -> Place:
    """Where a session counts: where it was counted before, if it was."""
    if session.counted and "place" in session.counted:
        day, language, key = session.counted["place"]
        return date.fromisoformat(day), language, key
    return session.created_at.astimezone(UTC).date(), session.language, session.api_key_id or 0


def _add(place: Place, change: Figures) -> None:
    day, language, key = place
    where = {"day": day, "language": language, "key_number": key}
    DailyNumbers.objects.bulk_create([DailyNumbers(**where)], ignore_conflicts=True)
    row = DailyNumbers.objects.select_for_update().get(**where)
    figures = row.figures
    figures.add(change)
    row.figures = figures
    row.save(update_fields=[*COUNTS, "times"])


def measure(session: TranscriptionSession) -> Figures:
    """What a session that has ended comes to. Reads all of its segments, a piece at a time."""
    if session.dialect == RERUN_DIALECT:
        # Heard before, and counted then.
        return Figures()
    figures = Figures(
        sessions=1,
        failed=session.state == State.FAILED,
        interrupted=session.state == State.INTERRUPTED,
        audio_ms=session.audio_ms,
        lost_ms=lost_ms(session),
        words=session.word_count,
    )
    count_time(figures.first_interim, session.first_interim_ms)
    count_time(figures.final_p50, session.final_lag_p50_ms)
    count_time(figures.final_p95, session.final_lag_p95_ms)
    is_reviewed = Review.objects.filter(session=session.pk, reviewed_at__isnull=False).exists()
    count_words(figures, _segments(session.pk), is_reviewed=is_reviewed)
    return figures


def _segments(session_id: int) -> Iterator[HeardSegment]:
    after = -1
    of_session = TranscriptSegment.objects.filter(session=session_id).order_by("index")
    while True:
        # Not by a cursor: on SQLite it would keep a read transaction open.
        rows = list(
            of_session.filter(index__gt=after).values_list("index", "asr_text", "text", "words", "confidence")[
                :SEGMENTS_READ_AT_ONCE
            ]
        )
        yield from (HeardSegment(*values) for _index, *values in rows)
        if len(rows) < SEGMENTS_READ_AT_ONCE:
            return
        after = rows[-1][0]
