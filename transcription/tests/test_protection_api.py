"""Keeping a session from deletion over the HTTP API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from transcription.audit.models import AuditEvent
from transcription.models import ApiKey, TranscriptionSession
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def client_with(key_text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_text}"})


def path(session: TranscriptionSession, rest: str = "/protection") -> str:
    return f"/api/v1/sessions/{session.public_id}{rest}"


def put(client: Client, session: TranscriptionSession, **body: Any) -> Any:
    return client.put(path(session), json.dumps(body), content_type="application/json")


def test_a_session_is_protected_shown_as_such_and_let_go_again() -> None:
    anna = make_user()
    session, client = make_session("one", owner=anna), client_of(anna)
    assert client.get(path(session, "")).json()["protection"] is None
    answer = put(client, session, reason="  court\norder 7 ")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["reason"], answer.json()["by"]) == ("court order 7", anna.username)
    assert client.get(path(session, "")).json()["protection"] == answer.json()
    assert client.get("/api/v1/sessions").json()["sessions"][0]["protection"] == answer.json()
    refused = client.delete(path(session, ""))
    assert (refused.status_code, refused.json()["reason"]) == (409, "session_protected")
    assert "court order 7" in refused.json()["message"]
    for _again in range(2):
        assert client.delete(path(session)).status_code == 204
    assert client.delete(path(session, "")).status_code == 204
    noted = AuditEvent.objects.filter(what__in=("protected", "unprotected")).order_by("pk")
    assert [(entry.what, entry.user, entry.details["reason"]) for entry in noted] == [
        ("protected", anna, "court order 7"),
        ("unprotected", anna, "court order 7"),
    ]


def test_one_that_is_protected_keeps_its_reason() -> None:
    anna = make_user()
    session = make_session("one", owner=anna)
    for reason in ("first", "second"):
        assert put(client_of(anna), session, reason=reason).json()["reason"] == "first"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 301}, {"reason": 7}])
def test_a_reason_is_asked_for_by_name(body: dict[str, Any]) -> None:
    anna = make_user()
    answer = put(client_of(anna), make_session("one", owner=anna), **body)
    assert (answer.status_code, answer.json()["field"]) == (422, "reason")


def test_one_that_was_never_started_has_nothing_to_protect() -> None:
    anna = make_user()
    answer = put(client_of(anna), make_session(owner=anna, state="created"), reason="x")
    assert (answer.status_code, answer.json()["reason"]) == (409, "session_not_started")


def test_what_a_key_protected_the_same_key_and_its_owner_let_go_and_no_other_key() -> None:
    anna = make_user()
    (key, text), (_other, other_text) = ApiKey.create("one", owner=anna), ApiKey.create("two", owner=anna)
    session = make_session("one", owner=anna, api_key=key)
    for who in (client_with(text), client_of(anna)):
        assert put(client_with(text), session, reason="hold").json()["by"] == "one"
        assert client_with(other_text).delete(path(session)).status_code == 403
        assert who.delete(path(session)).status_code == 204


def test_a_key_does_not_let_go_what_its_owner_protected_by_hand() -> None:
    anna = make_user()
    key, text = ApiKey.create("one", owner=anna)
    session = make_session("one", owner=anna, api_key=key)
    put(client_of(anna), session, reason="hold")
    assert client_with(text).delete(path(session)).status_code == 403


def test_sessions_of_others_take_the_permission() -> None:
    session = make_session("one", owner=make_user())
    viewer = make_user("view_transcriptionsession")
    assert put(client_of(make_user()), session, reason="x").status_code == 404
    assert put(client_of(viewer), session, reason="x").status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="add_protection"))
    assert put(client_of(viewer), session, reason="x").status_code == 200
    assert client_of(make_user("view_transcriptionsession")).delete(path(session)).status_code == 403


def test_a_key_without_the_scope_protects_nothing() -> None:
    key, text = ApiKey.create("reader", scopes=["sessions:read"])
    assert put(client_with(text), make_session("one", api_key=key), reason="x").status_code == 403
