"""`POST /v1/realtime/…`: client secrets in both shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from openai._models import validate_type
from openai.types.realtime.client_secret_create_response import ClientSecretCreateResponse

from transcription.dialects.realtime_secrets import session_of, token_of
from transcription.errors import NotAuthenticated
from transcription.identity.tokens import redeem_token
from transcription.models import ApiKey

SESSIONS = "/v1/realtime/transcription_sessions"
SECRETS = "/v1/realtime/client_secrets"

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return ApiKey.create("of-the-test")[1]


def post(address: str, key: str, body: Any = None, *, header: str = "Authorization") -> Any:
    """body: text as it is, anything else as JSON."""
    headers = {header: f"Bearer {key}" if header == "Authorization" else key}
    text = body if isinstance(body, str) else json.dumps({} if body is None else body)
    return Client().post(address, text, content_type="application/json", headers=headers)


def test_the_older_shape_has_what_nvidias_client_needs(key: str) -> None:
    answer = post(SESSIONS, key)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    session = answer.json()
    assert session["id"].startswith("sess_")
    assert session["object"] == "realtime.transcription_session"
    assert session["input_audio_params"] == {"sample_rate_hz": 16000, "num_channels": 1}
    principal = redeem_token(token_of(session["client_secret"]["value"]))
    assert principal.session_id == session["id"]


def test_the_newer_shape_is_openais(key: str) -> None:
    asked = {"type": "transcription", "audio": {"input": {"transcription": {"language": "en"}}}}
    answer = post(SECRETS, key, {"session": asked, "expires_after": {"anchor": "created_at", "seconds": 7200}})
    secret = answer.json()
    validate_type(type_=ClientSecretCreateResponse, value=secret)
    assert session_of(secret["value"]) == asked
    assert secret["session"]["audio"]["input"]["transcription"]["language"] == "en"
    usual = post(SECRETS, key).json()
    assert secret["expires_at"] - usual["expires_at"] in range(6590, 6601)


def test_a_secret_is_used_once_and_stands_for_its_key(key: str) -> None:
    token = token_of(post(SECRETS, key).json()["value"])
    assert redeem_token(token).kind == "token"
    with pytest.raises(NotAuthenticated) as caught:
        redeem_token(token)
    assert caught.value.reason == "token_used"


def test_the_key_may_come_as_x_api_key(key: str) -> None:
    assert post(SESSIONS, key, header="X-API-Key").status_code == 200


@pytest.mark.parametrize("address", [SESSIONS, SECRETS])
def test_a_wrong_key_is_told_to_both_clients(address: str) -> None:
    answer = post(address, "spk_00000000_wrong")
    body = answer.json()
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert body["detail"] == body["error"]["message"] == "This key is not valid."
    assert body["error"]["code"] == "invalid_api_key"
    assert body["request_id"]


@pytest.mark.parametrize(
    ("address", "body", "status", "param"),
    [
        (SESSIONS, "{", 400, None),
        (SESSIONS, "[]", 400, None),
        (SESSIONS, {"input_audio_format": "mp3"}, 422, "session.input_audio_format"),
        (SESSIONS, {"voice": "alloy"}, 422, "session.voice"),
        (SESSIONS, {"client_secret": {"expires_after": {"seconds": 1}}}, 422, "client_secret.expires_after.seconds"),
        (SECRETS, {"session": {"type": "realtime"}}, 422, "session.type"),
        (SECRETS, {"session": 7}, 422, "session"),
        (SECRETS, {"model": "x"}, 422, "model"),
        (SECRETS, {"expires_after": {"seconds": 9000}}, 422, "expires_after.seconds"),
        (SECRETS, {"session": {"audio": {"input": {"transcription": {"prompt": "x" * 5000}}}}}, 422, "session"),
        (SECRETS, "x" * 70_000, 413, None),
    ],
)
def test_a_wrong_body_is_refused_by_name(key: str, address: str, body: Any, status: int, param: str | None) -> None:
    answer = post(address, key, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_only_post_is_taken(key: str) -> None:
    answer = Client().get(SESSIONS, headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
