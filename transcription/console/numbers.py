"""The figures on top of the console: what the database knows of today and of the last hour, and what is live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from transcription.console.live_rows import Row
from transcription.models import TranscriptionSession
from transcription.storage.coverage import account

State = TranscriptionSession.State

# Sessions of today that lost audio; more than these are not looked at, and the figure is then too small.
MAX_LOSSES = 1000
# The newest that ended in the last hour, whose delays are looked at.
MAX_DELAYS = 2000


@dataclass(frozen=True, slots=True)
class ConsoleNumbers:
    """What the database knows. Today begins at midnight of the site's time zone.

    audio_today_ms: of sessions that are not live. first_interims_ms: of each session that ended in the last hour;
    final_lags_ms: the 95th percentile of each of them.
    """

    midnight: datetime
    sessions_today: int
    audio_today_ms: int
    audio_lost_today_ms: int
    failed_last_hour: int
    interrupted_last_hour: int
    first_interims_ms: Sequence[int]
    final_lags_ms: Sequence[int]

    def figures(self, rows: Iterable[Row] = (), *, ended_audio_ms: int = 0) -> dict[str, Any]:
        """The figures together with what is live: rows of live_rows. Null where nothing was measured.

        ended_audio_ms: of sessions that ended after the database was asked.
        """
        rows = list(rows)
        first_interims = [*self.first_interims_ms, *_measured(rows, "first_interim_ms")]
        return {
            "sessions_today": self.sessions_today,
            "audio_today_ms": self.audio_today_ms + ended_audio_ms + sum(map(self.audio_of_today_ms, rows)),
            "audio_lost_today_ms": self.audio_lost_today_ms,
            "failed_last_hour": self.failed_last_hour,
            "interrupted_last_hour": self.interrupted_last_hour,
            "first_interim_p50_ms": percentile(first_interims, 0.5),
            "first_interim_p95_ms": percentile(first_interims, 0.95),
            "final_lag_p95_ms": percentile([*self.final_lags_ms, *_measured(rows, "final_lag_ms")], 0.95),
        }

    def audio_of_today_ms(self, row: Row) -> int:
        """What a live row adds. The audio of one that waits for its client is in the database."""
        is_counted = row["state"] == "detached" or datetime.fromisoformat(row["started_at"]) < self.midnight
        return 0 if is_counted else row["audio_ms"]


def percentile(values: Sequence[int], share: float) -> int | None:
    """The value that this share (0.0-1.0) of them does not exceed; None without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _measured(rows: Iterable[Row], name: str) -> list[int]:
    return [row[name] for row in rows if row.get(name) is not None]


def read_numbers(now: datetime | None = None) -> ConsoleNumbers:
    """Ask the database."""
    now = now or timezone.now()
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    today = TranscriptionSession.objects.filter(created_at__gte=midnight).exclude(state=State.CREATED)
    counted = today.aggregate(sessions=Count("pk"), audio_ms=Sum("audio_ms", filter=~Q(state=State.LIVE)))
    recent = ended_since(now, timedelta(hours=1))
    ended = recent.aggregate(
        failed=Count("pk", filter=Q(state=State.FAILED)),
        interrupted=Count("pk", filter=Q(state=State.INTERRUPTED)),
    )
    delays = list(
        recent.order_by("-created_at", "-pk").values_list("first_interim_ms", "final_lag_p95_ms")[:MAX_DELAYS]
    )
    return ConsoleNumbers(
        midnight=midnight,
        sessions_today=counted["sessions"],
        audio_today_ms=counted["audio_ms"] or 0,
        audio_lost_today_ms=sum(map(lost_ms, _with_losses(today))),
        failed_last_hour=ended["failed"],
        interrupted_last_hour=ended["interrupted"],
        first_interims_ms=[first for first, _lag in delays if first is not None],
        final_lags_ms=[lag for _first, lag in delays if lag is not None],
    )


def console_numbers(now: datetime | None = None) -> dict[str, Any]:
    """The figures without those of live sessions."""
    return read_numbers(now).figures()


def ended_since(now: datetime, age: timedelta) -> QuerySet[TranscriptionSession]:
    """Sessions that ended within this time."""
    return TranscriptionSession.objects.filter(ended_within(now, age))


def ended_within(now: datetime, age: timedelta) -> Q:
    """A session lasts a day at most, which lets the index on created_at narrow the search."""
    return Q(created_at__gte=now - timedelta(days=1) - age, ended_at__gte=now - age)


def _with_losses(sessions: QuerySet[TranscriptionSession]) -> QuerySet[TranscriptionSession]:
    return sessions.filter(~Q(gaps=[]) | Q(state=State.INTERRUPTED)).defer(
        "options_asked", "options_applied", "metadata"
    )[:MAX_LOSSES]


def lost_ms(session: TranscriptionSession) -> int:
    """Audio of a session that nobody recognised: gaps, and what was not answered before it was interrupted."""
    found = account(
        settled=session.committed_bytes,
        flushed=session.flushed_bytes,
        gaps=session.gaps,
        audio=max(session.audio_bytes, session.committed_bytes),
    )
    unanswered = found.unanswered if session.state == State.INTERRUPTED else 0
    return session.audio_format.bytes_to_ms(found.gaps + unanswered)
