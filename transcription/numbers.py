"""The figures on top of the console that the database knows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from transcription.coverage import account
from transcription.models import TranscriptionSession

State = TranscriptionSession.State


# Sessions of today that lost audio; more than these are not looked at, and the figure is then too small.
MAX_LOSSES = 1000


def console_numbers(now: datetime | None = None) -> dict[str, int]:
    """Sessions and audio begun today, what of it was lost, and what failed or was interrupted in the last hour.

    Today begins at midnight of the site's time zone; audio of live sessions counts once they have ended.
    """
    now = now or timezone.now()
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    today = TranscriptionSession.objects.filter(created_at__gte=midnight).exclude(state=State.CREATED)
    counted = today.aggregate(sessions=Count("pk"), audio_ms=Sum("audio_ms"))
    hour_ago = now - timedelta(hours=1)
    # A session lasts a day at most, which lets the index on created_at narrow the search.
    recent = TranscriptionSession.objects.filter(created_at__gte=now - timedelta(days=1), ended_at__gte=hour_ago)
    ended = recent.aggregate(
        failed=Count("pk", filter=Q(state=State.FAILED)),
        interrupted=Count("pk", filter=Q(state=State.INTERRUPTED)),
    )
    return {
        "sessions_today": counted["sessions"],
        "audio_today_ms": counted["audio_ms"] or 0,
        "audio_lost_today_ms": sum(map(lost_ms, _with_losses(today))),
        "failed_last_hour": ended["failed"],
        "interrupted_last_hour": ended["interrupted"],
    }


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
