"""What goes in and out of the HTTP API's operations on webhooks."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from ninja import Schema
from pydantic import ConfigDict, Field, field_validator

from transcription.options import has_unstorable
from transcription.rest.schemas import CURSOR_PATTERN, DEFAULT_PAGE, MAX_PAGE
from transcription.webhooks.endpoints import DEFAULT_OVERLAP_HOURS, MAX_OVERLAP_HOURS
from transcription.webhooks.models import MAX_DESCRIPTION_CHARACTERS, WebhookDelivery, WebhookEndpoint
from transcription.webhooks.targets import MAX_URL_CHARACTERS

Event = Literal["session.completed", "session.failed", "segment.final"]
Reach = Literal["own", "all"]
DeliveryState = Literal["pending", "delivered", "failed"]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARACTERS)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS)]
Events = Annotated[list[Event], Field(min_length=1, max_length=10)]


class _Request(Schema):
    model_config = ConfigDict(extra="forbid")

    @field_validator("url", "description", check_fields=False)
    @classmethod
    def _is_storable(cls, value: str) -> str:
        if has_unstorable(value):
            raise ValueError("a character that cannot be stored")
        return value


class EndpointRequest(_Request):
    """A new endpoint."""

    url: Url
    events: Events
    description: Description = ""
    enabled: bool = True
    reach: Reach = "own"


class EndpointChange(_Request):
    """What shall change; what is left out stays."""

    url: Url = ""
    events: Annotated[Events, Field(default_factory=list)]
    description: Description = ""
    enabled: bool = True
    reach: Reach = "own"


class RotateRequest(_Request):
    """overlap_hours: how long the old secret signs beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=MAX_OVERLAP_HOURS)] = DEFAULT_OVERLAP_HOURS


class EndpointAnswer(Schema):
    """An endpoint, without its secret. disabled_reason: a stable word, empty while it is enabled."""

    endpoint_id: str
    url: str
    events: list[Event]
    description: str
    reach: Reach
    enabled: bool
    disabled_reason: str
    disabled_at: datetime | None
    created_at: datetime
    failing_since: datetime | None
    delivered_at: datetime | None
    previous_secret_until: datetime | None

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, **more: Any) -> Self:
        return cls(
            endpoint_id=endpoint.public_id,
            previous_secret_until=endpoint.previous_until,
            **{name: getattr(endpoint, name) for name in EndpointAnswer.model_fields if hasattr(endpoint, name)},
            **more,
        )


class EndpointSecret(EndpointAnswer):
    """The endpoint with its secret, which is told this once."""

    secret: str


class EndpointList(Schema):
    """Newest first."""

    endpoints: list[EndpointAnswer]


class DeliveryFilters(Schema):
    """Which deliveries of an endpoint: newest first, a page at a time."""

    state: DeliveryState | None = None
    event: Literal["session.completed", "session.failed", "segment.final", "endpoint.test"] | None = None
    cursor: Annotated[str, Field(pattern=CURSOR_PATTERN)] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE


class DeliveryAnswer(Schema):
    """One event on its way to one endpoint. error: a stable word, empty if nothing went wrong at the last attempt."""

    event_id: str
    event: str
    session_id: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None
    response_status: int | None
    duration_ms: int | None
    error: str

    @classmethod
    def of(cls, delivery: WebhookDelivery, **more: Any) -> Self:
        return cls(
            event=delivery.event_type,
            session_id=delivery.session.public_id if delivery.session is not None else None,
            next_attempt_at=delivery.due_at,
            **{name: getattr(delivery, name) for name in DeliveryAnswer.model_fields if name not in _RENAMED},
            **more,
        )


_RENAMED = frozenset({"event", "session_id", "next_attempt_at"})


class DeliveryDetail(DeliveryAnswer):
    """With what is sent, and the beginning of what was answered."""

    payload: dict[str, Any]
    response_excerpt: str

    @classmethod
    def of(cls, delivery: WebhookDelivery, **more: Any) -> Self:
        return super().of(
            delivery, payload=json.loads(delivery.body), response_excerpt=delivery.response_excerpt, **more
        )


class DeliveryPage(Schema):
    """next: the cursor of the following page, null on the last one."""

    deliveries: list[DeliveryAnswer]
    next: str | None
