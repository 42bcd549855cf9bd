"""Reruns in the database: asked for and found. Plain functions for threads that may wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.access import Who, listed_sessions
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import NotFound, SessionTaken
from transcription.files import job_store
from transcription.files.engine import options_of_file
from transcription.files.models import FileJob
from transcription.files.service import new_session_id
from transcription.identity.principals import Principal
from transcription.jobs.in_process import jobs
from transcription.models import TranscriptionSession
from transcription.options import parse_config
from transcription.recording.models import SessionRecording
from transcription.reruns.offering import check_offered
from transcription.retention.models import Tombstone
from transcription.riva.offer import RivaModel

MAX_SHOWN = 50
# What may be another way; all else is as it was asked for first.
CHANGEABLE = ("language", "model", "speech_contexts", "endpointing", "title")
# Of how it was sent, which a recording has behind it, and of whose record it is.
NOT_TAKEN_OVER = (
    "encoding", "sample_rate_hertz", "audio_channel_count", "enable_interim_results", "words_in_interims", "keep_audio",
    "metadata",
)  # fmt: skip


def options_for(
    session: TranscriptionSession, changes: dict[str, Any], offered: Sequence[RivaModel] = ()
) -> dict[str, Any]:
    """The options of a rerun. changes: of CHANGEABLE alone. offered: the recogniser's models, none if it does not say.

    Raises BadConfig naming the field.
    """
    kept = {name: value for name, value in session.options_asked.items() if name not in NOT_TAKEN_OVER}
    options = {**kept, "title": session.title, **changes}
    check_offered(offered, parse_config(options_of_file(options), prefix=""))
    return {**options, "keep_audio": False}


def ask_rerun(
    session: TranscriptionSession,
    principal: Principal,
    changes: dict[str, Any],
    *,
    max_jobs: int,
    offered: Sequence[RivaModel] = (),
) -> FileJob:
    """Have the recording of a session heard once more, for whoever asks.

    Raises BadConfig, NotFound where there is no recording, SessionTaken while the session has not ended, and
    once it is being deleted, TooFast where they have too many jobs.
    """
    if not session.has_ended:
        raise SessionTaken(_("The session has not ended. Run it again afterwards."), reason="session_live")
    recording = SessionRecording.objects.filter(session=session).first()
    if recording is None or not recording.is_kept:
        raise NotFound(_("There is no recording of this session that could be heard again."), reason="no_audio")
    options = options_for(session, changes, offered)
    with transaction.atomic():
        # A deletion begins under the same lock, and takes along the reruns that there are then.
        row = TranscriptionSession.objects.select_for_update().filter(pk=session.pk).first()
        if row is None or Tombstone.objects.filter(session_key=session.pk, finished_at=None).exists():
            raise SessionTaken(_("This session is being deleted."), reason="session_deleted")
        job_store.check_room(principal, max_jobs)
        job = FileJob.objects.create(
            public_id=new_session_id(),
            owner_id=principal.user_id,
            api_key_id=principal.key_id,
            rerun_of=session,
            file_name=session.title or session.public_id,
            size_bytes=recording.size_bytes,
            options=options,
            duration_ms=recording.duration_ms,
            created_at=Now(),
            due_at=Now(),
        )
        record(AuditEvent.What.MADE, job, rerun_of=session.public_id, changed=sorted(changes))
        transaction.on_commit(jobs.wake)
    job.refresh_from_db()
    return job


def reruns_of(session: TranscriptionSession) -> list[FileJob]:
    """The newest first, with their sessions at hand; so many that a page can show them."""
    return list(
        FileJob.objects.filter(rerun_of=session).select_related("session").order_by("-created_at", "-pk")[:MAX_SHOWN]
    )


def get_rerun(session: TranscriptionSession, rerun_id: str, who: Who) -> FileJob:
    """A rerun of a session. Raises NotFound; also where its own session may not be seen."""
    job = FileJob.objects.filter(rerun_of=session, public_id=rerun_id[:64]).select_related("session").first()
    if job is None or (job.session is not None and not listed_sessions(who).filter(pk=job.session.pk).exists()):
        raise NotFound(_("There is no such rerun."))
    return job
