"""Many transcripts at once over the HTTP API."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client
from django.utils import timezone

from transcription.errors import BadConfig
from transcription.models import ApiKey, TranscriptionSession
from transcription.rest import export as api_export
from transcription.rest.export import write_lines
from transcription.rest.schemas import SessionAnswer, SessionFilters, TranscriptAnswer
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

EXPORT = "/api/v1/export"


@pytest.fixture
def local() -> Client:
    return Client(headers={"Host": "localhost:8000"})


def export(client: Client, **query: Any) -> bytes:
    response = client.get(EXPORT, query)
    assert response.status_code == 200
    return response.getvalue()


def test_lines_have_facts_and_transcript_of_each_session_newest_first(local: Client) -> None:
    now = timezone.now()
    for number in range(3):
        text = f'line\n"{number}"\u2028'
        make_session(text, title=f"T{number}", public_id=f"s{number}", created_at=now - timedelta(hours=number))
    lines = export(local).decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["session"]["session_id"] for line in lines] == ["s0", "s1", "s2"]
    first = json.loads(lines[0])
    assert SessionAnswer.model_validate(first["session"]).title == "T0"
    assert TranscriptAnswer.model_validate(first["transcript"]).segments[0].text == 'line\n"0"\u2028'


@pytest.mark.parametrize("format", ["json", "txt", "srt", "vtt"])
def test_other_formats_are_files_in_an_archive(local: Client, format: str) -> None:
    session = make_session("hello", "world")
    response = local.get(EXPORT, {"format": format})
    assert response["Content-Type"] == "application/zip"
    assert response["Content-Disposition"] == f'attachment; filename="transcripts-{format}.zip"'
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        assert archive.namelist() == [f"{session.public_id}.{format}"]
        single = local.get(f"/api/v1/sessions/{session.public_id}/transcript", {"format": format})
        assert archive.read(archive.namelist()[0]) == single.getvalue()


def test_it_takes_the_filters_of_the_list(local: Client) -> None:
    make_session("hello", public_id="a", metadata={"room": "4"}, language="de-DE")
    make_session("hello", public_id="b")

    def ids(**filters: str) -> set[str]:
        return {json.loads(line)["session"]["session_id"] for line in export(local, **filters).splitlines()}

    assert ids(q="hello") == {"a", "b"}
    assert ids(metadata="room:4") == {"a"}
    assert ids(language="de-DE", q="hello") == {"a"}
    assert ids(state="failed") == set()


def test_what_may_be_seen_but_not_exported_is_left_out() -> None:
    make_session("theirs", owner=make_user())
    reader = make_user("view_captions")
    mine = make_session("mine", owner=reader)
    client = Client()
    client.force_login(reader)
    assert len(client.get("/api/v1/sessions").json()["sessions"]) == 2
    (line,) = export(client).splitlines()
    assert json.loads(line)["session"]["session_id"] == mine.public_id
    assert export(client, q="theirs") == b""


def test_a_key_exports_its_own() -> None:
    make_session("theirs", owner=make_user())
    key, text = ApiKey.create("app")
    make_session("own", public_id="own", api_key=key)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    assert json.loads(export(client))["session"]["session_id"] == "own"


def test_more_sessions_than_the_limit_are_refused() -> None:
    first, second, third = (make_session("text") for _ in range(3))
    everything = TranscriptionSession.objects.all()
    for filters in (SessionFilters(), SessionFilters(q="text")):
        assert api_export.choose(everything, filters, limit=3) == [third.pk, second.pk, first.pk]
        with pytest.raises(BadConfig) as caught:
            api_export.choose(everything, filters, limit=2)
        assert (caught.value.http_status, caught.value.reason) == (422, "too_many_sessions")


@pytest.mark.parametrize(("name", "value"), [("format", "pdf"), ("state", "x"), ("metadata", "x"), ("cursor", "x")])
def test_a_wrong_filter_is_named_and_pages_are_unknown(local: Client, name: str, value: str) -> None:
    response = local.get(EXPORT, {name: value})
    assert response.status_code == (200 if name == "cursor" else 422)


def test_what_is_deleted_meanwhile_is_left_out(local: Client) -> None:
    for number in range(api_export.SESSIONS_PER_READ + 1):
        make_session("text", public_id=f"s{number}", created_at=timezone.now() - timedelta(hours=number))
    response = local.get(EXPORT)
    pieces = iter(response)
    beginning = next(pieces)
    TranscriptionSession.objects.filter(public_id=f"s{api_export.SESSIONS_PER_READ}").delete()
    rest = beginning + b"".join(pieces)
    assert len(rest.splitlines()) == api_export.SESSIONS_PER_READ


def test_whoever_leaves_early_leaves_nothing_open() -> None:
    session = make_session(*["words"] * 50)
    lines = write_lines([session] * 10)
    next(lines)
    lines.close()
    assert list(lines) == []


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_it_comes_in_pieces() -> None:
    for _ in range(20):
        await sync_to_async(make_session)(*["words"] * 30)
    response: Any = await AsyncClient(headers={"Host": "localhost:8000"}).get(EXPORT)
    pieces = [piece async for piece in response]
    assert len(pieces) > 2
    assert len(b"".join(pieces).splitlines()) == 20
