"""The admin of webhooks as operators use it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now
from django.test import Client

from transcription.tests.rows import make_session, make_user
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

ENDPOINTS = "/admin/webhooks/webhookendpoint/"
DELIVERIES = "/admin/webhooks/webhookdelivery/"
WANTED = {"url": "https://app.example.org/hooks", "events": ["session.completed"], "reach": "own", "enabled": "on"}


def logged_in(*permissions: str, **fields: Any) -> tuple[Client, User]:
    user = make_user(is_staff=True, **fields)
    for name in permissions:
        label, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))
    client = Client()
    client.force_login(user)
    return client, user


@pytest.fixture
def boss() -> Client:
    return logged_in(is_superuser=True)[0]


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def act(client: Client, address: str, action: str, *rows: Any, **more: str) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    response = client.post(address, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_an_endpoint_is_made_and_its_secret_shown_once(boss: Client) -> None:
    owner = make_user()
    html = boss.post(f"{ENDPOINTS}add/", WANTED | {"owner": owner.pk}).content.decode()
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in html
    assert (endpoint.owner, endpoint.events, endpoint.is_secret_known) == (owner, ["session.completed"], True)
    assert endpoint.public_id.startswith("ep_")
    for address in (ENDPOINTS, f"{ENDPOINTS}{endpoint.pk}/change/", f"{ENDPOINTS}{endpoint.pk}/history/"):
        assert "whsec_" not in page(boss, address)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "https://10.0.0.1/"}, "not public"),
        ({"url": "https://user:pw@app.example.org/"}, "Must not carry a name or password"),
        ({"events": []}, "This field is required"),
        ({"reach": "all"}, "may not read every transcript"),
    ],
)
def test_a_bad_endpoint_is_refused_with_a_sentence(boss: Client, change: dict[str, Any], words: str) -> None:
    html = boss.post(f"{ENDPOINTS}add/", WANTED | {"owner": make_user().pk} | change).content.decode()
    assert words in html
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_is_changed_but_not_its_owner(boss: Client) -> None:
    owner = make_user()
    endpoint = make_endpoint(owner=owner, url=WANTED["url"])
    boss.post(
        f"{ENDPOINTS}{endpoint.pk}/change/",
        {**WANTED, "description": "New", "events": ["segment.final"], "owner": make_user().pk},
    )
    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.events, endpoint.owner) == ("New", ["segment.final"], owner)
    boss.post(f"{ENDPOINTS}{endpoint.pk}/change/", {key: value for key, value in WANTED.items() if key != "enabled"})
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "by_hand")


def test_who_may_not_read_the_transcripts_may_not_lead_them_elsewhere() -> None:
    rights = [f"webhooks.{verb}_webhookendpoint" for verb in ("view", "add", "change")]
    client, user = logged_in(*rights)
    endpoint = make_endpoint(owner=make_user(), url=WANTED["url"])
    assert client.get(f"{ENDPOINTS}add/").status_code == 403
    changed = WANTED | {"url": "https://mine.example.org/"}
    assert client.post(f"{ENDPOINTS}{endpoint.pk}/change/", changed).status_code == 403
    assert "app.example.org" in page(client, f"{ENDPOINTS}{endpoint.pk}/change/")
    user.user_permissions.add(Permission.objects.get(codename="view_captions"))
    assert client.post(f"{ENDPOINTS}{endpoint.pk}/change/", changed).status_code == 302


def test_the_list_says_how_endpoints_do(boss: Client) -> None:
    make_endpoint(description="Well")
    make_endpoint(failing_since=Now())
    make_endpoint(enabled=False, disabled_reason="gone")
    html = page(boss, ENDPOINTS)
    for words in ("Enabled", "Failing", "Disabled", "It answered 410 Gone", "Well"):
        assert words in html


def test_the_list_says_how_the_last_delivery_went(boss: Client) -> None:
    endpoint = make_endpoint()
    make_endpoint()
    make_delivery(endpoint, attempts=1, response_status=200)
    make_delivery(endpoint, attempts=2, response_status=503, error="bad_status", attempted_at=Now())
    make_delivery(endpoint)
    assert "503, bad status" in page(boss, ENDPOINTS)


def test_endpoints_are_tested_disabled_and_enabled(boss: Client) -> None:
    endpoint = make_endpoint()
    assert "a test is on its way" in act(boss, ENDPOINTS, "send_test", endpoint)
    assert WebhookDelivery.objects.get().event_type == "endpoint.test"
    assert "Disable 1 endpoint" in act(boss, ENDPOINTS, "disable", endpoint)
    endpoint.refresh_from_db()
    assert endpoint.enabled
    assert "1 endpoint is changed" in act(boss, ENDPOINTS, "disable", endpoint, confirmed="yes")
    assert "disabled before" in act(boss, ENDPOINTS, "disable", endpoint, confirmed="yes")
    assert "This endpoint is disabled" in act(boss, ENDPOINTS, "send_test", endpoint)
    act(boss, ENDPOINTS, "enable", endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.disabled_reason) == (True, "")


def test_a_secret_is_replaced_and_the_new_one_shown_once(boss: Client) -> None:
    endpoint, other = make_endpoint(), make_endpoint()
    assert "Select one endpoint" in act(boss, ENDPOINTS, "rotate_secret", endpoint, other)
    old = endpoint.secret
    assert "Replace the secret" in act(boss, ENDPOINTS, "rotate_secret", endpoint)
    endpoint.refresh_from_db()
    assert endpoint.secret == old
    html = act(boss, ENDPOINTS, "rotate_secret", endpoint, confirmed="yes")
    endpoint.refresh_from_db()
    assert endpoint.secret in html
    assert old not in html
    assert "The old one is good until" in html


def test_an_endpoint_is_deleted_with_its_log_however_long(boss: Client) -> None:
    endpoint = make_endpoint()
    one = make_delivery(endpoint)
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(endpoint=endpoint, event_type=one.event_type, body="{}") for _ in range(500)
    )
    html = page(boss, f"{ENDPOINTS}{endpoint.pk}/delete/")
    assert "and the log of their deliveries" in html
    assert len(html) < 50_000
    boss.post(f"{ENDPOINTS}{endpoint.pk}/delete/", {"post": "yes"})
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_deliveries_are_listed_filtered_and_found(boss: Client) -> None:
    session = make_session("hello", public_id="call-42")
    endpoint, other = make_endpoint(), make_endpoint()
    told = make_delivery(endpoint, session=session)
    failed = make_delivery(
        other, state="failed", due_at=None, error="connection_failed", event_type="session.failed", response_status=503
    )

    def shown(**query: str) -> set[int]:
        html = page(boss, DELIVERIES, **query)
        return {int(key) for key in re.findall(r'name="_selected_action" value="(\d+)"', html)}

    assert shown() == {told.pk, failed.pk}
    assert shown(state__exact="failed") == {failed.pk}
    assert shown(event_type__exact="session.failed") == {failed.pk}
    assert shown(endpoint__id__exact=str(endpoint.pk)) == {told.pk}
    assert shown(q="call-42") == {told.pk}
    assert shown(q=failed.event_id) == {failed.pk}
    html = page(boss, DELIVERIES)
    assert "connection failed" in html
    assert "503" in html


def test_the_payload_is_shown_so_that_people_can_read_it(boss: Client) -> None:
    body = '{"type":"segment.final","data":{"segments":[{"text":"<b>Öl</b>"}]}}'
    delivery = make_delivery(make_endpoint(), session=make_session("x"), body=body, response_excerpt="<i>no</i>")
    html = page(boss, f"{DELIVERIES}{delivery.pk}/change/")
    assert "&quot;text&quot;: &quot;&lt;b&gt;Öl&lt;/b&gt;&quot;" in html
    assert "&lt;i&gt;no&lt;/i&gt;" in html


def test_the_payload_is_for_those_who_may_read_the_text() -> None:
    client, user = logged_in("webhooks.view_webhookdelivery")
    delivery = make_delivery(make_endpoint(), session=make_session("x"), body='{"text":"secret words"}')
    assert "secret words" not in page(client, f"{DELIVERIES}{delivery.pk}/change/")
    user.user_permissions.add(Permission.objects.get(codename="view_captions"))
    assert "secret words" in page(client, f"{DELIVERIES}{delivery.pk}/change/")


def test_deliveries_are_sent_again_but_not_those_that_are_being_sent(boss: Client) -> None:
    endpoint = make_endpoint()
    failed = make_delivery(endpoint, state="failed", due_at=None, attempts=7)
    busy = make_delivery(endpoint, lease_until=Now() + timedelta(seconds=30))
    html = act(boss, DELIVERIES, "send_again", failed, busy)
    assert "1 delivery is sent again" in html
    assert "1 is left out" in html
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("pending", 0)


def test_sending_again_takes_its_permission() -> None:
    client, user = logged_in("webhooks.view_webhookdelivery")
    failed = make_delivery(make_endpoint(), state="failed", due_at=None)
    act(client, DELIVERIES, "send_again", failed)
    failed.refresh_from_db()
    assert failed.state == "failed"
    user.user_permissions.add(Permission.objects.get(codename="resend_webhookdelivery"))
    act(client, DELIVERIES, "send_again", failed)
    failed.refresh_from_db()
    assert failed.state == "pending"


def test_nobody_writes_or_deletes_the_log(boss: Client) -> None:
    delivery = make_delivery(make_endpoint())
    assert boss.get(f"{DELIVERIES}add/").status_code == 403
    assert boss.post(f"{DELIVERIES}{delivery.pk}/change/", {"body": "{}"}).status_code == 403
    assert boss.post(f"{DELIVERIES}{delivery.pk}/delete/", {"post": "yes"}).status_code == 403
