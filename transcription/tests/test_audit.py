"""Entries of the audit log: what makes one, who it names, what it never holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client, RequestFactory

from transcription import services
from transcription.audit.actors import NOBODY, Actor, acting, actor_of_request, command, current_actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import MAX_DETAIL_CHARACTERS, MAX_DETAILS_BYTES, bounded, record
from transcription.models import ApiKey, TranscriptionSession
from transcription.tests.rows import make_session, make_user, principal_of_key

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

What = AuditEvent.What
WATCHER = ("view_live", "view_transcriptionsession", "view_captions")


def entries(what: AuditEvent.What) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(what=what).order_by("pk"))


def logged_in(*permissions: str) -> tuple[Client, User]:
    user = make_user(*permissions)
    client = Client()
    client.force_login(user)
    return client, user


def page_of(session: TranscriptionSession, then: str = "") -> str:
    return f"/console/sessions/{session.public_id}/{then}"


def test_opening_the_session_of_somebody_else_is_noted_once_an_hour() -> None:
    client, user = logged_in(*WATCHER)
    session = make_session("secret words", owner=make_user())
    for _visit in range(3):
        assert client.get(page_of(session)).status_code == 200
    (entry,) = entries(What.WATCHED)
    assert (entry.user, entry.actor, entry.actor_kind) == (user, user.username, "user")
    assert (entry.object_type, entry.object_id) == ("transcriptionsession", session.public_id)
    assert entry.address == "127.0.0.1"


@pytest.mark.parametrize("where", ["review", "admin session", "admin segment"])
def test_reading_it_elsewhere_is_noted_as_well(where: str) -> None:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    session = make_session("secret words", owner=make_user())
    address = {
        "review": f"/api/v1/sessions/{session.public_id}/review",
        "admin session": f"/admin/transcription/transcriptionsession/{session.pk}/change/",
        "admin segment": f"/admin/transcription/transcriptsegment/{session.segments.get().pk}/change/",
    }[where]
    for _visit in range(2):
        assert "secret words" in client.get(address).content.decode()
    assert [entry.object_id for entry in entries(What.WATCHED)] == [session.public_id]


def test_two_people_are_noted_apart() -> None:
    session = make_session("one", owner=make_user())
    for client, _user in (logged_in(*WATCHER), logged_in(*WATCHER)):
        client.get(page_of(session))
    assert len(entries(What.WATCHED)) == 2


def test_ones_own_session_and_one_whose_text_is_not_shown_are_not_noted() -> None:
    client, user = logged_in("view_transcriptionsession")
    client.get(page_of(make_session("mine", owner=user)))
    client.get(page_of(make_session("not mine", owner=make_user())))
    assert not entries(What.WATCHED)


def test_the_console_is_noted_once_an_hour() -> None:
    client, user = logged_in(*WATCHER)
    for _visit in range(2):
        client.get("/console/")
    (entry,) = entries(What.WATCHED_CONSOLE)
    assert entry.user == user


def test_an_export_by_a_person_is_noted_with_its_format() -> None:
    client, user = logged_in()
    session = make_session("mine", owner=user)
    assert client.get(page_of(session, "export.srt")).status_code == 200
    (entry,) = entries(What.EXPORTED)
    assert (entry.object_id, entry.details) == (session.public_id, {"format": "srt"})


def test_a_program_that_reads_its_own_transcripts_is_not_noted() -> None:
    key, text = ApiKey.create("billing")
    session = make_session("one", api_key=key)
    headers = {"Authorization": f"Bearer {text}"}
    assert Client().get(f"/api/v1/sessions/{session.public_id}/transcript", headers=headers).status_code == 200
    assert not entries(What.EXPORTED)


def test_a_bulk_export_is_one_entry_with_the_number_and_the_first_ids() -> None:
    key, text = ApiKey.create("billing")
    sessions = [make_session("one", api_key=key) for _ in range(25)]
    answer = Client().get("/api/v1/export", {"format": "txt"}, headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200
    (entry,) = entries(What.EXPORTED_MANY)
    assert (entry.actor_kind, entry.actor, entry.api_key) == ("key", "billing", key)
    assert entry.details["sessions"] == len(sessions)
    assert len(entry.details["ids"]) == 20


def test_deleting_over_the_api_names_the_key_and_stays_when_the_key_goes() -> None:
    key, text = ApiKey.create("cleaner")
    session = make_session("one", "two", api_key=key)
    headers = {"Authorization": f"Bearer {text}", "X-Request-ID": "r-1"}
    assert Client().delete(f"/api/v1/sessions/{session.public_id}", headers=headers).status_code == 204
    key.delete()
    entry = AuditEvent.objects.get(what=What.DELETED, object_type="transcriptionsession")
    assert (entry.actor, entry.api_key) == ("cleaner", None)
    assert entry.details == {"audio_s": 4, "segments": 2}


def test_a_deletion_that_is_refused_is_not_noted() -> None:
    session = make_session("one", state="live")
    with pytest.raises(Exception, match="live"):
        services.delete_session(session)
    assert not entries(What.DELETED)


def test_stopping_is_noted_once_with_the_reason() -> None:
    client, user = logged_in("view_live", "stop_transcriptionsession")
    session = make_session("one", state="live", owner=make_user())
    for _again in range(2):
        client.post(page_of(session, "stop/"), {"reason": "wrong room"})
    (entry,) = entries(What.STOPPED)
    assert (entry.user, entry.details) == (user, {"reason": "wrong room"})


def test_another_title_is_noted_without_the_title() -> None:
    session = make_session("one")
    services.change_session(session, title="Dr. Meyer on the phone")
    (entry,) = entries(What.EDITED)
    assert entry.details == {"fields": ["title"]}


def test_groups_and_permissions_that_change_are_noted_from_either_end() -> None:
    user, group = make_user(), Group.objects.create(name="Night shift")
    AuditEvent.objects.all().delete()
    user.groups.add(group)
    group.user_set.clear()
    added, removed = entries(What.RIGHTS_CHANGED)
    assert (added.object_id, added.details) == (user.username, {"added": ["Night shift"]})
    assert (removed.object_id, removed.details) == ("Night shift", {"removed": [user.username]})


def test_becoming_a_superuser_is_noted_and_logging_in_is_not() -> None:
    user = make_user()
    AuditEvent.objects.all().delete()
    Client().force_login(user)
    assert not entries(What.RIGHTS_CHANGED)
    user.is_superuser = True
    user.save()
    (entry,) = entries(What.RIGHTS_CHANGED)
    assert entry.details == {"changed": {"is_superuser": True}}


def test_a_wrong_password_is_noted_and_a_name_that_nobody_has_is_not_kept() -> None:
    user = make_user()
    user.set_password("right horse battery")
    user.save()
    for name in (user.username, "hunter2-typed-in-the-wrong-box"):
        Client().post("/login/", {"username": name, "password": "wrong"})
    known, unknown = entries(What.LOGIN_FAILED)
    assert (known.actor, known.user, known.address) == (user.username, user, "127.0.0.1")
    assert (unknown.actor, unknown.user) == ("", None)
    assert "hunter2" not in str(AuditEvent.objects.values_list())


def test_who_is_locked_out_is_noted() -> None:
    user = make_user()
    for _try in range(6):
        Client().post("/login/", {"username": user.username, "password": "wrong"})
    (entry,) = entries(What.LOCKED_OUT)
    assert entry.user == user


def test_keys_that_are_made_and_deleted_are_noted_without_their_secret() -> None:
    key, text = ApiKey.create("ci")
    key.delete()
    made, deleted = entries(What.MADE)[-1], entries(What.DELETED)[-1]
    assert (made.object_type, made.object_id) == ("apikey", key.prefix)
    assert deleted.object_id == key.prefix
    assert text.split("_", 2)[2] not in str(list(AuditEvent.objects.values()))


def test_details_are_cut_to_their_bounds() -> None:
    cut = bounded({"text": "x" * 1000, "many": list(range(100)), "empty": "", "nul": "a\0b"})
    assert len(cut["text"]) == MAX_DETAIL_CHARACTERS
    assert len(cut["many"]) == 20
    assert "empty" not in cut
    assert "\0" not in cut["nul"]
    huge = bounded({f"name {number}": "x" * 300 for number in range(50)})
    assert set(huge) == {"left_out"}
    assert len(str(huge)) < MAX_DETAILS_BYTES


def test_whoever_is_bound_acts_and_nobody_does_afterwards() -> None:
    assert current_actor() == NOBODY
    with acting(command("purge_expired")):
        record(What.DELETED)
        assert current_actor().label == "purge_expired"
    assert current_actor() == NOBODY
    assert entries(What.DELETED)[-1].actor_kind == "command"


def test_the_key_of_a_request_acts_and_not_the_login_that_came_with_it() -> None:
    key, _text = ApiKey.create("kiosk")
    request: Any = RequestFactory().get("/")
    request.user, request.auth = make_user(), principal_of_key(key)
    assert actor_of_request(request).label == "kiosk"


def test_an_entry_is_written_only_with_its_change() -> None:
    with transaction.atomic():
        record(What.EDITED, actor=Actor(AuditEvent.ActorKind.LOCAL))
        transaction.set_rollback(True)
    assert not entries(What.EDITED)
