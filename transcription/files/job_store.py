"""File jobs in the database: made, found, cancelled, prepared. Plain functions for threads that may wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import TooFast
from transcription.files.models import FileJob
from transcription.identity.origins import storable_address
from transcription.identity.principals import Principal
from transcription.limits.admission import MAX_USER_AGENT_CHARACTERS
from transcription.models import TranscriptionSession
from transcription.options import clean_text

RETRY_AFTER_MS = 60_000
# For one attempt to take its session up again.
REVIVED_FOR = timedelta(hours=1)
# Of files that may still be wanted: a job that failed for want of a recogniser can be queued again.
FAILED_FILE_KEPT_FOR = timedelta(hours=24)
MAX_SWEPT_AT_ONCE = 100

State = FileJob.State
SessionState = TranscriptionSession.State
UNFINISHED = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A received file that is to be transcribed. options: of the session, without the audio format."""

    public_id: str
    principal: Principal
    file_name: str
    size_bytes: int
    stored_name: str
    storage_id: str
    options: dict[str, Any]
    duration_ms: int | None
    client_address: str | None
    user_agent: str


def check_room(principal: Principal, max_jobs: int) -> None:
    """Raise TooFast where the owner has as many unfinished jobs as one may have."""
    if FileJob.objects.filter(_of(principal), state__in=UNFINISHED).count() >= max_jobs:
        raise TooFast(
            _("You have %(count)d file jobs that are not done. Wait for one of them.") % {"count": max_jobs},
            reason="too_many_jobs",
            retry_after_ms=RETRY_AFTER_MS,
        )


def queue(new: NewJob, max_jobs: int) -> FileJob:
    """Make a job that is due at once. Raises TooFast as check_room() does."""
    with transaction.atomic():
        check_room(new.principal, max_jobs)
        job = FileJob.objects.create(
            public_id=new.public_id,
            owner_id=new.principal.user_id,
            api_key_id=new.principal.key_id,
            file_name=new.file_name,
            size_bytes=new.size_bytes,
            stored_name=new.stored_name,
            storage_id=new.storage_id,
            options=new.options,
            duration_ms=new.duration_ms,
            client_address=storable_address(new.client_address),
            user_agent=clean_text(new.user_agent)[:MAX_USER_AGENT_CHARACTERS],
            created_at=Now(),
            due_at=Now(),
        )
    job.refresh_from_db()
    return job


def cancel(job: FileJob) -> FileJob:
    """Cancel a job that has not ended; whoever works at it lets go within seconds. Doing it again does nothing."""
    with transaction.atomic():
        row = FileJob.objects.select_for_update().filter(pk=job.pk, state__in=UNFINISHED)
        if row.filter(cancel_requested_at=None).update(cancel_requested_at=Now()):
            record(AuditEvent.What.CANCELLED, job, state=job.state)
        nobody = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
        # Due at once and not ended here: whoever has the file deletes it.
        row.filter(nobody).update(due_at=Now())
    job.refresh_from_db()
    return job


def queue_again(job: FileJob) -> bool:
    """Try a failed job once more, or one that waits for its next attempt at once. False where that cannot be."""
    waiting = Q(state=State.QUEUED, lease_holder=None)
    failed = Q(state=State.FAILED) & ~Q(stored_name="")
    with transaction.atomic():
        is_queued = FileJob.objects.filter(waiting | failed, pk=job.pk).update(
            state=State.QUEUED, due_at=Now(), attempts=0, ended_at=None, cancel_requested_at=None,
            error_code=None, error_reason="", error_message="",
        )  # fmt: skip
        if is_queued:
            record(AuditEvent.What.EDITED, job, kind="queued_again")
    return bool(is_queued)


def prepare_session(public_id: str) -> TranscriptionSession | None:
    """The session that an earlier attempt left behind, so that it can be taken up again; None if there is none.

    However long ago: only this job can have it, and it has all of the audio still.
    """
    session = TranscriptionSession.objects.filter(public_id=public_id).first()
    if session is None:
        return None
    is_let_go = TranscriptionSession.objects.filter(
        pk=session.pk, state__in=(SessionState.DETACHED, SessionState.INTERRUPTED)
    )
    if is_let_go.update(state=SessionState.DETACHED, resume_until=Now() + REVIVED_FOR, ended_at=None, counted_at=None):
        session.refresh_from_db()
    return session


def names_to_sweep(storage_id: str) -> tuple[list[str], set[str]]:
    """Files of jobs that failed long ago, which nobody queued again; and all names that still belong to a job."""
    old = FileJob.objects.filter(
        storage_id=storage_id, state=State.FAILED, ended_at__lt=Now() - FAILED_FILE_KEPT_FOR
    ).exclude(stored_name="")
    found = list(old.values_list("pk", "stored_name")[:MAX_SWEPT_AT_ONCE])
    FileJob.objects.filter(pk__in=[pk for pk, _name in found], state=State.FAILED).update(stored_name="")
    known = set(
        FileJob.objects.filter(storage_id=storage_id).exclude(stored_name="").values_list("stored_name", flat=True)
    )
    return [name for _pk, name in found], known


def principal_of_job(job: FileJob) -> Principal:
    """Whom a job speaks for; whether they still may is judged where its session starts."""
    if job.api_key is not None:
        key = job.api_key
        return Principal(kind="key", user_id=key.owner_id, key_id=key.pk, label=key.name, scopes=key.scope_set)
    if job.owner is not None:
        return Principal(kind="user", user_id=job.owner.pk, label=job.owner.get_username())
    return Principal(kind="local", label="local")


def _of(principal: Principal) -> Q:
    if principal.user_id is not None:
        return Q(owner=principal.user_id)
    return Q(owner=None, api_key=principal.key_id)
