"""What is put in order now and then: endpoints that may not go on, and a log that must not grow for ever.

Plain functions for a database thread; each changes a bounded number of rows.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now

from transcription.access import endpoint_is_trusted
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.queue import DisabledReason, State, disable

# Of one endpoint. Who cannot be reached for that long gets nothing more, and sees why.
MAX_PENDING = 10_000
ROWS_AT_ONCE = 200
# Of one round; the next goes on.
MAX_PIECES = 25


def tidy(log_days: int) -> None:
    """log_days: how long deliveries that are done with are kept."""
    enabled = WebhookEndpoint.objects.filter(enabled=True)
    disable(enabled.exclude(endpoint_is_trusted()), DisabledReason.CREDENTIALS)
    disable(enabled.filter(pk__in=_overfull()), DisabledReason.BACKLOG)
    give_up_undeliverable()
    WebhookEndpoint.objects.filter(previous_until__lte=Now()).update(previous_salt="", previous_until=None)
    old = WebhookDelivery.objects.filter(created_at__lt=Now() - timedelta(days=log_days)).exclude(state=State.PENDING)
    for _piece in range(MAX_PIECES):
        keys = list(old.order_by("created_at", "pk").values_list("pk", flat=True)[:ROWS_AT_ONCE])
        if not keys:
            break
        WebhookDelivery.objects.filter(pk__in=keys).exclude(state=State.PENDING).delete()


def give_up_undeliverable() -> None:
    """What waits for endpoints that are disabled waits no longer; it can be sent again by hand."""
    idle = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    pending = WebhookDelivery.objects.filter(idle, state=State.PENDING)
    # Endpoints first: the log is long, and only what waits has an index by endpoint.
    disabled = WebhookEndpoint.objects.filter(Exists(pending.filter(endpoint=OuterRef("pk"))), enabled=False)
    endpoints = list(disabled.values_list("pk", flat=True)[:MAX_PIECES])
    for _piece in range(MAX_PIECES):
        keys = list(pending.filter(endpoint__in=endpoints).order_by().values_list("pk", flat=True)[:ROWS_AT_ONCE])
        if not keys:
            break
        WebhookDelivery.objects.filter(idle, pk__in=keys, state=State.PENDING).update(
            state=State.FAILED, error="endpoint_disabled", due_at=None
        )


def _overfull() -> list[int]:
    waiting = WebhookDelivery.objects.filter(state=State.PENDING).order_by().values("endpoint")
    return [row["endpoint"] for row in waiting.annotate(number=Count("pk")) if row["number"] > MAX_PENDING]
