"""What is noted of each thing that people see or do, whichever way they do it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from model_bakery import baker

from transcription.audit.actors import acting, command
from transcription.audit.models import AuditEvent
from transcription.files import job_store
from transcription.files.models import FileJob
from transcription.models import ApiKey, TranscriptionSession
from transcription.past.models import ReviewAssignment
from transcription.recording.models import SessionRecording
from transcription.retention.models import RetentionRule
from transcription.tests.rows import make_session, make_user
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks.models import WebhookEndpoint
from transcription.webhooks.queue import note_failure

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

What = AuditEvent.What
API = "/api/v1"


def entries(what: AuditEvent.What) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(what=what).order_by("pk"))


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss() -> User:
    return make_user(is_staff=True, is_superuser=True)


def send(client: Client, method: str, address: str, **data: Any) -> Any:
    return client.generic(method, address, json.dumps(data), content_type="application/json")


# Seen


@pytest.mark.parametrize(
    "address",
    [
        "/console/sessions/?q=secret",
        f"{API}/sessions?q=secret",
        "/admin/transcription/transcriptionsession/?q=secret",
        "/admin/transcription/transcriptsegment/?q=secret",
        "/admin/transcription/transcriptsegment/",
    ],
)
def test_a_search_is_noted_once_an_hour_with_what_it_found_and_not_with_its_words(boss: User, address: str) -> None:
    found, mine = make_session("secret words", owner=make_user()), make_session("my secret", owner=boss)
    for _again in range(2):
        assert client_of(boss).get(address).status_code == 200
    (entry,) = entries(What.SEARCHED)
    assert (entry.user, entry.details) == (boss, {"sessions": 1, "ids": [found.public_id]})
    assert mine.public_id not in str(entry.details)
    assert "secret" not in str(list(AuditEvent.objects.values()))


def test_another_search_is_another_entry_and_one_that_finds_nothing_is_none(boss: User) -> None:
    make_session("secret words", owner=make_user())
    for text in ("secret", "words", "nothing of the kind"):
        client_of(boss).get("/console/sessions/", {"q": text})
    assert len(entries(What.SEARCHED)) == 2


def test_who_may_not_read_the_text_finds_nothing_by_it_and_nothing_is_noted() -> None:
    make_session("secret words", owner=make_user())
    watcher = client_of(make_user("view_transcriptionsession"))
    for address in ("/console/sessions/", f"{API}/sessions"):
        assert watcher.get(address, {"q": "secret"}).status_code == 200
    assert not entries(What.SEARCHED)


def _notes(client: Client, session: TranscriptionSession) -> Any:
    return client.get(f"{API}/sessions/{session.public_id}/notes")


def _delivery(client: Client, session: TranscriptionSession) -> Any:
    delivery = make_delivery(make_endpoint(), session=session)
    return client.get(f"/admin/webhooks/webhookdelivery/{delivery.pk}/change/")


def _segment_history(client: Client, session: TranscriptionSession) -> Any:
    return client.get(f"/admin/transcription/transcriptsegment/{session.segments.get().pk}/history/")


def _reviews(client: Client, session: TranscriptionSession) -> Any:
    return client.get(f"{API}/sessions/{session.public_id}/review/history")


@pytest.mark.parametrize("see", [_notes, _delivery, _segment_history, _reviews])
def test_wherever_text_of_others_stands_it_is_noted_that_it_was_seen(boss: User, see: Callable[..., Any]) -> None:
    session = make_session("secret words", owner=make_user())
    assert see(client_of(boss), session).status_code == 200
    assert [entry.object_id for entry in entries(What.WATCHED)] == [session.public_id]


@pytest.mark.parametrize("page", ["/console/sessions/{0}/again/{1}/", "/api/v1/sessions/{0}/reruns/{1}"])
def test_a_comparison_shows_two_transcripts(boss: User, page: str) -> None:
    session = make_session("one", owner=make_user())
    again = make_session("won", owner=session.owner, rerun_of=session)
    baker.make(FileJob, public_id=again.public_id, rerun_of=session, session=again, state="completed")
    assert client_of(boss).get(page.format(session.public_id, again.public_id)).status_code == 200
    assert {entry.object_id for entry in entries(What.WATCHED)} == {session.public_id, again.public_id}


# Done to sessions


def test_notes_that_are_made_changed_and_deleted_are_noted_without_their_text(boss: User) -> None:
    session, client = make_session("one", owner=boss), client_of(boss)
    notes = f"{API}/sessions/{session.public_id}/notes"
    note = send(client, "POST", notes, kind="note", time_ms=0, text="my secret").json()["id"]
    assert send(client, "PATCH", f"{notes}/{note}", text="another secret").status_code == 200
    assert client.delete(f"{notes}/{note}").status_code == 204
    noted = entries(What.EDITED)
    assert [entry.details for entry in noted] == [
        {"kind": kind, "note": note} for kind in ("note_added", "note_changed", "note_deleted")
    ]
    assert {entry.object_id for entry in noted} == {session.public_id}
    assert "secret" not in str(list(AuditEvent.objects.values()))


def test_reviewers_that_are_assigned_and_taken_away_are_noted_at_each_session(boss: User) -> None:
    sessions, reviewer = [make_session("one") for _ in range(2)], make_user("view_captions", "change_transcriptsegment")
    chosen = {"action": "assign", "chosen": [session.public_id for session in sessions]}
    for who in (str(reviewer.pk), "0"):
        client_of(boss).post(reverse("sessions_do"), chosen | {"reviewer": who})
    assert not ReviewAssignment.objects.exists()
    noted = {(entry.object_id, entry.details["kind"], entry.details["reviewer"]) for entry in entries(What.EDITED)}
    assert noted == {
        (session.public_id, kind, reviewer.username)
        for session in sessions
        for kind in ("reviewer_assigned", "reviewer_removed")
    }


# Jobs


def test_a_rerun_is_noted_with_what_is_another_way(boss: User) -> None:
    session = make_session("one", owner=make_user())
    SessionRecording.objects.create(session=session, folder="f1", state="complete", name="1.wav", duration_ms=4000)
    answer = send(client_of(boss), "POST", f"{API}/sessions/{session.public_id}/reruns", language="de-DE")
    assert answer.status_code == 202
    (entry,) = [entry for entry in entries(What.MADE) if entry.object_type == "filejob"]
    assert entry.object_id == answer.json()["rerun_id"]
    assert entry.details == {"rerun_of": session.public_id, "changed": ["language"]}


def _over_the_api(job: FileJob, boss: User) -> None:
    assert client_of(boss).delete(f"{API}/jobs/{job.public_id}").status_code < 300


def _in_the_admin(job: FileJob, boss: User) -> None:
    data = {"action": "cancel_jobs", "_selected_action": [job.pk], "confirmed": "yes"}
    assert client_of(boss).post("/admin/transcription/filejob/", data).status_code == 302


@pytest.mark.parametrize("way", [_over_the_api, _in_the_admin])
def test_a_job_that_is_cancelled_is_noted_once(boss: User, way: Callable[[FileJob, User], None]) -> None:
    job = baker.make(FileJob, public_id="job-1", state="queued", owner=make_user())
    for _again in range(2):
        way(job, boss)
    (entry,) = entries(What.CANCELLED)
    assert (entry.object_id, entry.details, entry.user) == ("job-1", {"state": "queued"}, boss)


def test_a_job_that_is_queued_again_is_noted_where_it_can_be() -> None:
    failed = baker.make(FileJob, public_id="job-1", state="failed", stored_name="f")
    over = baker.make(FileJob, public_id="job-2", state="completed")
    with acting(command("somebody")):
        assert [job_store.queue_again(job) for job in (failed, over)] == [True, False]
    (entry,) = entries(What.EDITED)
    assert (entry.object_id, entry.details) == ("job-1", {"kind": "queued_again"})


# Webhooks and rules

HOOK = "https://hooks.example.org/services/T0/SECRET"


def test_an_endpoint_from_its_making_to_its_deletion_over_the_api(boss: User) -> None:
    client = client_of(boss)
    made = send(client, "POST", f"{API}/webhooks", url=HOOK, events=["session.completed"], reach="all")
    endpoint = f"{API}/webhooks/{made.json()['endpoint_id']}"
    for changes in ({"url": f"{HOOK}/2", "description": "x"}, {"enabled": False}, {"enabled": True}):
        assert send(client, "PATCH", endpoint, **changes).status_code == 200
    assert send(client, "POST", f"{endpoint}/rotate-secret").status_code == 200
    assert client.delete(endpoint).status_code == 204
    noted = AuditEvent.objects.filter(object_type="webhookendpoint").order_by("pk")
    facts = {"host": "hooks.example.org", "reach": "all"}
    assert [(entry.what, entry.details) for entry in noted] == [
        ("made", facts | {"events": ["session.completed"]}),
        ("edited", facts | {"fields": ["description", "url"]}),
        ("disabled", {"reason": "by_hand"}),
        ("edited", facts | {"fields": ["enabled"]}),
        ("edited", facts | {"fields": ["secret"]}),
        ("disabled", {"reason": "by_hand"}),
        ("deleted", {}),
    ]
    assert "SECRET" not in str(list(AuditEvent.objects.values()))


def test_an_endpoint_from_its_making_to_its_deletion_in_the_admin(boss: User) -> None:
    client, admin = client_of(boss), "/admin/webhooks/webhookendpoint/"
    wanted = {"url": HOOK, "events": ["session.completed"], "reach": "own", "enabled": "on"}
    client.post(f"{admin}add/", wanted | {"owner": boss.pk})
    endpoint = WebhookEndpoint.objects.get()
    client.post(f"{admin}{endpoint.pk}/change/", wanted | {"description": "billing"})
    for action in ("disable", "enable", "rotate_secret"):
        client.post(admin, {"action": action, "_selected_action": [endpoint.pk], "confirmed": "yes"})
    client.post(f"{admin}{endpoint.pk}/delete/", {"post": "yes"})
    noted = AuditEvent.objects.filter(object_type="webhookendpoint").order_by("pk")
    assert [(entry.what, entry.details.get("fields")) for entry in noted] == [
        ("made", None),
        ("edited", ["description"]),
        ("disabled", None),
        ("edited", ["enabled"]),
        ("edited", ["secret"]),
        ("disabled", None),
        ("deleted", None),
    ]
    assert {entry.user for entry in noted} == {boss}


def test_an_endpoint_that_is_gone_is_disabled_by_nobody() -> None:
    endpoint = make_endpoint()
    assert note_failure(endpoint.pk, is_gone=True, was_last=False)
    (entry,) = entries(What.DISABLED)
    assert (entry.actor_kind, entry.actor, entry.details) == ("rule", "webhooks", {"reason": "gone"})


def test_what_goes_with_its_owner_or_key_is_noted_as_well() -> None:
    owner = make_user()
    key, _text = ApiKey.create("night")
    endpoint = make_endpoint(owner=owner)
    RetentionRule.objects.create(name="of the night", after_days=30, api_key=key)
    owner.delete()
    key.delete()
    assert {endpoint.public_id, "of the night"} <= {entry.object_id for entry in entries(What.DELETED)}


def test_a_rule_from_its_making_to_its_deletion(boss: User) -> None:
    client, admin = client_of(boss), "/admin/retention/retentionrule/"
    wanted = {"name": "thirty", "takes": "session", "after_days": "30", "enabled": "on"}
    client.post(f"{admin}add/", wanted)
    rule = RetentionRule.objects.get()
    for days in ("60", "60"):
        client.post(f"{admin}{rule.pk}/change/", wanted | {"after_days": days})
    client.post(f"{admin}{rule.pk}/delete/", {"post": "yes"})
    noted = AuditEvent.objects.filter(object_type="retentionrule").order_by("pk")
    assert [(entry.what, entry.details.get("after_days"), entry.details.get("fields")) for entry in noted] == [
        ("made", 30, None),
        ("edited", 60, ["after_days"]),
        ("deleted", None, None),
    ]
