"""File jobs in the database: who may make, see and cancel them, and what becomes of their sessions and files."""

from __future__ import annotations

import itertools
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from transcription.access import get_job, may_cancel_job, visible_jobs
from transcription.errors import NotFound, StorageUnavailable, TooFast
from transcription.files import job_store
from transcription.files.folder import UploadFolder
from transcription.files.job_store import NewJob
from transcription.files.models import FileJob
from transcription.identity.principals import LOCAL, Principal
from transcription.models import ApiKey, TranscriptionSession
from transcription.storage.reaper import expire_detached
from transcription.tests.rows import make_session, make_user, principal_of, principal_of_key

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SessionState = TranscriptionSession.State
_numbers = itertools.count()


def new_job(principal: Principal = LOCAL, **fields: Any) -> NewJob:
    usual: dict[str, Any] = {
        "public_id": f"job-{next(_numbers)}",
        "file_name": "talk.mp3",
        "size_bytes": 1000,
        "stored_name": uuid.uuid4().hex,
        "storage_id": "here",
        "options": {"language": "en-US"},
        "duration_ms": 60_000,
        "client_address": "127.0.0.1",
        "user_agent": "a test",
    }
    return NewJob(principal=principal, **(usual | fields))


def make_job(principal: Principal = LOCAL, **changes: Any) -> FileJob:
    job = job_store.queue(new_job(principal), 100)
    FileJob.objects.filter(pk=job.pk).update(**changes)
    job.refresh_from_db()
    return job


def test_a_job_is_due_at_once() -> None:
    job = job_store.queue(new_job(), 1)

    assert (job.state, job.progress, job.attempts) == ("queued", 0.0, 0)
    assert FileJob.objects.filter(due_at__lte=Now()).get() == job


def test_an_owner_may_have_so_many_unfinished_jobs() -> None:
    anna, ben = principal_of(make_user()), principal_of(make_user())
    first = job_store.queue(new_job(anna), 1)

    with pytest.raises(TooFast) as caught:
        job_store.queue(new_job(anna), 1)
    assert caught.value.reason == "too_many_jobs"
    job_store.queue(new_job(ben), 1)
    FileJob.objects.filter(pk=first.pk).update(state=FileJob.State.COMPLETED)
    job_store.queue(new_job(anna), 1)


def test_progress_is_whole_only_when_the_job_is_completed() -> None:
    job = FileJob(state=FileJob.State.RUNNING, duration_ms=10_000, heard_ms=2_500)

    assert job.progress == 0.25
    job.heard_ms = 11_000
    assert job.progress < 1
    job.state = FileJob.State.COMPLETED
    assert job.progress == 1
    assert FileJob(state=FileJob.State.RUNNING).progress == 0


# Who


def test_somebody_sees_their_own_jobs() -> None:
    anna, ben = make_user(), make_user()
    key, _text = ApiKey.create("hers", owner=anna)
    other, _text = ApiKey.create("alone")
    hers, of_key = make_job(principal_of(anna)), make_job(principal_of_key(key))
    alone, local = make_job(principal_of_key(other)), make_job()

    assert set(visible_jobs(principal_of(anna))) == {hers, of_key}
    assert set(visible_jobs(principal_of_key(key))) == {hers, of_key}
    assert set(visible_jobs(principal_of_key(other))) == {alone}
    assert set(visible_jobs(LOCAL)) == {local}
    assert set(visible_jobs(principal_of(ben))) == set()
    with pytest.raises(NotFound):
        get_job(hers.public_id, principal_of(ben))
    with pytest.raises(NotFound):
        get_job("no\x00id", principal_of(anna))


def test_who_may_see_all_sessions_sees_all_jobs_and_who_may_stop_them_may_cancel() -> None:
    job = make_job(principal_of(make_user()))
    viewer = principal_of(make_user("view_transcriptionsession"))
    operator = principal_of(make_user("view_transcriptionsession", "stop_transcriptionsession"))

    assert get_job(job.public_id, viewer) == job
    assert not may_cancel_job(viewer, job)
    assert may_cancel_job(operator, job)


def test_a_job_goes_with_whom_it_is_for() -> None:
    anna = make_user()
    job = make_job(principal_of(anna))
    anna.delete()

    assert not FileJob.objects.filter(pk=job.pk).exists()


def test_a_job_speaks_for_the_key_it_was_made_with() -> None:
    key, _text = ApiKey.create("hers", owner=make_user())
    job = make_job(principal_of_key(key))
    found = FileJob.objects.select_related("owner", "api_key__owner").get(pk=job.pk)

    principal = job_store.principal_of_job(found)
    assert (principal.kind, principal.key_id, principal.user_id) == ("key", key.pk, key.owner_id)
    assert job_store.principal_of_job(make_job()) == LOCAL


# Cancelling and queueing again


def test_a_job_that_waits_is_due_once_more_to_be_cancelled() -> None:
    job = make_job(due_at=Now() + timedelta(hours=1))

    job_store.cancel(job)

    assert job.cancel_requested_at is not None
    assert FileJob.objects.filter(due_at__lte=Now(), pk=job.pk).exists()


def test_a_job_that_is_worked_at_is_left_to_its_holder() -> None:
    job = make_job(lease_holder=uuid.uuid4(), lease_until=Now() + timedelta(minutes=1), due_at=Now())
    due_at = job.due_at

    job_store.cancel(job)
    first = job.cancel_requested_at
    job_store.cancel(job)

    assert (job.due_at, job.cancel_requested_at) == (due_at, first)


def test_a_job_that_has_ended_is_not_cancelled() -> None:
    job = job_store.cancel(make_job(state=FileJob.State.COMPLETED, due_at=None))

    assert (job.state, job.due_at, job.cancel_requested_at) == ("completed", None, None)


def test_a_failed_job_can_be_queued_again_while_its_file_is_there() -> None:
    failed: dict[str, Any] = {
        "state": FileJob.State.FAILED,
        "due_at": None,
        "attempts": 8,
        "error_code": 4502,
        "ended_at": Now(),
    }
    job, without_file = make_job(**failed), make_job(**failed, stored_name="")
    completed = make_job(state=FileJob.State.COMPLETED, due_at=None)

    assert job_store.queue_again(job)
    assert not job_store.queue_again(without_file)
    assert not job_store.queue_again(completed)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code, job.ended_at) == ("queued", 0, None, None)


# Sessions


def test_the_session_of_a_job_waits_however_long_the_job_does() -> None:
    over = {"state": SessionState.DETACHED, "resume_until": Now() - timedelta(days=1)}
    waiting, done = make_session(**over), make_session(**over)
    make_job(session=waiting)
    make_job(session=done, state=FileJob.State.FAILED)

    assert expire_detached() == 1

    waiting.refresh_from_db()
    done.refresh_from_db()
    assert (waiting.state, done.state) == ("detached", "interrupted")


@pytest.mark.parametrize("state", [SessionState.DETACHED, SessionState.INTERRUPTED])
def test_a_session_that_was_let_go_can_be_taken_up_by_its_job(state: str) -> None:
    make_session(public_id="job-x", state=state, resume_until=Now() - timedelta(days=1), ended_at=Now())

    found = job_store.prepare_session("job-x")

    assert found is not None
    assert (found.state, found.ended_at) == ("detached", None)
    assert TranscriptionSession.objects.filter(resume_until__gt=Now()).get() == found


@pytest.mark.parametrize("state", [SessionState.LIVE, SessionState.COMPLETED, SessionState.FAILED])
def test_any_other_session_is_left_as_it_is(state: str) -> None:
    make_session(public_id="job-x", state=state)

    found = job_store.prepare_session("job-x")

    assert found is not None
    assert found.state == state


# Files


@pytest.fixture
def folder(tmp_path: Path) -> UploadFolder:
    return UploadFolder(tmp_path / "uploads", min_free_bytes=0)


def test_files_are_their_owners_alone(folder: UploadFolder) -> None:
    name, file = folder.new_stored()
    file.close()

    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert (folder.path / name).stat().st_mode & 0o777 == 0o600


def test_a_file_of_a_request_has_no_name(folder: UploadFolder) -> None:
    with folder.new() as file:
        file.write(b"x")
        assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize("name", ["../secret_key", "/etc/passwd", "", "id", "A" * 32, "a" * 31 + "/", "a" * 32 + "\n"])
def test_no_other_name_leads_to_a_file(folder: UploadFolder, name: str) -> None:
    folder.storage_id()

    with pytest.raises(FileNotFoundError):
        folder.open(name)
    if name:
        with pytest.raises(FileNotFoundError):
            folder.delete(name)
    assert [path.name for path in folder.path.iterdir()] == ["id"]


def test_the_folder_is_known_again(folder: UploadFolder) -> None:
    again = UploadFolder(folder.path, min_free_bytes=0)

    assert folder.storage_id() == again.storage_id()


def test_so_much_of_the_disk_stays_free(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path, min_free_bytes=2**60)

    with pytest.raises(StorageUnavailable) as caught:
        folder.check_room(1)
    assert caught.value.reason == "disk_full"


def test_what_no_job_needs_is_swept(folder: UploadFolder) -> None:
    names = []
    for _ in range(3):
        name, file = folder.new_stored()
        file.close()
        names.append(name)
    for name in names[:2]:
        os.utime(folder.path / name, (0, 0))

    assert folder.sweep({names[0]}) == 1
    assert {path.name for path in folder.path.iterdir()} == {names[0], names[2]}


def test_files_of_jobs_that_failed_long_ago_are_given_up() -> None:
    failed: dict[str, Any] = {"state": FileJob.State.FAILED, "due_at": None}
    old = make_job(**failed, ended_at=Now() - timedelta(hours=25))
    new, elsewhere = make_job(**failed, ended_at=Now()), make_job(**failed, ended_at=Now() - timedelta(hours=25))
    FileJob.objects.filter(pk=elsewhere.pk).update(storage_id="there")

    names, known = job_store.names_to_sweep("here")

    assert (names, known) == ([old.stored_name], {new.stored_name})


# The admin


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="secret"))
    return client


ADDRESS = "/admin/transcription/filejob/"


def act(admin: Client, action: str, *jobs: FileJob, **more: str) -> str:
    data = {"action": action, "_selected_action": [job.pk for job in jobs], **more}
    return admin.post(ADDRESS, data, follow=True).content.decode()


def test_the_admin_lists_and_shows_jobs(admin: Client) -> None:
    job = make_job(principal_of(make_user()), file_name="<b>talk</b>.mp3", session=make_session("hello"))

    listed = admin.get(ADDRESS).content.decode()
    shown = admin.get(f"{ADDRESS}{job.pk}/change/").content.decode()

    assert "&lt;b&gt;talk&lt;/b&gt;.mp3" in listed
    assert job.public_id in shown
    assert job.stored_name not in listed + shown


def test_the_admin_cancels_and_queues_again(admin: Client) -> None:
    running = make_job()
    failed = make_job(state=FileJob.State.FAILED, due_at=None)

    assert "Cancel 1 job" in act(admin, "cancel_jobs", running, failed)
    assert "1 job is being cancelled." in act(admin, "cancel_jobs", running, failed, confirmed="yes")
    assert "1 job is queued again." in act(admin, "queue_jobs_again", failed)
    assert "None of them can be queued again" in act(admin, "queue_jobs_again", make_job(state="completed"))
    running.refresh_from_db()
    failed.refresh_from_db()
    assert running.cancel_requested_at is not None
    assert failed.state == "queued"
