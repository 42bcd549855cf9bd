"""Endpoints that may not go on are disabled, what waits for them is given up, and the log does not grow for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from transcription.models import ApiKey
from transcription.tests.rows import make_user
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks import tidying
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.tidying import ROWS_AT_ONCE, tidy

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def reasons() -> list[str]:
    return list(WebhookEndpoint.objects.order_by("pk").values_list("disabled_reason", flat=True))


def test_what_waits_for_a_disabled_endpoint_is_given_up_and_nothing_else() -> None:
    off, on = make_endpoint(enabled=False), make_endpoint()
    for endpoint in (off, on):
        make_delivery(endpoint)
    tidy(30)
    states = WebhookDelivery.objects.order_by("pk").values_list("state", "error")
    assert list(states) == [("failed", "endpoint_disabled"), ("pending", "")]


def test_a_revoked_key_and_a_closed_account_end_their_endpoints_visibly() -> None:
    revoked, good = ApiKey.create("a")[0], ApiKey.create("b")[0]
    closed = make_user()
    make_endpoint(api_key=revoked)
    make_endpoint(api_key=good)
    make_endpoint(owner=closed)
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=Now())
    closed.is_active = False
    closed.save()
    tidy(30)
    assert reasons() == ["credentials", "", "credentials"]


def test_an_endpoint_for_which_too_much_waits_is_disabled() -> None:
    full, other = make_endpoint(), make_endpoint()
    make_delivery(other)
    one = make_delivery(full)
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(endpoint=full, event_type=one.event_type, body="{}", due_at=one.due_at)
        for _ in range(tidying.MAX_PENDING)
    )
    tidy(30)
    assert reasons() == ["backlog", ""]
    # As much as one round does; the next ones go on.
    given_up = WebhookDelivery.objects.filter(state="failed").count()
    assert given_up == ROWS_AT_ONCE * tidying.MAX_PIECES


def test_old_deliveries_are_forgotten_once_they_are_done_with() -> None:
    endpoint = make_endpoint()
    old = Now() - timedelta(days=31)
    make_delivery(endpoint, state="delivered", due_at=None, created_at=old)
    make_delivery(endpoint, state="failed", due_at=None, created_at=old)
    kept = [
        make_delivery(endpoint, created_at=old).pk,
        make_delivery(endpoint, state="delivered", due_at=None, created_at=Now() - timedelta(days=29)).pk,
    ]
    tidy(30)
    assert list(WebhookDelivery.objects.order_by("pk").values_list("pk", flat=True)) == kept


def test_an_old_secret_is_forgotten_when_its_time_is_over() -> None:
    over = make_endpoint(previous_salt="old", previous_until=Now() - timedelta(seconds=1))
    good = make_endpoint(previous_salt="old", previous_until=Now() + timedelta(hours=1))
    tidy(30)
    for endpoint in (over, good):
        endpoint.refresh_from_db()
    assert (over.previous_salt, over.previous_until, good.previous_salt) == ("", None, "old")
