"""Rows for tests of webhooks."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from transcription.webhooks.endpoints import make_endpoint_id
from transcription.webhooks.event_types import SUBSCRIBABLE, EventType
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint


def make_endpoint(**fields: Any) -> WebhookEndpoint:
    """An enabled endpoint of nobody, which wants everything."""
    defaults: dict[str, Any] = {
        "public_id": make_endpoint_id(),
        "url": "http://127.0.0.1:9/hooks",
        "events": [event.value for event in SUBSCRIBABLE],
    }
    return WebhookEndpoint.objects.create(**(defaults | fields))


def make_delivery(endpoint: WebhookEndpoint, **fields: Any) -> WebhookDelivery:
    """A delivery that is due."""
    defaults: dict[str, Any] = {
        "event_type": EventType.SESSION_COMPLETED,
        "body": '{"type":"session.completed","timestamp":"2026-03-01T12:00:00.000Z","data":{}}',
        "due_at": Now(),
    }
    delivery = WebhookDelivery.objects.create(endpoint=endpoint, **(defaults | fields))
    delivery.refresh_from_db()
    return delivery
