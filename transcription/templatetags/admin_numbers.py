"""What is going on, in four numbers and by name, for the admin's first page."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from django import template
from django.db.models import Count, Q, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from speechsite.config import get_config
from transcription.admin.display import format_duration
from transcription.models import TranscriptionSession
from transcription.past.rows import speaker_of

register = template.Library()

State = TranscriptionSession.State
MAX_LIVE_SHOWN = 6


class Card(NamedTuple):
    """One number, and where to see what it counts."""

    label: str
    value: str
    address: str
    is_alarm: bool = False


@register.simple_tag
def admin_numbers() -> list[Card]:
    """The cards: live now, sessions and audio of today (in the site's time zone), failures of 24 hours."""
    now = timezone.now()
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = now - timedelta(hours=24)
    recent = TranscriptionSession.objects.filter(created_at__gte=min(midnight, yesterday)).aggregate(
        today=Count("pk", filter=Q(created_at__gte=midnight)),
        audio_ms=Sum("audio_ms", filter=Q(created_at__gte=midnight)),
        failed=Count("pk", filter=Q(created_at__gte=yesterday, state=State.FAILED)),
    )
    live = TranscriptionSession.objects.filter(state=State.LIVE).count()
    since_midnight = {"created_at__gte": midnight.isoformat()}
    return [
        Card(_("Live now"), f"{live} / {get_config().max_concurrent_sessions}", reverse("live")),
        Card(_("Sessions today"), str(recent["today"]), _list(since_midnight)),
        Card(_("Audio today"), format_duration(recent["audio_ms"] or 0), _list(since_midnight)),
        Card(
            _("Failed in 24 hours"),
            str(recent["failed"]),
            _list({"state__exact": State.FAILED, "created_at__gte": yesterday.isoformat()}),
            is_alarm=recent["failed"] > 0,
        ),
    ]


class LiveNow(NamedTuple):
    """The newest live sessions, and how many there are besides."""

    newest: list[TranscriptionSession]
    others: int


@register.simple_tag
def admin_live_now() -> LiveNow:
    live = TranscriptionSession.objects.filter(state=State.LIVE).select_related("owner", "api_key")
    newest = list(live.order_by("-created_at", "-id")[:MAX_LIVE_SHOWN])
    for session in newest:
        session.who = speaker_of(session)  # type: ignore[attr-defined]  # for the template
    return LiveNow(newest, max(0, live.count() - len(newest)) if len(newest) == MAX_LIVE_SHOWN else 0)


def _list(filters: dict[str, str]) -> str:
    return f"{reverse('admin:transcription_transcriptionsession_changelist')}?{urlencode(filters)}"
