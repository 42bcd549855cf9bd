"""What was used, over the HTTP API."""

from __future__ import annotations

from datetime import UTC, date, timedelta

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field

from transcription.errors import BadConfig
from transcription.identity.scopes import Scope
from transcription.limits.usage import usage_per_day
from transcription.models import ApiKey
from transcription.rest.authentication import principal_of
from transcription.rest.errors import COMMON_ERRORS
from transcription.rest.schemas import Day, ErrorAnswer

USUAL_DAYS = 30
MAX_DAYS = 366

router = Router(tags=["service"])


class UsageQuery(Schema):
    """Which days."""

    since: Day | None = Field(
        default=None, description=f"The first day (UTC); {USUAL_DAYS} days before until if left out."
    )
    until: Day | None = Field(default=None, description=f"The day after the last one, at most {MAX_DAYS} later.")

    def days(self) -> tuple[date, date]:
        """Raises BadConfig for no days, or too many."""
        try:
            until = self.until or timezone.now().astimezone(UTC).date() + timedelta(days=1)
            since = self.since or until - timedelta(days=USUAL_DAYS)
        except OverflowError:
            raise BadConfig(_("until: there are no days before it."), field="until") from None
        if not 0 < (until - since).days <= MAX_DAYS:
            message = _("since: must be 1 to %(limit)d days before until.") % {"limit": MAX_DAYS}
            raise BadConfig(message, field="since")
        return since, until


class UsageItem(Schema):
    """What was used on one day with one key, or by somebody without one. api_key and owner are names."""

    day: date
    api_key: str | None
    owner: str | None
    sessions: int
    audio_ms: int


class UsageAnswer(Schema):
    """The sums, and the days, oldest first; those without use are left out."""

    since: date
    until: date
    sessions: int
    audio_ms: int
    days: list[UsageItem]


@router.get(
    "/usage",
    operation_id="read_usage",
    summary="Audio transcribed, by day and key",
    response={200: UsageAnswer, COMMON_ERRORS: ErrorAnswer},
)
def read_usage(request: HttpRequest, filters: Query[UsageQuery]) -> UsageAnswer:
    principal = principal_of(request, Scope.SESSIONS_READ)
    since, until = filters.days()
    used = usage_per_day(principal, since=since, until=until)
    keys = ApiKey.objects.in_bulk({item.api_key_id for item in used if item.api_key_id is not None})
    owners = get_user_model().objects.in_bulk({item.owner_id for item in used if item.owner_id is not None})
    days = [
        UsageItem(
            day=item.day,
            api_key=keys[item.api_key_id].name if item.api_key_id in keys else None,
            owner=owners[item.owner_id].get_username() if item.owner_id in owners else None,
            sessions=item.sessions,
            audio_ms=item.audio_ms,
        )
        for item in used
    ]
    return UsageAnswer(
        since=since,
        until=until,
        sessions=sum(item.sessions for item in used),
        audio_ms=sum(item.audio_ms for item in used),
        days=days,
    )
