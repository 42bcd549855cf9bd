"""What people and programs do to endpoints and their deliveries. Plain functions for threads that may wait."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.access import may_read_all_captions, own_endpoints
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import BadConfig, NotAllowed, NotFound, TooFast, TranscriptionError
from transcription.identity.principals import Principal
from transcription.webhooks import signing
from transcription.webhooks.event_types import SUBSCRIBABLE, EventType
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.payloads import build_body
from transcription.webhooks.queue import DisabledReason, disable, send_again
from transcription.webhooks.targets import TargetRules

MAX_ENDPOINTS_PER_OWNER = 20
MAX_WAITING_TESTS = 5
TEST_RETRY_AFTER_MS = 30_000
DEFAULT_OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 7 * 24
ENDPOINT_ID_BYTES = 12
ROWS_DELETED_AT_ONCE = 200

State = WebhookDelivery.State
Reach = WebhookEndpoint.Reach


class EndpointDisabled(TranscriptionError):
    """Nothing is sent to an endpoint that is disabled; enable it first."""

    code, default_reason = 4409, "endpoint_disabled"


class DeliveryInProgress(TranscriptionError):
    """The delivery is being sent at this moment."""

    code, default_reason, default_retryable = 4409, "delivery_in_progress", True


def create_endpoint(
    principal: Principal, rules: TargetRules, *, url: str, events: Iterable[str], **fields: Any
) -> WebhookEndpoint:
    """Make an endpoint of whoever asks. fields: description, enabled, reach.

    Its `secret` is for the answer to this very request. Raises BadConfig naming the field, TooFast when the owner has
    MAX_ENDPOINTS_PER_OWNER, NotAllowed for a reach that is not theirs.
    """
    _check_reach(principal, fields.get("reach"))
    rules.check(url)
    if own_endpoints(principal).count() >= MAX_ENDPOINTS_PER_OWNER:
        message = _("You have %(limit)d endpoints, which is as many as there may be. Delete one first.")
        raise TooFast(message % {"limit": MAX_ENDPOINTS_PER_OWNER}, reason="too_many_endpoints", retryable=False)
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.create(
            public_id=make_endpoint_id(),
            owner_id=principal.user_id,
            api_key_id=principal.key_id,
            url=url,
            events=order_events(events),
            **fields,
        )
        note_made(endpoint)
    return endpoint


def note_made(endpoint: WebhookEndpoint) -> None:
    record(AuditEvent.What.MADE, endpoint, host=host_of(endpoint), events=endpoint.events, reach=endpoint.reach)


def note_changed(endpoint: WebhookEndpoint, fields: Iterable[str]) -> None:
    """An endpoint as it is now; nothing where no field was changed."""
    changed = sorted(fields)
    if changed:
        facts = {"fields": changed, "host": host_of(endpoint), "reach": endpoint.reach}
        record(AuditEvent.What.EDITED, endpoint, facts)


def host_of(endpoint: WebhookEndpoint) -> str:
    """Where it leads; the rest of an address is often a secret."""
    return urlsplit(endpoint.url).hostname or ""


def make_endpoint_id() -> str:
    return f"ep_{secrets.token_urlsafe(ENDPOINT_ID_BYTES)}"


def order_events(events: Iterable[str]) -> list[str]:
    """The events once each, in the order of SUBSCRIBABLE. Raises BadConfig naming `events`."""
    wanted = set(events)
    unknown = wanted - set(SUBSCRIBABLE)
    if unknown or not wanted:
        message = _("events: one or more of %(events)s.") % {"events": ", ".join(SUBSCRIBABLE)}
        raise BadConfig(message, field="events")
    return [event.value for event in SUBSCRIBABLE if event in wanted]


def get_endpoint(public_id: str, principal: Principal) -> WebhookEndpoint:
    """Raises NotFound for one that does not exist or is somebody else's."""
    endpoint = own_endpoints(principal).filter(public_id=public_id).first() if "\0" not in public_id else None
    if endpoint is None:
        raise NotFound(_("There is no such webhook endpoint."))
    return endpoint


def change_endpoint(
    endpoint: WebhookEndpoint, principal: Principal, rules: TargetRules, changes: dict[str, Any]
) -> None:
    """Write what is asked for: url, events, description, enabled, reach. Raises as create_endpoint() does.

    Whoever enables it answers for it from then on, so that one whose key was revoked can go on with another.
    """
    _check_reach(principal, changes.get("reach"))
    if "url" in changes:
        rules.check(changes["url"])
    if "events" in changes:
        changes["events"] = order_events(changes["events"])
    enabled = changes.pop("enabled", None)
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    with transaction.atomic():
        if changes:
            rows.update(**changes)
            for name, value in changes.items():
                setattr(endpoint, name, value)
            note_changed(endpoint, changes)
        if enabled:
            enable(rows)
            rows.update(api_key_id=principal.key_id)
        elif enabled is not None:
            disable(rows, DisabledReason.BY_HAND)
    endpoint.refresh_from_db()


def enable(endpoints: QuerySet[WebhookEndpoint]) -> None:
    """Send them what happens from now on, with a clean sheet."""
    for endpoint in endpoints.filter(enabled=False):
        with transaction.atomic():
            row = WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=False)
            if row.update(enabled=True, disabled_reason="", disabled_at=None, failing_since=None):
                note_changed(endpoint, ["enabled"])


def delete_endpoint(endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint and its log, some rows at a time: one large write would hold up live commits."""
    disable(WebhookEndpoint.objects.filter(pk=endpoint.pk), DisabledReason.BY_HAND)
    while keys := list(endpoint.deliveries.order_by().values_list("pk", flat=True)[:ROWS_DELETED_AT_ONCE]):
        WebhookDelivery.objects.filter(pk__in=keys).delete()
    endpoint.delete()


def rotate_secret(endpoint: WebhookEndpoint, overlap_hours: int = DEFAULT_OVERLAP_HOURS) -> None:
    """Make a new secret. The old one signs beside it for overlap_hours; 0: not at all, for one that has leaked."""
    keeps_old = overlap_hours > 0 and endpoint.is_secret_known
    salt = signing.make_salt()
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            salt=salt,
            fingerprint=signing.fingerprint(salt),
            previous_salt=endpoint.salt if keeps_old else "",
            previous_until=Now() + timedelta(hours=overlap_hours) if keeps_old else None,
        )
        note_changed(endpoint, ["secret"])
    endpoint.refresh_from_db()


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Queue an `endpoint.test`. Raises EndpointDisabled, and TooFast while MAX_WAITING_TESTS wait to be sent."""
    _check_enabled(endpoint)
    tests = endpoint.deliveries.filter(event_type=EventType.ENDPOINT_TEST, state=State.PENDING)
    if tests.count() >= MAX_WAITING_TESTS:
        raise TooFast(
            _("Several tests of this endpoint wait to be sent already."),
            reason="too_many_tests",
            retry_after_ms=TEST_RETRY_AFTER_MS,
        )
    data = {"endpoint_id": endpoint.public_id, "events": endpoint.events}
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint,
        event_type=EventType.ENDPOINT_TEST,
        body=build_body(EventType.ENDPOINT_TEST, data, now=timezone.now()),
        created_at=Now(),
        due_at=Now(),
    )
    delivery.refresh_from_db()
    return delivery


def get_delivery(endpoint: WebhookEndpoint, event_id: str) -> WebhookDelivery:
    """Raises NotFound."""
    found = endpoint.deliveries.filter(event_id=event_id) if "\0" not in event_id else endpoint.deliveries.none()
    delivery = found.select_related("session").first()
    if delivery is None:
        raise NotFound(_("There is no such delivery of this endpoint."))
    return delivery


def resend(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    """Send it once more, with the same id. Raises EndpointDisabled, DeliveryInProgress."""
    _check_enabled(endpoint)
    if not send_again(WebhookDelivery.objects.filter(pk=delivery.pk)):
        raise DeliveryInProgress(_("This delivery is being sent at this moment."), retry_after_ms=TEST_RETRY_AFTER_MS)
    delivery.refresh_from_db()


def _check_enabled(endpoint: WebhookEndpoint) -> None:
    if not endpoint.enabled:
        raise EndpointDisabled(_("This endpoint is disabled. Enable it first."))


def _check_reach(principal: Principal, reach: str | None) -> None:
    if reach == Reach.ALL and not may_read_all_captions(principal):
        raise NotAllowed(_("Only people who may read every transcript may hear of all sessions."))
