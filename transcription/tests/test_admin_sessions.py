"""What is done to sessions in the admin: their retention, their deletion, their recordings, what the list tells."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from model_bakery import baker

from transcription.audit.models import AuditEvent
from transcription.models import SessionRecording, TranscriptionSession
from transcription.retention.models import OwnTerm, Protection
from transcription.retention.protecting import protect
from transcription.review.models import Review
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SESSIONS = "/admin/transcription/transcriptionsession/"
RECORDINGS = "/admin/transcription/sessionrecording/"


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def act(client: Client, action: str, *sessions: TranscriptionSession, **more: str) -> Any:
    data = {"action": action, "_selected_action": [session.pk for session in sessions], **more}
    return client.post(SESSIONS, data)


def rows_of(html: str) -> list[str]:
    return re.findall(r'<th class="field-name_and_language">.*?</th>', html)


# What the list tells


def test_the_list_tells_language_and_errors_and_is_filtered_by_them_and_by_the_review(boss: Client) -> None:
    lossy = make_session("one", title="Lossy", gaps=[[0, 32_000]], language="de-DE")
    done = make_session("two", title="Reviewed")
    baker.make(Review, session=done, version=3, reviewed_at=timezone.now())
    begun = make_session("three", title="Begun")
    baker.make(Review, session=begun, version=1, reviewed_at=None)
    html = page(boss, SESSIONS)
    assert "de-DE" in html
    assert "of audio lost" in html
    found = {
        query: rows_of(page(boss, SESSIONS, **{query.partition("=")[0]: query.partition("=")[2]}))
        for query in ("errors=yes", "errors=no", "review=reviewed", "review=started", "review=open", "dialect=listen")
    }
    assert {query: len(rows) for query, rows in found.items()} == {
        "errors=yes": 1,
        "errors=no": 2,
        "review=reviewed": 1,
        "review=started": 1,
        "review=open": 2,
        "dialect=listen": 0,
    }
    assert "Lossy" in found["errors=yes"][0]
    assert str(lossy) not in found["review=reviewed"][0]


# Retention


def test_a_term_of_its_own_is_set_after_a_question_and_taken_back(boss: Client) -> None:
    session = make_session("one", title="Board")
    asked = act(boss, "set_retention", session).content.decode()
    assert "Set retention of 1 session" in asked
    assert not OwnTerm.objects.exists()
    act(boss, "set_retention", session, confirmed="yes", keep="days", days="30")
    (term,) = OwnTerm.objects.all()
    assert timedelta(days=29) < term.ends_at - timezone.now() < timedelta(days=31)
    assert term.set_by is not None
    assert (
        f"deleted from {timezone.localtime(term.ends_at).date()}"
        in act(boss, "set_retention", session).content.decode()
    )
    assert "Deleted from" in page(boss, f"{SESSIONS}{session.pk}/change/")
    assert AuditEvent.objects.get(what="edited").details == {"fields": ["retention"], "days": "30"}
    act(boss, "set_retention", session, confirmed="yes", keep="days", days="60")
    assert OwnTerm.objects.get().ends_at > term.ends_at
    act(boss, "set_retention", session, confirmed="yes", keep="rules")
    assert not OwnTerm.objects.exists()
    assert "As the rules and settings say" in page(boss, f"{SESSIONS}{session.pk}/change/")


def test_sessions_are_protected_from_the_list(boss: Client) -> None:
    session, never_started = make_session("one"), make_session(state="created", title="Never")
    answer = act(boss, "set_retention", session, never_started, confirmed="yes", keep="protect", reason="court case")
    assert Protection.objects.get().reason == "court case"
    said = page(boss, answer["Location"])
    assert "Never: This session was never started." in said
    assert "1 session is protected." in said


def test_protections_are_ended_from_the_list_and_both_are_noted(boss: Client) -> None:
    session, other = make_session("one"), make_session("two")
    act(boss, "set_retention", session, confirmed="yes", keep="protect", reason="court case")
    answer = act(boss, "set_retention", session, other, confirmed="yes", keep="unprotect")
    assert "Protection of 1 session is over." in page(boss, answer["Location"])
    assert not Protection.objects.exists()
    noted = AuditEvent.objects.filter(what__in=("protected", "unprotected")).order_by("pk")
    assert [(entry.what, entry.details["reason"]) for entry in noted] == [
        ("protected", "court case"),
        ("unprotected", "court case"),
    ]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"keep": "days"}, "Say after how many days."),
        ({"keep": "days", "days": "0"}, "greater than or equal to 1"),
        ({"keep": "protect"}, "Say why they are to be protected."),
        ({"keep": "for ever"}, "Select a valid choice"),
        ({}, "This field is required."),
    ],
)
def test_what_is_missing_is_asked_for_again(boss: Client, asked: dict[str, str], problem: str) -> None:
    answer = act(boss, "set_retention", make_session("one"), confirmed="yes", **asked)
    assert problem in answer.content.decode()
    assert not OwnTerm.objects.exists()
    assert not Protection.objects.exists()


def test_setting_retention_takes_the_permission_for_what_is_set() -> None:
    guard = make_user("view_transcriptionsession", is_staff=True)
    guard.user_permissions.add(Permission.objects.get(content_type__app_label="retention", codename="add_protection"))
    client = Client()
    client.force_login(guard)
    session = make_session("one")
    asked = act(client, "set_retention", session).content.decode()
    assert 'value="protect"' in asked
    assert 'value="days"' not in asked
    act(client, "set_retention", session, confirmed="yes", keep="days", days="1")
    assert not OwnTerm.objects.exists()
    viewer = Client()
    viewer.force_login(make_user("view_transcriptionsession", is_staff=True))
    assert "set_retention" not in page(viewer, SESSIONS)


# Deletion


def test_what_is_protected_is_refused_with_the_reason_one_by_one_and_together(boss: Client) -> None:
    kept, other = make_session("one", title="Kept"), make_session("two", title="Other")
    protect(kept, "court case")
    assert "Kept is protected: court case" in page(boss, f"{SESSIONS}{kept.pk}/delete/")
    for more in ({}, {"confirmed": "yes"}):
        html = act(boss, "delete_selected", kept, other, **more).content.decode()
        assert "Kept is protected: court case" in html
        assert 'name="confirmed"' not in html
    assert TranscriptionSession.objects.count() == 2


def test_deleting_many_leaves_no_title_in_the_log_of_the_admin(boss: Client) -> None:
    sessions = [make_session("one", title="Secret plan"), make_session("two")]
    answer = act(boss, "delete_selected", *sessions, confirmed="yes")
    assert "2 sessions are deleted." in page(boss, answer["Location"])
    assert "Secret plan" not in page(boss, "/admin/")
    assert AuditEvent.objects.filter(what="deleted").count() == 2


# Recordings


def test_recordings_are_looked_at_and_changed_by_nobody(boss: Client) -> None:
    session = make_session("one", title="Board")
    recording = baker.make(
        SessionRecording,
        session=session,
        folder="1-x",
        state="partial",
        reason="disk_full",
        format="flac",
        size_bytes=2_000_000,
        duration_ms=65_400,
        missing=[[0, 1500]],
        created_at=timezone.now(),
    )
    baker.make(SessionRecording, session=None, folder="2-x", state="deleted", created_at=timezone.now())
    html = page(boss, RECORDINGS)
    for fact in ("Board", 'Partial</span><span class="second-line">disk full', "1:05", "65.4", "flac", "1.9"):
        assert fact in html, fact
    assert "Board" not in page(boss, RECORDINGS, state__exact="deleted")
    assert "Board" in page(boss, RECORDINGS, q=session.public_id)
    shown = page(boss, f"{RECORDINGS}{recording.pk}/change/")
    assert "1.5 s in 1 gaps" in shown
    assert f"{RECORDINGS}{recording.pk}/change/" in page(boss, f"{SESSIONS}{session.pk}/change/")
    for address in ("add/", f"{recording.pk}/delete/"):
        assert boss.get(f"{RECORDINGS}{address}").status_code == 403
    viewer = Client()
    viewer.force_login(make_user("view_transcriptionsession", is_staff=True))
    assert "Board" in page(viewer, RECORDINGS)
    stranger = Client()
    stranger.force_login(make_user("view_worker", is_staff=True))
    assert stranger.get(RECORDINGS).status_code == 403
