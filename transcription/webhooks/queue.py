"""What is to be sent next, and what came of it. Plain functions for a database thread; times are the database's."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from transcription.access import usable_endpoints
from transcription.audit.actors import Actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.metrics import WEBHOOK_ENDPOINTS_DISABLED_TOTAL
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

# Of one endpoint side by side, by all processes together.
AT_ONCE_PER_ENDPOINT = 4
# Of one whose last attempt failed: every attempt at a dead one takes its whole time.
AT_ONCE_WHILE_FAILING = 1
MAX_ENDPOINTS_AT_ONCE = 200
DISABLED_AFTER = timedelta(days=5)
# So often at most a success is noted at its endpoint, which would otherwise be written with each delivery.
NOTED_EVERY = timedelta(seconds=60)
# Who disables what is disabled for its failures.
ITSELF = Actor(AuditEvent.ActorKind.RULE, "webhooks")

State = WebhookDelivery.State
DisabledReason = WebhookEndpoint.DisabledReason


def next_deliveries(*, failing_at_once: int) -> QuerySet[WebhookDelivery]:
    """Due deliveries, the first few of each endpoint: however much waits for one, it delays no other.

    failing_at_once: of how many endpoints whose last attempt failed there may be any, so that many that never answer
    leave room for those that do.
    """
    due = WebhookDelivery.objects.filter(state=State.PENDING, due_at__lte=Now()).order_by("due_at", "pk")
    if not due.exists():
        # As nearly always, and a cheaper question than the next.
        return WebhookDelivery.objects.none()
    first_due = due.filter(endpoint=OuterRef("pk")).values("due_at")[:1]
    endpoints = usable_endpoints().annotate(first_due=Subquery(first_due)).filter(first_due__isnull=False)
    chosen = list(endpoints.order_by("first_due").values_list("pk", "failing_since")[:MAX_ENDPOINTS_AT_ONCE])
    failing = [pk for pk, failing_since in chosen if failing_since is not None][: max(0, failing_at_once)]
    keys: list[int] = []
    for pk, failing_since in chosen:
        if failing_since is None:
            # Those that are being sent are due as well, and come first: they count.
            keys += due.filter(endpoint=pk).values_list("pk", flat=True)[:AT_ONCE_PER_ENDPOINT]
        elif pk in failing:
            keys += due.filter(endpoint=pk).values_list("pk", flat=True)[:AT_ONCE_WHILE_FAILING]
    return WebhookDelivery.objects.filter(pk__in=keys, state=State.PENDING).select_related("endpoint")


def note_success(endpoint_id: int) -> None:
    """Something was delivered to this endpoint."""
    stale = Q(failing_since__isnull=False) | Q(delivered_at=None) | Q(delivered_at__lt=Now() - NOTED_EVERY)
    WebhookEndpoint.objects.filter(stale, pk=endpoint_id).update(failing_since=None, delivered_at=Now())


def note_failure(endpoint_id: int, *, is_gone: bool, was_last: bool) -> bool:
    """An attempt at this endpoint failed. Returns whether the endpoint was disabled for it.

    is_gone: it says that it is not there any more. was_last: the delivery is given up, which is looked at alone:
    so a failure long ago and one today do not disable an endpoint that was asked nothing in between.
    """
    endpoints = WebhookEndpoint.objects.filter(pk=endpoint_id)
    endpoints.filter(failing_since=None).update(failing_since=Now())
    if is_gone:
        return disable(endpoints, DisabledReason.GONE)
    if was_last:
        return disable(endpoints.filter(failing_since__lte=Now() - DISABLED_AFTER), DisabledReason.FAILING)
    return False


def disable(endpoints: QuerySet[WebhookEndpoint], reason: str) -> bool:
    """Send these endpoints nothing more. What waits for them is given up by tidying. True if one was enabled."""
    actor = None if reason == DisabledReason.BY_HAND else ITSELF
    changed = 0
    for endpoint in endpoints.filter(enabled=True):
        with transaction.atomic():
            row = WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=True)
            if not row.update(enabled=False, disabled_reason=reason, disabled_at=Now()):
                continue
            record(AuditEvent.What.DISABLED, endpoint, actor=actor, reason=reason)
        changed += 1
    if changed:
        WEBHOOK_ENDPOINTS_DISABLED_TOTAL.labels(reason=reason).inc(changed)
    return changed > 0


def send_again(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Make deliveries due at once, from the beginning of the schedule. Returns how many.

    Those that are being sent at this moment are left alone, and so are those of endpoints that are disabled.
    """
    idle = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    usable = deliveries.filter(idle, endpoint__in=usable_endpoints().values("pk"))
    # Keys first: an update cannot join.
    keys = list(usable.values_list("pk", flat=True))
    return WebhookDelivery.objects.filter(idle, pk__in=keys).update(
        state=State.PENDING, due_at=Now(), attempts=0, error="", delivered_at=None
    )
