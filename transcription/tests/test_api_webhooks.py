"""The HTTP API's operations on webhook endpoints and their deliveries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from speechsite.config import get_config
from transcription.identity.scopes import Scope
from transcription.models import ApiKey
from transcription.tests.rows import make_session, make_user
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks import signing
from transcription.webhooks.endpoints import MAX_ENDPOINTS_PER_OWNER, MAX_WAITING_TESTS
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

BASE = f"{get_config().api_v1_str}/webhooks"
ELSEWHERE = "192.0.2.7"
WANTED = {"url": "https://app.example.org/hooks", "events": ["segment.final", "session.completed"]}


class Api:
    """Somebody with credentials."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        text = json.dumps(body) if body is not None else ""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.generic(method, BASE + path, text, content_type="application/json", headers=named)


def api_of(owner: Any = None, *scopes: Scope) -> tuple[Api, ApiKey]:
    key, text = ApiKey.create("app", owner, scopes=[scope.value for scope in scopes or (Scope.WEBHOOKS,)])
    return Api(Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": f"Bearer {text}"})), key


@pytest.fixture
def api() -> Api:
    return api_of(make_user())[0]


@pytest.fixture
def endpoint(api: Api) -> WebhookEndpoint:
    """An endpoint of theirs."""
    return WebhookEndpoint.objects.get(public_id=api("POST", "", WANTED).json()["endpoint_id"])


def check_error(response: Any, status: int, reason: str | None = None, field: str | None = None) -> None:
    assert response.status_code == status, response.content
    body = response.json()
    assert body["field"] == field
    assert reason is None or body["reason"] == reason


def test_an_endpoint_is_made_and_its_secret_told_once(api: Api) -> None:
    response = api("POST", "", WANTED | {"description": "Our app"})
    assert response.status_code == 201
    body = response.json()
    row = WebhookEndpoint.objects.get(public_id=body["endpoint_id"])
    assert body["secret"] == row.secret == signing.secret_text(row.salt)
    assert (body["url"], body["description"]) == ("https://app.example.org/hooks", "Our app")
    assert body["events"] == ["session.completed", "segment.final"]
    assert (body["enabled"], body["reach"], body["disabled_reason"]) == (True, "own", "")
    for path in ("", f"/{row.public_id}"):
        assert b"whsec_" not in api("GET", path).content


def test_the_same_request_with_the_same_key_makes_one_endpoint_and_tells_no_secret_twice(api: Api) -> None:
    assert api("POST", "", WANTED, Idempotency_Key="once").status_code == 201
    again = api("POST", "", WANTED, Idempotency_Key="once")
    check_error(again, 409, "answered_already")
    assert WebhookEndpoint.objects.count() == 1


def test_endpoints_are_listed_read_changed_and_deleted(api: Api, endpoint: WebhookEndpoint) -> None:
    path = f"/{endpoint.public_id}"
    make_delivery(endpoint)
    assert [one["endpoint_id"] for one in api("GET").json()["endpoints"]] == [endpoint.public_id]
    changed = api("PATCH", path, {"events": ["session.failed"], "description": "New"}).json()
    assert (changed["events"], changed["description"], changed["url"]) == (["session.failed"], "New", WANTED["url"])
    assert api("GET", path).json() == changed
    assert api("DELETE", path).status_code == 204
    check_error(api("GET", path), 404)
    assert not WebhookDelivery.objects.exists()


def test_an_endpoint_is_disabled_and_enabled_by_hand(api: Api, endpoint: WebhookEndpoint) -> None:
    path = f"/{endpoint.public_id}"
    off = api("PATCH", path, {"enabled": False}).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "by_hand")
    assert off["disabled_at"] is not None
    WebhookEndpoint.objects.update(failing_since=Now())
    on = api("PATCH", path, {"enabled": True}).json()
    assert (on["enabled"], on["disabled_reason"], on["disabled_at"], on["failing_since"]) == (True, "", None, None)


def test_an_endpoint_of_a_revoked_key_goes_on_with_the_key_that_enables_it(endpoint: WebhookEndpoint) -> None:
    ApiKey.objects.filter(webhook_endpoints=endpoint).update(revoked_at=Now())
    other, key = api_of(endpoint.owner)
    assert other("PATCH", f"/{endpoint.public_id}", {"enabled": True}).json()["enabled"]
    endpoint.refresh_from_db()
    assert endpoint.api_key == key


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": WANTED["url"]}, "events"),
        (WANTED | {"events": []}, "events"),
        (WANTED | {"events": ["session.started"]}, "events.0"),
        (WANTED | {"url": "http://app.example.org/"}, None),
        (WANTED | {"url": "https://10.0.0.1/"}, "url"),
        (WANTED | {"url": "https://user:pw@app.example.org/"}, "url"),
        (WANTED | {"url": "https://app.example.org/\0"}, "url"),
        (WANTED | {"url": "x" * 2001}, "url"),
        (WANTED | {"url": None}, "url"),
        (WANTED | {"description": "x" * 201}, "description"),
        (WANTED | {"description": "\ud800"}, "description"),
        (WANTED | {"reach": "theirs"}, "reach"),
        (WANTED | {"secret": "whsec_mine"}, "secret"),
    ],
)
def test_a_bad_endpoint_is_refused_naming_the_field(api: Api, body: Any, field: str | None) -> None:
    response = api("POST", "", body)
    if field is None:  # the development profile takes http
        assert response.status_code == 201
        return
    check_error(response, 422, field=field)
    assert not WebhookEndpoint.objects.exists()


def test_a_bad_change_is_refused_and_changes_nothing(api: Api, endpoint: WebhookEndpoint) -> None:
    for body, field in (
        ({"url": "https://[::1/"}, "url"),
        ({"events": None}, "events"),
        ({"created_at": 1}, "created_at"),
    ):
        check_error(api("PATCH", f"/{endpoint.public_id}", body), 422, field=field)
    before = endpoint.url
    endpoint.refresh_from_db()
    assert endpoint.url == before


def test_an_owner_has_so_many_endpoints_at_most(api: Api, endpoint: WebhookEndpoint) -> None:
    for _ in range(MAX_ENDPOINTS_PER_OWNER - 1):
        make_endpoint(owner=endpoint.owner)
    check_error(api("POST", "", WANTED), 429, "too_many_endpoints")


def test_what_belongs_to_somebody_else_is_not_there(endpoint: WebhookEndpoint) -> None:
    delivery = make_delivery(endpoint)
    path = f"/{endpoint.public_id}"
    for stranger in (api_of(make_user())[0], api_of()[0], Api(Client(headers={"Host": "localhost"}))):
        assert stranger("GET").json() == {"endpoints": []}
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/rotate-secret"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
            ("GET", f"/deliveries/{delivery.event_id}"),
            ("POST", f"/deliveries/{delivery.event_id}/resend"),
        ):
            check_error(stranger(method, path + rest, {} if method in ("PATCH", "POST") else None), 404)
    assert WebhookEndpoint.objects.count() == 1


def test_a_person_and_all_their_keys_have_the_same_endpoints(endpoint: WebhookEndpoint) -> None:
    assert endpoint.owner is not None
    other_key = api_of(endpoint.owner)[0]
    login = Client(headers={"Host": "localhost"})
    login.force_login(endpoint.owner)
    for one in (other_key, Api(login)):
        assert [found["endpoint_id"] for found in one("GET").json()["endpoints"]] == [endpoint.public_id]


def test_a_key_without_the_scope_is_refused_naming_it(endpoint: WebhookEndpoint) -> None:
    reader = api_of(endpoint.owner, Scope.SESSIONS_READ)[0]
    response = reader("GET")
    check_error(response, 403, "scope_missing")
    assert "webhooks" in response.json()["message"]


def test_only_who_may_read_everything_may_hear_of_all_sessions(api: Api, endpoint: WebhookEndpoint) -> None:
    check_error(api("POST", "", WANTED | {"reach": "all"}), 403)
    check_error(api("PATCH", f"/{endpoint.public_id}", {"reach": "all"}), 403)
    operators_key = api_of(make_user("view_captions"))[0]
    check_error(operators_key("POST", "", WANTED | {"reach": "all"}), 403)


def test_a_secret_is_replaced_and_the_old_one_good_for_a_while(api: Api, endpoint: WebhookEndpoint) -> None:
    body = api("POST", f"/{endpoint.public_id}/rotate-secret").json()
    row = WebhookEndpoint.objects.get()
    assert body["secret"] == row.secret != endpoint.secret
    assert body["previous_secret_until"] is not None
    assert row.previous_salt == endpoint.salt
    body = api("POST", f"/{endpoint.public_id}/rotate-secret", {"overlap_hours": 0}).json()
    assert body["previous_secret_until"] is None
    check_error(api("POST", f"/{endpoint.public_id}/rotate-secret", {"overlap_hours": 169}), 422, field="overlap_hours")


def test_a_test_is_queued_within_bounds(api: Api, endpoint: WebhookEndpoint) -> None:
    path = f"/{endpoint.public_id}/test"
    response = api("POST", path)
    assert response.status_code == 202
    body = response.json()
    assert (body["event"], body["state"], body["session_id"]) == ("endpoint.test", "pending", None)
    for _ in range(MAX_WAITING_TESTS - 1):
        assert api("POST", path).status_code == 202
    check_error(api("POST", path), 429, "too_many_tests")
    api("PATCH", f"/{endpoint.public_id}", {"enabled": False})
    check_error(api("POST", path), 409, "endpoint_disabled")


def test_deliveries_are_listed_a_page_at_a_time_and_filtered(api: Api, endpoint: WebhookEndpoint) -> None:
    session = make_session(owner=endpoint.owner)
    made = [make_delivery(endpoint, session=session) for _ in range(5)]
    make_delivery(endpoint, state="failed", error="timeout", due_at=None, event_type="session.failed")
    make_delivery(make_endpoint())
    path = f"/{endpoint.public_id}/deliveries"
    first = api("GET", f"{path}?limit=4&state=pending").json()
    second = api("GET", f"{path}?limit=4&state=pending&cursor={first['next']}").json()
    ids = [one["event_id"] for one in first["deliveries"] + second["deliveries"]]
    assert ids == [delivery.event_id for delivery in reversed(made)]
    assert second["next"] is None
    assert first["deliveries"][0]["session_id"] == session.public_id
    (failed,) = api("GET", f"{path}?event=session.failed").json()["deliveries"]
    assert (failed["state"], failed["error"], failed["next_attempt_at"]) == ("failed", "timeout", None)
    check_error(api("GET", f"{path}?cursor=nonsense"), 422, field="cursor")
    check_error(api("GET", f"{path}?state=lost"), 422, field="state")


def test_a_delivery_is_read_with_its_payload_and_sent_again(api: Api, endpoint: WebhookEndpoint) -> None:
    delivery = make_delivery(
        endpoint, state="failed", due_at=None, attempts=7, response_status=500, response_excerpt="no", error="status"
    )
    path = f"/{endpoint.public_id}/deliveries/{delivery.event_id}"
    body = api("GET", path).json()
    assert (body["payload"]["type"], body["response_excerpt"]) == ("session.completed", "no")
    again = api("POST", f"{path}/resend")
    assert again.status_code == 202
    body = again.json()
    assert (body["event_id"], body["state"], body["attempts"]) == (delivery.event_id, "pending", 0)
    assert body["next_attempt_at"] is not None
    check_error(api("GET", f"/{endpoint.public_id}/deliveries/msg_unknown"), 404)


def test_what_is_being_sent_is_not_sent_again(api: Api, endpoint: WebhookEndpoint) -> None:
    busy = make_delivery(endpoint, lease_until=Now() + timedelta(seconds=30))
    path = f"/{endpoint.public_id}/deliveries/{busy.event_id}/resend"
    check_error(api("POST", path), 409, "delivery_in_progress")
    api("PATCH", f"/{endpoint.public_id}", {"enabled": False})
    check_error(api("POST", path), 409, "endpoint_disabled")
