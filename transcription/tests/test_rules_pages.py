"""The pages of rules: protecting on a session's page, rules, tombstones and the audit log in the admin."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from transcription import services
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.models import TranscriptionSession
from transcription.retention.models import Protection, RetentionRule, Tombstone
from transcription.retention.protecting import protect
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def logged_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss() -> Client:
    return logged_in(make_user(is_staff=True, is_superuser=True))


def page(session: TranscriptionSession, then: str = "") -> str:
    return f"/console/sessions/{session.public_id}/{then}"


def text_of(client: Client, address: str, **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_owner_protects_with_a_reason_and_the_page_says_so_and_offers_no_deletion() -> None:
    owner = make_user()
    client, session = logged_in(owner), make_session("one", owner=owner)
    assert "data-delete-open" in text_of(client, page(session))
    client.post(page(session, "protect/"), {"reason": "<b>court</b> order"})
    shown = text_of(client, page(session))
    assert "&lt;b&gt;court&lt;/b&gt; order" in shown
    assert "data-delete-open" not in shown
    assert "End the protection" in shown
    client.post(page(session, "unprotect/"))
    assert not Protection.objects.exists()


def test_without_a_reason_it_is_told_and_nothing_is_protected() -> None:
    owner = make_user()
    client, session = logged_in(owner), make_session("one", owner=owner)
    answer = client.post(page(session, "protect/"), {"reason": " "}, follow=True)
    assert "Say why" in answer.content.decode()
    assert not Protection.objects.exists()


def test_an_owner_does_not_end_what_somebody_else_protected() -> None:
    owner = make_user()
    session = make_session("one", owner=owner)
    protect(session, "hold")
    client = logged_in(owner)
    assert "End the protection" not in text_of(client, page(session))
    assert client.post(page(session, "unprotect/")).status_code == 403
    assert logged_in(make_user("view_transcriptionsession")).post(page(session, "protect/")).status_code == 403
    assert Protection.objects.count() == 1


def test_deleting_a_protected_session_is_refused_by_page_api_and_admin(boss: Client) -> None:
    session = make_session("one")
    protect(session, "court order 7")
    told = boss.post(page(session, "delete/"), follow=True).content.decode()
    assert "court order 7" in told
    answer = boss.delete(f"/api/v1/sessions/{session.public_id}")
    assert (answer.status_code, answer.json()["reason"]) == (409, "session_protected")
    address = "/admin/transcription/transcriptionsession/"
    asked = boss.post(f"{address}{session.pk}/delete/")
    assert "is protected" in asked.content.decode()
    boss.post(f"{address}{session.pk}/delete/", {"post": "yes"})
    assert TranscriptionSession.objects.filter(pk=session.pk).exists()


def test_the_page_of_a_rule_says_what_it_would_take(boss: Client) -> None:
    end = timezone.now() - timedelta(days=40)
    make_session("one", "two", created_at=end, ended_at=end)
    data = {"name": "thirty", "takes": "session", "after_days": "30", "language": "", "enabled": "on"}
    boss.post("/admin/retention/retentionrule/add/", data)
    rule = RetentionRule.objects.get()
    assert "1 sessions, 2 segments, 4 s of audio" in text_of(boss, f"/admin/retention/retentionrule/{rule.pk}/change/")
    assert "all sessions" in text_of(boss, "/admin/retention/retentionrule/")
    entry = AuditEvent.objects.get(what="made", object_type="retentionrule")
    assert entry.details == {"takes": "session", "after_days": 30, "enabled": True}
    boss.post(f"/admin/retention/retentionrule/{rule.pk}/delete/", {"post": "yes"})
    assert AuditEvent.objects.get(what="deleted", object_type="retentionrule").object_id == "thirty"


@pytest.mark.parametrize("wrong", [{"after_days": "0"}, {"after_days": ""}, {"metadata_key": "case"}])
def test_a_rule_that_makes_no_sense_is_not_stored(boss: Client, wrong: dict[str, str]) -> None:
    data = {"name": "thirty", "takes": "session", "after_days": "30", "enabled": "on", **wrong}
    assert boss.post("/admin/retention/retentionrule/add/", data).status_code == 200
    assert not RetentionRule.objects.exists()


def test_tombstones_are_listed_and_read_only(boss: Client) -> None:
    session = make_session("one", title="Secret title")
    services.delete_session(session)
    shown = text_of(boss, "/admin/retention/tombstone/")
    assert session.public_id in shown
    assert "Secret title" not in shown
    stone = Tombstone.objects.get()
    assert "Save" not in text_of(boss, f"/admin/retention/tombstone/{stone.pk}/change/")
    assert boss.post(f"/admin/retention/tombstone/{stone.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_audit_log_is_filtered_read_only_and_saved_as_csv(boss: Client) -> None:
    session = make_session("one")
    record(AuditEvent.What.STOPPED, session, reason='=HYPERLINK("http://evil")')
    for _entry in range(3):
        record(AuditEvent.What.EDITED, session)
    address = "/admin/audit/auditevent/"
    assert text_of(boss, address, what__exact="edited").count("Edited</td>") == 3
    assert "Stopped a session" in text_of(boss, address, q=session.public_id)
    entry = AuditEvent.objects.filter(what="stopped").get()
    assert "Save" not in text_of(boss, f"{address}{entry.pk}/change/")
    assert boss.post(f"{address}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    keys = AuditEvent.objects.filter(object_id=session.public_id).values_list("pk", flat=True)
    answer: Any = boss.post(address, {"action": "save_csv", "_selected_action": list(keys)})
    rows = list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["what"] for row in rows] == ["edited", "edited", "edited", "stopped"]
    assert rows[-1]["object_id"] == session.public_id
    assert rows[-1]["details"].startswith("{")


def test_nothing_on_these_pages_is_inline(boss: Client) -> None:
    protect(make_session("one"), "hold")
    record(AuditEvent.What.EDITED)
    for address in ("/admin/audit/auditevent/", "/admin/retention/retentionrule/add/", "/admin/retention/tombstone/"):
        html = text_of(boss, address)
        assert " style=" not in html
        assert "onclick" not in html
