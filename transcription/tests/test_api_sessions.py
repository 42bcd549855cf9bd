"""Finding, changing and stopping sessions over the HTTP API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from transcription import services
from transcription.errors import NotFound
from transcription.exports import write_transcript
from transcription.models import ApiKey, TranscriptionSession
from transcription.rest.schemas import TranscriptAnswer
from transcription.search import metadata_index
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SESSIONS = "/api/v1/sessions"


@pytest.fixture
def local() -> Client:
    return Client(headers={"Host": "localhost:8000"})


def client_of(key_text: str) -> Client:
    return Client(REMOTE_ADDR="192.0.2.7", headers={"Authorization": f"Bearer {key_text}"})


def ids(client: Client, **filters: Any) -> list[str]:
    response = client.get(SESSIONS, filters)
    assert response.status_code == 200, response.content
    return [session["session_id"] for session in response.json()["sessions"]]


def send(client: Client, method: str, path: str, body: Any) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.generic(method, SESSIONS + path, text, content_type="application/json")


# Finding


def test_it_finds_sessions_by_every_pair_of_their_metadata_that_is_asked_for(local: Client) -> None:
    make_session(public_id="a", metadata={"room": "4", "time": "10:30"})
    make_session(public_id="b", metadata={"room": "4"})
    make_session(public_id="c", metadata={"room": "44", "floor": "4"})
    make_session(public_id="d")
    assert ids(local, metadata="room:4") == ["b", "a"]
    assert ids(local, metadata=["room:4", "time:10:30"]) == ["a"]
    assert ids(local, metadata="room:") == []
    assert ids(local, metadata="Room:4") == []
    assert ids(local, metadata="room:4", q="a") == ["a"]


def test_metadata_is_found_as_it_is_now(local: Client) -> None:
    session = make_session(public_id="a", metadata={"room": "4", "odd": "\"'\\ ü"})
    assert ids(local, metadata="odd:\"'\\ ü") == ["a"]
    TranscriptionSession.objects.filter(pk=session.pk).update(metadata={"room": "5"})
    assert ids(local, metadata="room:4") == []
    assert ids(local, metadata="room:5") == ["a"]
    session.delete()
    make_session(public_id="b", pk=session.pk)
    assert ids(local, metadata="room:5") == []


def test_what_is_no_text_or_no_object_is_no_pair_and_does_no_harm(local: Client) -> None:
    for number, metadata in enumerate([{"n": 1, "x": None, "y": {"z": "1"}}, ["n", "1"], "n", 1]):
        make_session(public_id=f"s{number}", metadata=metadata)
    assert ids(local, metadata="n:1") == []
    assert ids(local, metadata="z:1") == []


@pytest.mark.django_db(transaction=True)
def test_the_index_of_metadata_is_filled_and_comes_back_after_a_change_of_the_table(local: Client) -> None:
    make_session(public_id="a", metadata={"room": "4"})
    metadata_index.drop(connection)
    metadata_index.create(connection)
    assert ids(local, metadata="room:4") == ["a"]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {metadata_index.NAME}_insert")
        make_session(public_id="b", metadata={"room": "4"})
        call_command("migrate", verbosity=0, skip_checks=True)
        assert ids(local, metadata="room:4") == ["b", "a"]
        assert not metadata_index.repair(connection)


def test_it_finds_sessions_by_owner_key_dialect_and_length() -> None:
    anna, berta = make_user(), make_user()
    key, _text = ApiKey.create("phone", owner=berta)
    make_session(public_id="a", owner=anna, audio_ms=5000)
    make_session(public_id="b", owner=berta, api_key=key, dialect="realtime", audio_ms=700_000)
    client = Client()
    client.force_login(make_user("view_transcriptionsession"))
    assert ids(client, owner=anna.username) == ["a"]
    assert ids(client, owner="nobody") == []
    assert ids(client, api_key="phone") == ["b"]
    assert ids(client, dialect="realtime") == ["b"]
    assert ids(client, min_audio_ms="6000") == ["b"]
    assert ids(client, min_audio_ms="700000") == ["b"]
    assert ids(client, min_audio_ms="5000") == ["b", "a"]


def test_filters_find_nothing_that_may_not_be_seen() -> None:
    anna = make_user()
    make_session(public_id="a", owner=anna, metadata={"room": "4"})
    _key, text = ApiKey.create("app", owner=make_user())
    assert ids(client_of(text), owner=anna.username) == []
    assert ids(client_of(text), metadata="room:4") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", "room"),
        ("metadata", ":4"),
        ("metadata", ""),
        ("metadata", "a" * 201 + ":"),
        ("metadata", "a\0:b"),
        ("metadata", [f"a:{number}" for number in range(17)]),
        ("owner", ""),
        ("owner", "a\0"),
        ("api_key", "x" * 151),
        ("dialect", "\0"),
        ("min_audio_ms", "-1"),
        ("min_audio_ms", str(2**70)),
    ],
)
def test_a_wrong_filter_is_named(local: Client, name: str, value: Any) -> None:
    response = local.get(SESSIONS, {name: value})
    assert response.status_code == 422
    assert response.json()["field"].split(".")[0] == name


# Changing


def test_it_changes_the_title_or_all_of_the_metadata_and_nothing_else(local: Client) -> None:
    make_session(public_id="a", title="Old", metadata={"room": "4"})
    assert send(local, "PATCH", "/a", {"title": "New"}).json()["title"] == "New"
    body = send(local, "PATCH", "/a", {"metadata": {"floor": "2"}}).json()
    assert (body["title"], body["metadata"]) == ("New", {"floor": "2"})
    assert ids(local, metadata="floor:2", q="new") == ["a"]
    assert send(local, "PATCH", "/a", {}).json() == body
    assert send(local, "PATCH", "/a", {"title": "", "metadata": {}}).json()["metadata"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": "completed"}, "state"),
        ({"title": "x" * 201}, "title"),
        ({"title": None}, "title"),
        ({"title": 1}, "title"),
        ({"title": "a\0"}, "title"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"a": "\ud800"}}, "metadata.a"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_a_change_that_is_not_allowed_is_named(local: Client, body: Any, field: str) -> None:
    make_session(public_id="a", title="Old")
    response = send(local, "PATCH", "/a", body)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert TranscriptionSession.objects.get().title == "Old"


def test_what_waits_for_its_start_keeps_its_new_title_through_it(local: Client) -> None:
    body = json.dumps({"session_id": "a", "title": "Old", "language": "de-DE"})
    local.post("/api/v1/start-transcription", body, content_type="application/json")
    send(local, "PATCH", "/a", {"title": "New"})
    assert TranscriptionSession.objects.get().options_asked == {"title": "New", "language": "de-DE"}


def test_changing_sessions_of_others_needs_the_permission() -> None:
    anna = make_user()
    make_session(public_id="a", owner=anna)
    viewer, changer = Client(), Client()
    viewer.force_login(make_user("view_transcriptionsession"))
    changer.force_login(make_user("view_transcriptionsession", "change_transcriptionsession"))
    assert send(viewer, "PATCH", "/a", {"title": "x"}).status_code == 403
    assert send(changer, "PATCH", "/a", {"title": "x"}).status_code == 200


def test_what_was_deleted_meanwhile_is_not_found() -> None:
    session = make_session()
    TranscriptionSession.objects.all().delete()
    with pytest.raises(NotFound):
        services.change_session(session, title="x")


# Stopping


def test_it_asks_a_live_session_to_stop_and_says_whether_it_was_live(local: Client) -> None:
    make_session(public_id="a", state="live")
    assert send(local, "POST", "/a/stop", {"reason": "Enough."}).json() == {
        "session_id": "a",
        "state": "live",
        "stop_requested": True,
    }
    row = TranscriptionSession.objects.get()
    assert row.stop_requested_at is not None
    assert row.stop_reason == "Enough."


def test_a_detached_session_is_complete_at_once_and_an_ended_one_stays_as_it_is(local: Client) -> None:
    make_session(public_id="a", state="detached")
    assert send(local, "POST", "/a/stop", "").json()["state"] == "completed"
    assert send(local, "POST", "/a/stop", {}).json() == {
        "session_id": "a",
        "state": "completed",
        "stop_requested": False,
    }


@pytest.mark.parametrize("body", [{"reason": "x" * 301}, {"reason": 1}, {"why": "x"}])
def test_a_stop_with_wrong_fields_is_refused(local: Client, body: Any) -> None:
    make_session(public_id="a", state="live")
    assert send(local, "POST", "/a/stop", body).status_code == 422
    assert TranscriptionSession.objects.get().stop_requested_at is None


def test_others_sessions_are_stopped_by_permission() -> None:
    make_session(public_id="a", state="live", owner=make_user())
    operator, viewer = make_user("view_live", "stop_transcriptionsession"), make_user("view_live")
    client = Client()
    client.force_login(viewer)
    assert send(client, "POST", "/a/stop", {}).status_code == 403
    client.force_login(operator)
    assert send(client, "POST", "/a/stop", {}).json()["stop_requested"] is True
    assert TranscriptionSession.objects.get().stop_requested_by == operator


# Reading


def test_a_transcript_is_what_the_document_of_the_api_says() -> None:
    words = [{"word": "hello", "start_ms": 0, "end_ms": 400, "confidence": 0.9, "speaker": None}]
    session = make_session("hello", gaps=[[64000, 96000]])
    session.segments.update(words=words, speaker="A", confidence=0.5)
    text = "".join(write_transcript(session, "json"))
    assert TranscriptAnswer.model_validate_json(text, strict=True).model_dump() == json.loads(text)


def test_audio_is_not_kept_and_that_is_said_to_whom_may_hear_it(local: Client) -> None:
    make_session(public_id="a")
    make_session(public_id="b", owner=make_user())
    for session_id, reason in (("a", "no_audio"), ("b", "not_found"), ("c", "not_found")):
        response = local.get(f"{SESSIONS}/{session_id}/audio")
        assert (response.status_code, response.json()["reason"]) == (404, reason)


def test_a_transcript_comes_as_csv_or_docx_with_options(local: Client) -> None:
    session = make_session("recognised", "=later", owner=None, api_key=None)
    session.segments.filter(index=0).update(text="corrected")
    address = f"/api/v1/sessions/{session.public_id}/transcript"
    table = local.get(address, {"format": "csv", "text": "machine", "speakers": "false"})
    assert table["Content-Type"] == "text/csv; charset=utf-8"
    content = table.getvalue().decode("utf-8-sig")
    assert ",recognised," in content
    assert ",'=later," in content
    document = local.get(address, {"format": "docx"})
    assert document.getvalue().startswith(b"PK")
    assert document["Content-Disposition"] == f'inline; filename="{session.public_id}.docx"'


@pytest.mark.parametrize("query", [{"lines": "0"}, {"text": "x"}, {"format": "pdf"}, {"min_cue_ms": "-1"}])
def test_a_wrong_option_of_a_transcript_is_named(local: Client, query: dict[str, str]) -> None:
    session = make_session("words", owner=None, api_key=None)
    response = local.get(f"/api/v1/sessions/{session.public_id}/transcript", query)
    assert response.status_code == 422
    assert response.json()["field"] == next(iter(query))
