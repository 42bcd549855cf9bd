"""Bookmarks and notes on sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from transcription import services
from transcription.models import TranscriptionSession
from transcription.review import notes
from transcription.review.models import SessionNote
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def login(*permissions: str) -> Client:
    client = Client()
    client.force_login(make_user(*permissions))
    return client


def ask(client: Client, method: str, session: TranscriptionSession, path: str = "", body: Any = None) -> Any:
    text = "" if body is None else json.dumps(body)
    address = f"/api/v1/sessions/{session.public_id}/notes{path}"
    return client.generic(method, address, text, content_type="application/json")


@pytest.mark.parametrize("state", ["live", "detached", "completed"])
def test_notes_are_made_at_any_time_and_listed_by_time(state: str) -> None:
    session = make_session("words", state=state)
    client = login("view_captions")
    made = ask(client, "POST", session, body={"kind": "note", "time_ms": 1500, "text": "Who is that?"})
    assert made.status_code == 201
    ask(client, "POST", session, body={"kind": "bookmark", "time_ms": 200})
    found = ask(login("view_captions"), "GET", session).json()["notes"]
    assert [(note["kind"], note["time_ms"], note["text"], note["is_yours"]) for note in found] == [
        ("bookmark", 200, "", False), ("note", 1500, "Who is that?", False),
    ]  # fmt: skip


def test_notes_are_changed_and_deleted_by_whoever_made_them_and_by_reviewers() -> None:
    session = make_session("words")
    author, reader = login("view_captions"), login("view_captions")
    note = ask(author, "POST", session, body={"kind": "note", "time_ms": 1, "text": "a"}).json()["id"]
    assert ask(reader, "PATCH", session, f"/{note}", {"text": "b"}).status_code == 403
    assert ask(reader, "DELETE", session, f"/{note}").status_code == 403
    changed = ask(author, "PATCH", session, f"/{note}", {"text": "b"}).json()
    assert (changed["text"], changed["time_ms"]) == ("b", 1)
    reviewer = login("view_captions", "change_transcriptsegment")
    assert ask(reviewer, "PATCH", session, f"/{note}", {"time_ms": 5}).json()["time_ms"] == 5
    assert ask(reviewer, "DELETE", session, f"/{note}").status_code == 204
    assert ask(reviewer, "DELETE", session, f"/{note}").status_code == 404


def test_a_note_belongs_to_its_session() -> None:
    session, other = make_session("words"), make_session("words")
    client = login("view_captions")
    note = ask(client, "POST", session, body={"kind": "bookmark", "time_ms": 1}).json()["id"]
    assert ask(client, "PATCH", other, f"/{note}", {"text": "b"}).status_code == 404
    services.delete_session(session)
    assert not SessionNote.objects.exists()


def test_who_may_not_read_the_text_may_not_read_its_notes() -> None:
    session = make_session("words")
    assert ask(login("view_transcriptionsession"), "GET", session).status_code == 403
    assert ask(login(), "POST", session, body={"kind": "bookmark", "time_ms": 1}).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "flag", "time_ms": 1}, "kind"),
        ({"kind": "note", "time_ms": -1}, "time_ms"),
        ({"kind": "note"}, "time_ms"),
        ({"kind": "note", "time_ms": 1, "text": "x" * 2001}, "text"),
    ],
)
def test_what_is_wrong_with_a_note_is_named(body: Any, field: str) -> None:
    answer = ask(login("view_captions"), "POST", make_session("words"), body=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_session_has_a_bounded_number_of_notes() -> None:
    session = make_session("words")
    SessionNote.objects.bulk_create(
        SessionNote(session=session, kind="bookmark", time_ms=number) for number in range(notes.MAX_NOTES_PER_SESSION)
    )
    answer = ask(login("view_captions"), "POST", session, body={"kind": "bookmark", "time_ms": 1})
    assert (answer.status_code, answer.json()["reason"]) == (429, "too_many_notes")
