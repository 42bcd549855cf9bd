"""The kind of job that sends a delivery. At least once: an attempt that was cut off is made again, with the same id."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from transcription.jobs.kind import Lease, Outcome
from transcription.metrics import WEBHOOK_ATTEMPT_SECONDS, WEBHOOK_ATTEMPTS_TOTAL
from transcription.webhooks import queue
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.schedule import retry_in_s
from transcription.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from transcription.webhooks.sender import Answer, Sender

logger = logging.getLogger(__name__)

DATABASE_TIMEOUT_S = 10.0
GONE_STATUS = 410

State = WebhookDelivery.State


class DeliveryKind:
    """Sends what is due and writes down what came of it.

    make_sender: called when there is first something to send. failing_at_once: how many of at_once may be at
    endpoints whose last attempt failed.
    """

    name = "webhook_delivery"
    at_once = 50
    failing_at_once = 20
    # An attempt that takes longer is made again by another process, with the same id.
    grace_s = 5.0
    look_every_s = 0.0

    def __init__(self, make_sender: Callable[[], Sender], *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._make_sender = functools.cache(make_sender)
        self._clock = clock
        self._at_failing: set[int] = set()

    def rows(self) -> QuerySet[Any]:
        return queue.next_deliveries(failing_at_once=self.failing_at_once - len(self._at_failing))

    async def work(self, row: WebhookDelivery, lease: Lease) -> Outcome:
        endpoint = row.endpoint
        if not endpoint.is_secret_known:
            await lease.threads.run(
                queue.disable,
                WebhookEndpoint.objects.filter(pk=endpoint.pk),
                WebhookEndpoint.DisabledReason.SECRET,
                timeout_s=DATABASE_TIMEOUT_S,
            )
            return Outcome({"state": State.FAILED, "error": "endpoint_disabled"}, is_an_attempt=False)
        if endpoint.failing_since is not None:
            self._at_failing.add(row.pk)
        try:
            answer = await self._send(row, endpoint)
        finally:
            self._at_failing.discard(row.pk)
        return await self._judge(row, answer, lease)

    async def _send(self, row: WebhookDelivery, endpoint: WebhookEndpoint) -> Answer:
        now = self._clock()
        salts = [endpoint.salt]
        if endpoint.previous_salt and endpoint.previous_until is not None and now < endpoint.previous_until:
            salts.append(endpoint.previous_salt)
        body = row.body.encode()
        headers = signed_headers(row.event_id, body, salts=salts, timestamp_s=int(now.timestamp()))
        return await self._make_sender().send(endpoint.url, body, headers)

    async def _judge(self, row: WebhookDelivery, answer: Answer, lease: Lease) -> Outcome:
        WEBHOOK_ATTEMPT_SECONDS.observe(answer.duration_ms / 1000)
        changes: dict[str, Any] = {
            "response_status": answer.status,
            "response_excerpt": answer.excerpt,
            "error": answer.error,
            "duration_ms": answer.duration_ms,
            "attempted_at": Now(),
        }
        if answer.is_delivered:
            WEBHOOK_ATTEMPTS_TOTAL.labels(event=row.event_type, outcome="delivered").inc()
            await lease.threads.run(queue.note_success, row.endpoint_id, timeout_s=DATABASE_TIMEOUT_S)
            return Outcome({**changes, "state": State.DELIVERED, "delivered_at": Now()})
        is_gone = answer.status == GONE_STATUS
        again_in_s = None if is_gone else retry_in_s(row.attempts, asked_s=answer.retry_after_s)
        outcome = "retry" if again_in_s is not None else "failed"
        WEBHOOK_ATTEMPTS_TOTAL.labels(event=row.event_type, outcome=outcome).inc()
        was_disabled = await lease.threads.run(
            queue.note_failure,
            row.endpoint_id,
            is_gone=is_gone,
            was_last=again_in_s is None,
            timeout_s=DATABASE_TIMEOUT_S,
        )
        if was_disabled:
            logger.warning("Webhook endpoint %s was disabled after %s.", row.endpoint.public_id, answer.error)
        return Outcome({**changes, "state": State.FAILED if again_in_s is None else State.PENDING}, due_in_s=again_in_s)
