"""Tokens of the HTTP API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcription.identity.scopes import Scope
from transcription.identity.tokens import redeem_token
from transcription.models import ApiKey, SocketToken
from transcription.tests.rows import make_user
from transcription.tests.test_api import check_error, client_of_key, post

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def test_a_key_gets_a_token_that_speaks_for_it_once() -> None:
    key, text = ApiKey.create("app", make_user())
    response = client_of_key(text).generic("POST", "/api/v1/tokens")
    assert response.status_code == 200
    body = response.json()
    assert (body["session_id"], body["scopes"]) == (None, ["transcribe"])
    principal = redeem_token(body["token"])
    assert (principal.key_id, principal.user_id) == (key.pk, key.owner_id)


def test_a_token_may_be_for_one_session_for_other_scopes_and_for_less_time() -> None:
    _key, text = ApiKey.create("app")
    wanted = {"session_id": "abc", "scopes": ["sessions:read", "transcribe", "transcribe"], "expires_in_s": 1}
    body = post(client_of_key(text), "/tokens", wanted).json()
    assert (body["session_id"], body["scopes"]) == ("abc", ["sessions:read", "transcribe"])
    principal = redeem_token(body["token"])
    assert (principal.session_id, principal.scopes) == (
        "abc",
        frozenset({Scope.SESSIONS_READ, Scope.TRANSCRIBE}),
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"expires_in_s": 61}, "expires_in_s"),
        ({"session_id": "../x"}, "session_id"),
        ({"key": "x"}, "key"),
    ],
)
def test_a_bad_wish_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    _key, text = ApiKey.create("app")
    check_error(post(client_of_key(text), "/tokens", body), 422, field=field)
    assert not SocketToken.objects.exists()


def test_no_token_gives_more_than_the_key_has() -> None:
    _key, text = ApiKey.create("reader", scopes=["sessions:read"])
    check_error(client_of_key(text).generic("POST", "/api/v1/tokens"), 403, reason="scope_missing")


def test_a_token_is_no_key_for_this_api() -> None:
    _key, text = ApiKey.create("app")
    token = client_of_key(text).generic("POST", "/api/v1/tokens").json()["token"]
    check_error(client_of_key(token).get("/api/v1/sessions"), 401, reason="wrong_key")


def test_a_login_gets_one_with_its_csrf_token_alone() -> None:
    client = Client(enforce_csrf_checks=True, REMOTE_ADDR="192.0.2.7")
    client.force_login(make_user())
    check_error(client.generic("POST", "/api/v1/tokens"), 403, reason="csrf")


def test_the_same_request_again_is_answered_with_a_new_token() -> None:
    _key, text = ApiKey.create("app")
    headers = {"Idempotency-Key": "the-same"}
    answers = [client_of_key(text).generic("POST", "/api/v1/tokens", headers=headers).json() for _ in range(2)]
    assert answers[0]["token"] != answers[1]["token"]
    for answer in answers:
        redeem_token(answer["token"])
