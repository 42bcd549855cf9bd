"""How much audio each key, and each person without a key, has had transcribed. Plain functions for a database thread.

Audio is counted when its connection lets go of the session, in the transaction that says so, on the UTC day of that
moment: nothing is paid while people speak, and a process that is killed is counted by the reaper. Of a session that is
taken up again only what came since is added. What is deleted later stays counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from transcription.models import TranscriptionSession, UsageDay

if TYPE_CHECKING:
    from transcription.access import Who

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class Usage:
    """What was transcribed on one UTC day with one key, or by one person without: then api_key_id is None."""

    day: date
    api_key_id: int | None
    owner_id: int | None
    sessions: int
    audio_ms: int


def count_usage(*rows: TranscriptionSession) -> None:
    """Count what is new of locked sessions that are being let go; `metered_ms` is set on them and not saved here."""
    day = timezone.now().astimezone(UTC).date()
    added: dict[tuple[int, int], tuple[int, int]] = {}
    for row in rows:
        new_ms = row.audio_ms - (row.metered_ms or 0)
        if new_ms <= 0:
            continue
        whose = (row.api_key_id or 0, 0 if row.api_key_id else row.owner_id or 0)
        sessions, audio_ms = added.get(whose, (0, 0))
        added[whose] = sessions + (row.metered_ms is None), audio_ms + new_ms
        row.metered_ms = row.audio_ms
    # In one order everywhere: two that wait for each other's rows would never end.
    for (key_id, owner_id), (sessions, audio_ms) in sorted(added.items()):
        _add(day, key_id or None, owner_id or None, sessions, audio_ms)


def _add(day: date, key_id: int | None, owner_id: int | None, sessions: int, audio_ms: int) -> None:
    of_the_day = UsageDay.objects.filter(api_key_id=key_id, owner_id=owner_id, day=day)
    more = {"sessions": F("sessions") + sessions, "audio_ms": F("audio_ms") + audio_ms}
    if not of_the_day.update(**more):
        # Somebody else may make it at the same moment.
        UsageDay.objects.bulk_create([UsageDay(api_key_id=key_id, owner_id=owner_id, day=day)], ignore_conflicts=True)
        of_the_day.update(**more)


def usage_per_day(who: Who, *, since: date, until: date) -> list[Usage]:
    """What `who` has used of their own, by key and day, oldest first; until is exclusive."""
    days = own_usage(who).filter(day__gte=since, day__lt=until).order_by("day", "api_key_id", "owner_id")
    return [Usage(*row) for row in days.values_list("day", "api_key_id", "owner_id", "sessions", "audio_ms")]


def own_usage(who: Who) -> QuerySet[UsageDay]:
    """The days of a person, with all their keys; of a key, alone; of nobody in particular."""
    if isinstance(who, (User, AnonymousUser)):
        return UsageDay.objects.filter(_of_user(who.pk)) if who.is_active else UsageDay.objects.none()
    if who.key_id is not None:
        return UsageDay.objects.filter(api_key=who.key_id)
    if who.user_id is not None:
        return UsageDay.objects.filter(_of_user(who.user_id))
    return UsageDay.objects.filter(api_key=None, owner=None)


def month_audio_ms(key_ids: Iterable[int], moment: datetime) -> dict[int, int]:
    """Audio of each of the keys in the UTC month of a moment, with what its sessions have settled until now."""
    month = moment.astimezone(UTC).date().replace(day=1)
    ids = list(key_ids)
    counted = UsageDay.objects.filter(api_key__in=ids, day__gte=month).values("api_key_id").order_by()
    used = dict.fromkeys(ids, 0) | dict(counted.annotate(total=Sum("audio_ms")).values_list("api_key_id", "total"))
    for row in TranscriptionSession.objects.filter(state=State.LIVE, api_key__in=ids).only(
        "api_key_id", "metered_ms", "committed_bytes", "encoding", "sample_rate_hz", "channels"
    ):
        if row.api_key_id is not None and row.audio_format.has_constant_rate:
            used[row.api_key_id] += max(0, row.committed_ms - (row.metered_ms or 0))
    return used


def _of_user(user_id: int | None) -> Q:
    return Q(owner=user_id) | Q(api_key__owner=user_id)
