"""What a key may use: live sessions, starts a minute, audio a month. Plain functions for a database thread.

All of it is judged where a session becomes live, under the lock of admission, so that it is exact over all processes;
the month also while sessions go on (see credential_watch.py). Requests are counted in auth.py, by each process.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import NotAuthenticated, TooFast
from transcription.identity.keys import why_unusable
from transcription.identity.principals import Principal
from transcription.limits.usage import month_audio_ms
from transcription.metrics import ADMISSION_REFUSED_TOTAL
from transcription.models import ApiKey, TranscriptionSession

MS_PER_MINUTE = 60_000
RATE_WINDOW = timedelta(minutes=1)
# Made by `POST start-transcription` and started within this time, so that a start is found by when it was made.
STARTED_WITHIN = timedelta(hours=1)
PLACES_RETRY_AFTER_MS = 5000

State = TranscriptionSession.State


def usable_key(principal: Principal) -> Any:
    """The key behind a principal with `now`, the database's time; None for one without.

    Raises NotAuthenticated for a key or account that is not good any more, however long ago it was looked at, and
    TooFast where the key's minutes of this month are used up.
    """
    if principal.key_id is None:
        if principal.kind == "token" and principal.user_id is not None:
            _check_account(principal.user_id)
        return None
    key: Any = ApiKey.objects.select_related("owner").annotate(now=Now()).filter(pk=principal.key_id).first()
    if key is None:
        raise NotAuthenticated(_("This key was deleted."), reason="key_revoked")
    problem = why_unusable(key, key.now)
    if problem is not None:
        raise problem
    problem_of_month = over_month([key], key.now).get(key.pk)
    if problem_of_month is not None:
        raise _refused(problem_of_month)
    return key


def check_start_rate(key: Any) -> None:
    """Raise TooFast for one more start than the key may make in a minute."""
    if key is None or not key.rate_limit:
        return
    starts = TranscriptionSession.objects.filter(
        api_key=key, created_at__gt=key.now - STARTED_WITHIN - RATE_WINDOW, started_at__gt=key.now - RATE_WINDOW
    )
    newest = starts.order_by("-started_at").values_list("started_at", flat=True)
    # The start that has to grow old before there may be another one.
    blocking = newest[key.rate_limit - 1 : key.rate_limit].first()
    if blocking is not None:
        wait = blocking + RATE_WINDOW - key.now
        raise _refused(
            TooFast(
                _("This key may start %(limit)d sessions a minute.") % {"limit": key.rate_limit},
                reason="rate_limit",
                retry_after_ms=_ms(wait),
            )
        )


def check_key_places(key: Any) -> None:
    """Raise TooFast for one more live session than the key may have."""
    if key is None or not key.max_sessions:
        return
    if TranscriptionSession.objects.filter(state=State.LIVE, api_key=key).count() >= key.max_sessions:
        raise _refused(
            TooFast(
                _("This key may have %(limit)d live sessions. End one of them first.") % {"limit": key.max_sessions},
                reason="too_many_sessions",
                retry_after_ms=PLACES_RETRY_AFTER_MS,
            )
        )


def over_month(keys: Collection[Any], now: datetime) -> dict[int, TooFast]:
    """What to tell those whose minutes of the month are used up, by the key's id."""
    limited = {key.pk: key for key in keys if key.monthly_minutes}
    if not limited:
        return {}
    used = month_audio_ms(limited, now)
    return {
        pk: TooFast(
            _("The %(limit)d minutes a month of this key are used up.") % {"limit": key.monthly_minutes},
            reason="monthly_minutes",
            retry_after_ms=_ms(next_month(now) - now),
        )
        for pk, key in limited.items()
        if used[pk] >= key.monthly_minutes * MS_PER_MINUTE
    }


def next_month(moment: datetime) -> datetime:
    """When the UTC month after that of a moment begins."""
    day = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=32)).replace(day=1)


def _check_account(user_id: int) -> None:
    if not get_user_model().objects.filter(pk=user_id, is_active=True).exists():
        raise NotAuthenticated(_("This account is closed."), reason="account_closed")


def _refused(error: TooFast) -> TooFast:
    ADMISSION_REFUSED_TOTAL.labels(reason="key").inc()
    return error


def _ms(wait: timedelta) -> int:
    return max(1, round(wait.total_seconds() * 1000))
