"""The HTTP API."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.utils import timezone

from speechsite.config import get_config
from transcription.identity.auth import read_start_token
from transcription.models import ApiKey, TranscriptionSession
from transcription.rest.api import api
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

BASE = get_config().api_v1_str
ELSEWHERE = "192.0.2.7"
ERROR_FIELDS = {"code", "reason", "message", "retryable", "field", "request_id"}


@pytest.fixture
def local() -> Client:
    """A program on this machine, without credentials."""
    return Client(headers={"Host": "localhost:8000"})


@pytest.fixture
def stranger() -> Client:
    """A program elsewhere, without credentials."""
    return Client(REMOTE_ADDR=ELSEWHERE)


def client_of_key(key_text: str) -> Client:
    return Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": f"Bearer {key_text}"})


def post(client: Client, path: str, body: Any) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(BASE + path, text, content_type="application/json")


def check_error(response: Any, status: int, *, reason: str | None = None, field: str | None = None) -> None:
    assert response.status_code == status, response.content
    body = response.json()
    assert set(body) == ERROR_FIELDS
    assert body["code"] == 4000 + status
    assert body["request_id"]
    assert body["message"]
    assert body["field"] == field
    assert reason is None or body["reason"] == reason


def test_start_transcription_makes_a_session_and_says_where_to_stream(local: Client) -> None:
    response = post(local, "/start-transcription", {"language": "de-DE", "title": "Notes"})
    assert response.status_code == 200
    body = response.json()
    session = TranscriptionSession.objects.get(public_id=body["session_id"])
    assert (session.state, session.language, session.title) == ("created", "de-DE", "Notes")
    assert session.options_asked == {"language": "de-DE", "title": "Notes"}
    assert body["websocket_url"] == f"ws://localhost:8000{BASE}/transcribe/{session.public_id}"
    assert read_start_token(body["token"]).session_id == session.public_id
    assert body["expires_at"] > timezone.now().isoformat()[:19]


def test_start_transcription_needs_no_body_and_takes_the_articles_own(local: Client) -> None:
    assert post(local, "/start-transcription", {}).status_code == 200
    assert local.generic("POST", f"{BASE}/start-transcription").status_code == 200
    article = {
        "language": "en-US",
        "enable_automatic_punctuation": True,
        "enable_interim_results": True,
        "max_alternatives": 1,
    }
    assert post(local, "/start-transcription", article).status_code == 200


def test_over_tls_the_address_is_secure(local: Client) -> None:
    response = local.post(f"{BASE}/start-transcription", "{}", content_type="application/json", secure=True)
    assert response.json()["websocket_url"].startswith("wss://")


def test_a_chosen_id_is_kept_and_taken_once(local: Client) -> None:
    assert post(local, "/start-transcription", {"session_id": "mine"}).json()["session_id"] == "mine"
    check_error(post(local, "/start-transcription", {"session_id": "mine"}), 409, reason="session_taken")


def test_a_session_belongs_to_the_key_that_asked_for_it() -> None:
    key, text = ApiKey.create("app")
    post(client_of_key(text), "/start-transcription", {"session_id": "by-key"})
    assert TranscriptionSession.objects.get(public_id="by-key").api_key == key


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sample_rate_hertz": 7999}, "sample_rate_hertz"),
        ({"sample_rate_hertz": "loud"}, "sample_rate_hertz"),
        ({"encoding": "MP3"}, "encoding"),
        ({"unknown": 1}, "unknown"),
        ({"endpointing": {"stop_history": -1}}, "endpointing.stop_history"),
        ({"session_id": "../x"}, "session_id"),
        ({"session_id": ""}, "session_id"),
        ({"language": "x" * 40}, "language"),
        ({"title": "a\0b"}, "title"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"speech_contexts": [{"phrases": []}]}, "speech_contexts.0.phrases"),
    ],
)
def test_a_wrong_field_is_named(local: Client, body: dict[str, Any], field: str) -> None:
    check_error(post(local, "/start-transcription", body), 422, reason="bad_config", field=field)
    assert not TranscriptionSession.objects.exists()


@pytest.mark.parametrize("text", ["{", "\x00", '{"a":'])
def test_broken_json_is_a_bad_message(local: Client, text: str) -> None:
    check_error(post(local, "/start-transcription", text), 400, reason="bad_message")


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"title": "\\ud800"}', '{"speech_contexts":[{"phrases":["a"],"boost":NaN}]}']
)
def test_json_of_the_wrong_kind_is_refused(local: Client, text: str) -> None:
    response = post(local, "/start-transcription", text)
    assert response.status_code == 422
    assert set(response.json()) == ERROR_FIELDS


def test_without_credentials_only_this_machine_gets_in(local: Client, stranger: Client) -> None:
    assert local.get(f"{BASE}/sessions").status_code == 200
    response = stranger.get(f"{BASE}/sessions")
    check_error(response, 401, reason="not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    check_error(post(stranger, "/start-transcription", {}), 401)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_is_taken_from_either_header_and_a_wrong_one_is_refused(header: str) -> None:
    _key, text = ApiKey.create("app")
    prefix = "Bearer " if header == "Authorization" else ""
    right = Client(REMOTE_ADDR=ELSEWHERE, headers={header: prefix + text})
    wrong = Client(headers={header: prefix + text[:-1] + "!"})
    assert right.get(f"{BASE}/sessions").status_code == 200
    check_error(wrong.get(f"{BASE}/sessions"), 401)


def test_a_login_works_for_reading_and_needs_the_csrf_token_for_the_rest() -> None:
    user = make_user()
    client = Client(enforce_csrf_checks=True, REMOTE_ADDR=ELSEWHERE)
    client.force_login(user)
    assert client.get(f"{BASE}/sessions").status_code == 200
    check_error(post(client, "/start-transcription", {}), 403)


def test_health_is_open_to_all(stranger: Client) -> None:
    make_session(state="live")
    make_session()
    body = stranger.get(f"{BASE}/health").json()
    assert body == {
        "status": "healthy",
        "version": get_config().version,
        "live_sessions": 1,
        "max_concurrent_sessions": get_config().max_concurrent_sessions,
    }


def test_sessions_come_newest_first_a_page_at_a_time_each_once(local: Client) -> None:
    now = timezone.now()
    # Three share a moment: the cursor must still neither repeat nor skip.
    for number in range(7):
        make_session(public_id=f"s{number}", created_at=now - timedelta(seconds=number // 3))
    seen: list[str] = []
    cursor = ""
    for expected in (3, 3, 1):
        page = local.get(f"{BASE}/sessions", {"limit": "3", "cursor": cursor}).json()
        assert len(page["sessions"]) == expected
        seen += [session["session_id"] for session in page["sessions"]]
        make_session(public_id=f"new{len(seen)}")
        cursor = page["next"] or ""
    assert cursor == ""
    assert seen == ["s2", "s1", "s0", "s5", "s4", "s3", "s6"]


def test_sessions_can_be_filtered(local: Client) -> None:
    now = timezone.now()
    old = now - timedelta(days=2)
    make_session("hello world", public_id="a", language="en-US", created_at=old)
    make_session("guten tag", public_id="b", language="de-DE", state="failed", created_at=now)

    def ids(**filters: str) -> list[str]:
        response = local.get(f"{BASE}/sessions", filters)
        return [session["session_id"] for session in response.json()["sessions"]]

    yesterday = (now - timedelta(days=1)).isoformat()
    assert ids(state="failed") == ["b"]
    assert ids(language="EN-us") == ["a"]
    assert ids(since=yesterday) == ["b"]
    assert ids(until=yesterday) == ["a"]
    assert ids(q="hel wor") == ["a"]
    assert ids(q="hello", state="failed") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "x"),
        ("state", "happy"),
        ("since", "yesterday"),
        ("since", "2026-01-01T00:00:00"),
        ("since", "0"),
        ("until", "1764120600.5"),
        ("since", "0001-01-01T00:00:00+10:00"),
        ("until", "9999-12-31T23:59:59-10:00"),
        ("cursor", "!!!"),
        ("cursor", "MjAyNg=="),
        ("cursor", "ä"),
        ("cursor", "1_"),
        ("cursor", "-1_1"),
        ("cursor", f"1_{2**63}"),
        ("language", "<x>"),
        ("q", "x" * 201),
    ],
)
def test_a_wrong_filter_is_named(local: Client, name: str, value: str) -> None:
    check_error(local.get(f"{BASE}/sessions", {name: value}), 422, field=name)


def test_somebody_who_sees_only_metadata_cannot_search_the_text() -> None:
    make_session("secret", title="Board", public_id="a", owner=make_user())
    client = Client()
    client.force_login(make_user("view_transcriptionsession"))
    assert client.get(f"{BASE}/sessions", {"q": "secret"}).json()["sessions"] == []
    assert len(client.get(f"{BASE}/sessions", {"q": "board"}).json()["sessions"]) == 1


def test_a_session_tells_its_facts(local: Client) -> None:
    session = make_session("two words", title="T", metadata={"room": "4"}, end_reason="client")
    body = local.get(f"{BASE}/sessions/{session.public_id}").json()
    assert body["session_id"] == session.public_id
    assert (body["title"], body["metadata"], body["state"]) == ("T", {"room": "4"}, "completed")
    assert (body["segment_count"], body["word_count"], body["audio_ms"]) == (1, 2, 2000)
    assert (body["owner"], body["api_key"], body["end_reason"]) == (None, None, "client")


@pytest.mark.parametrize("path", ["", "/transcript"])
def test_what_is_not_yours_does_not_exist(path: str) -> None:
    theirs = make_session("secret", owner=make_user())
    _key, text = ApiKey.create("app", owner=make_user())
    client = client_of_key(text)
    hidden = client.get(f"{BASE}/sessions/{theirs.public_id}{path}")
    missing = client.get(f"{BASE}/sessions/nothing{path}")
    check_error(hidden, 404, reason="not_found")
    check_error(missing, 404, reason="not_found")
    assert hidden.json()["message"] == missing.json()["message"]
    check_error(client.delete(f"{BASE}/sessions/{theirs.public_id}"), 404)
    assert TranscriptionSession.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("session_id", ["%00", "a%00b", "..", "%2e%2e", "a b", "x" * 200, "%F0%9F%98%80"])
def test_strange_ids_are_not_found(local: Client, session_id: str) -> None:
    check_error(local.get(f"{BASE}/sessions/{session_id}"), 404)


@pytest.mark.parametrize(
    ("format", "content_type", "start"),
    [
        ("json", "application/json", '{"session_id"'),
        ("txt", "text/plain; charset=utf-8", "hello\n"),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT"),
    ],
)
def test_a_transcript_comes_in_four_formats(local: Client, format: str, content_type: str, start: str) -> None:
    session = make_session("hello")
    response = local.get(f"{BASE}/sessions/{session.public_id}/transcript", {"format": format})
    assert response["Content-Type"] == content_type
    assert response.getvalue().decode().startswith(start)


def test_a_transcript_is_json_unless_asked_otherwise_and_never_another_format(local: Client) -> None:
    session = make_session("hello")
    address = f"{BASE}/sessions/{session.public_id}/transcript"
    assert local.get(address)["Content-Type"] == "application/json"
    check_error(local.get(address, {"format": "odt"}), 422, field="format")


def test_reading_for_all_is_not_yet_exporting_for_all() -> None:
    theirs = make_session("text", owner=make_user())
    client = Client()
    client.force_login(make_user("view_captions"))
    check_error(client.get(f"{BASE}/sessions/{theirs.public_id}/transcript"), 403, reason="not_allowed")


def test_deleting_takes_the_segments_along(local: Client) -> None:
    session = make_session("one", "two")
    assert local.delete(f"{BASE}/sessions/{session.public_id}").status_code == 204
    assert not TranscriptionSession.objects.exists()
    check_error(local.delete(f"{BASE}/sessions/{session.public_id}"), 404)


def test_a_live_session_is_not_deleted(local: Client) -> None:
    session = make_session("one", state="live")
    check_error(local.delete(f"{BASE}/sessions/{session.public_id}"), 409, reason="session_live")
    assert session.segments.exists()


@pytest.mark.parametrize("path", ["/nothing", "/sessions/", "/sessions/a/b", "/transcribe/x"])
def test_unknown_addresses_get_the_shape_too(stranger: Client, path: str) -> None:
    check_error(stranger.get(BASE + path), 404, reason="not_found")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_bodies_of_other_types_are_refused(local: Client, content_type: str) -> None:
    response = local.post(f"{BASE}/start-transcription", "{}", content_type=content_type)
    check_error(response, 415, reason="unsupported_media_type")
    assert not TranscriptionSession.objects.exists()


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.x+json", ""])
def test_bodies_that_say_they_are_json_or_nothing_are_read(local: Client, content_type: str) -> None:
    assert local.post(f"{BASE}/start-transcription", "{}", content_type=content_type).status_code == 200


def test_bodies_that_are_too_large_get_the_shape_too(local: Client) -> None:
    text = json.dumps({"title": "x" * 3_000_000})
    check_error(post(local, "/start-transcription", text), 413, reason="body_too_large")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000])
def test_json_that_no_parser_survives_is_a_bad_message(local: Client, text: str) -> None:
    check_error(post(local, "/start-transcription", text), 400, reason="bad_message")


def test_a_request_that_django_refuses_gets_the_shape_too(local: Client) -> None:
    response = Client(headers={"Host": "evil.example"}).get(f"{BASE}/health")
    check_error(response, 400, reason="bad_request")
    check_error(local.get(f"{BASE}/"), 404, reason="not_found")
    check_error(local.get("/v1/nothing"), 404, reason="not_found")
    assert "text/html" in Client(headers={"Host": "evil.example"}).get("/")["Content-Type"]


def test_wrong_methods_get_the_shape_too(local: Client) -> None:
    response = local.post(f"{BASE}/health")
    check_error(response, 405, reason="method_not_allowed")
    assert response["Allow"] == "GET"
    check_error(local.get(f"{BASE}/start-transcription"), 405)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(ZeroDivisionError("x"), 500, "internal_error"), (OperationalError("x"), 507, "storage_unavailable")],
)
def test_what_nobody_expected_is_ours_and_says_nothing_of_its_insides(
    error: Exception, status: int, reason: str
) -> None:
    response = api.on_exception(RequestFactory().get("/"), error)
    body = json.loads(response.content)
    assert response.status_code == status
    assert set(body) == ERROR_FIELDS
    assert (body["code"], body["reason"], body["retryable"]) == (4000 + status, reason, True)
    assert "x" not in body["message"].split()


def test_every_operation_is_described() -> None:
    schema = api.get_openapi_schema()
    assert schema["info"]["title"] == get_config().project_name
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 5
    for operation in operations:
        assert operation["tags"]
        assert operation["summary"]
        # 416 answers a Range, and has no body.
        refusals = {int(status) for status in operation["responses"] if int(status) >= 400} - {416}
        assert 500 in refusals
        for status in refusals:
            content = operation["responses"][status]["content"]["application/json"]["schema"]
            # A conflict of reviews has the same fields, and what stands there now.
            shapes = ("ErrorAnswer", "ConflictAnswer") if status == 409 else ("ErrorAnswer",)
            assert content in [{"$ref": f"#/components/schemas/{shape}"} for shape in shapes]
        is_open = operation["operationId"] == "get_health"
        assert bool(operation.get("security")) is not is_open


def test_the_documents_are_served_from_here(stranger: Client) -> None:
    page = stranger.get(f"{BASE}/docs").content.decode()
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
    assert stranger.get(f"{BASE}/openapi.json").json()["info"]["version"] == get_config().version


@pytest.mark.django_db(transaction=True)
async def test_it_works_the_same_under_asgi() -> None:
    session = await sync_to_async(make_session)(*["words"] * 500)
    client = AsyncClient(headers={"Host": "localhost:8000"})
    listed = await client.get(f"{BASE}/sessions")
    assert [item["session_id"] for item in listed.json()["sessions"]] == [session.public_id]
    response = await client.get(f"{BASE}/sessions/{session.public_id}/transcript", {"format": "txt"})
    content: Any = response
    pieces = [piece async for piece in content]
    assert len(pieces) > 1
    assert b"".join(pieces) == b"words\n" * 500


@pytest.mark.parametrize(
    "header", ["authorization", "x-api-key", "content-type", "x-request-id", "idempotency-key", "range"]
)
def test_pages_of_allowed_origins_may_send_every_header_that_means_something(header: str) -> None:
    asks = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": header,
    }
    with override_settings(CORS_ALLOWED_ORIGINS=["https://app.example.org"]):
        answer = Client().options("/api/v1/start-transcription", headers=asks)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert header in answer.headers["Access-Control-Allow-Headers"].split(", ")


def test_pages_of_allowed_origins_may_read_what_headers_say_and_cookies_stay_at_home() -> None:
    origin = "https://app.example.org"
    _key, text = ApiKey.create("app")
    with override_settings(CORS_ALLOWED_ORIGINS=[origin]):
        client = client_of_key(text)
        answer = client.get(f"{BASE}/sessions", headers={"Origin": origin})
        other = client.get(f"{BASE}/sessions", headers={"Origin": "https://evil.example"})
    assert answer["Access-Control-Allow-Origin"] == origin
    assert {"retry-after", "x-request-id", "idempotency-replayed"} <= set(
        answer["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Access-Control-Allow-Origin" not in other
