"""The last hour of the site, minute by minute, for the charts of the live page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from transcription.console.numbers import percentile
from transcription.models import TranscriptionSession

MINUTES = 60
MINUTE = timedelta(minutes=1)
# The newest of the hour; a site with more has fuller machines than this page can show.
MAX_SESSIONS = 10_000

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class Lived:
    """When one session was live and how it went; ended_at: None while it is live."""

    started_at: datetime
    ended_at: datetime | None
    is_error: bool = False
    first_interim_ms: int | None = None
    final_lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Minute:
    """live: sessions at its end. errors: sessions that failed or were interrupted in it.

    first_interim_ms: the 95th percentile of the sessions begun in it; final_lag_ms: of those ended in it.
    """

    at: datetime
    live: int
    errors: int
    first_interim_ms: int | None
    final_lag_ms: int | None


def read_last_hour(now: datetime | None = None) -> list[Minute]:
    """Sixty minutes, oldest first; the last one ends now."""
    now = now or timezone.now()
    first = now - MINUTES * MINUTE
    # A session lasts a day at most, which lets the index on created_at narrow the search.
    lived = TranscriptionSession.objects.filter(
        Q(ended_at__gte=first) | Q(state__in=(State.LIVE, State.DETACHED)), created_at__gte=first - timedelta(days=1)
    ).values_list("started_at", "created_at", "ended_at", "state", "first_interim_ms", "final_lag_p95_ms")
    return by_minute(
        (
            Lived(started or created, ended, state in (State.FAILED, State.INTERRUPTED), interim, lag)
            for started, created, ended, state, interim, lag in lived.order_by("-created_at")[:MAX_SESSIONS]
        ),
        now,
    )


def by_minute(sessions: Iterable[Lived], now: datetime) -> list[Minute]:
    """Pure: what read_last_hour() makes of the sessions."""
    changes, errors = [0] * (MINUTES + 1), [0] * MINUTES
    interims: list[list[int]] = [[] for _ in range(MINUTES)]
    lags: list[list[int]] = [[] for _ in range(MINUTES)]
    first = now - MINUTES * MINUTE
    for session in sessions:
        begun = _minute(session.started_at, first)
        over = _minute(session.ended_at, first) if session.ended_at else MINUTES
        if over < 0:
            continue
        changes[max(0, begun)] += 1
        changes[over] -= 1
        if 0 <= begun < MINUTES and session.first_interim_ms is not None:
            interims[begun].append(session.first_interim_ms)
        if over < MINUTES:
            errors[over] += session.is_error
            if session.final_lag_ms is not None:
                lags[over].append(session.final_lag_ms)
    return _minutes(first, changes, errors, interims, lags)


def _minute(moment: datetime, first: datetime) -> int:
    """Negative before the hour; a clock that is ahead counts as now."""
    return min(MINUTES - 1, (moment - first) // MINUTE)


def _minutes(
    first: datetime,
    changes: Sequence[int],
    errors: Sequence[int],
    interims: Sequence[Sequence[int]],
    lags: Sequence[Sequence[int]],
) -> list[Minute]:
    minutes, live = [], 0
    for index in range(MINUTES):
        live += changes[index]
        at = first + (index + 1) * MINUTE
        interim, lag = percentile(interims[index], 0.95), percentile(lags[index], 0.95)
        minutes.append(Minute(at, live, errors[index], interim, lag))
    return minutes
