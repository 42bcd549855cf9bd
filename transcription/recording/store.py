"""Recordings in the database: begun with their session, found, deleted. Plain functions for a database thread."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.core.files.storage import Storage
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from transcription import metrics
from transcription.recording.models import SessionRecording
from transcription.recording.parts import PartFolder, folder_name, key_of
from transcription.recording.storage import recordings

logger = logging.getLogger(__name__)

# Of one round; the next goes on.
MAX_DELETED_AT_ONCE = 100
# Parts without a recording: of a session that was deleted while it was being written.
FORGOTTEN_AFTER_S = 3600.0
# Whose jobs nobody works at ends without its last words at some time.
REPAIRED_WITHIN = timedelta(hours=1)
# Of a file job's session the job itself has the audio.
NOT_REPAIRED = ("upload",)

State = SessionRecording.State


def begin(session: Any) -> None:
    """A session whose audio is kept starts. Within its transaction."""
    SessionRecording.objects.update_or_create(
        session=session,
        defaults={
            "folder": folder_name(session.pk, session.created_at),
            "state": State.RECORDING,
            "reason": "",
            "needs_repair": session.audio_format.has_constant_rate and session.dialect not in NOT_REPAIRED,
            "created_at": session.created_at,
            "due_at": session.created_at,
        },
    )


def recording_state(session: Any) -> Any:
    """The state of a session's recording; None where none was to be kept."""
    recording = getattr(session, "recording", None)
    return None if recording is None else recording.state


def waits_for_repair() -> Q:
    """Whether kept audio of a session may still have to be heard, for a filter of sessions."""
    unheard = SessionRecording.objects.filter(session=OuterRef("pk"), state=State.RECORDING, needs_repair=True)
    return Q(Exists(unheard)) & Q(resume_until__gt=Now() - REPAIRED_WITHIN)


def can_be_repaired(session: Any) -> bool:
    """Whether audio of a session was kept that can be heard again."""
    if not session.options_applied.get("keep_audio"):
        return False
    return SessionRecording.objects.filter(session_id=session.pk, state=State.RECORDING, needs_repair=True).exists()


def delete_audio(recording: SessionRecording, folder: PartFolder, reason: str, storage: Storage | None = None) -> bool:
    """Delete what is kept of a recording, its peaks too. False, and logged, where the storage does not let it."""
    try:
        if recording.name:
            (storage or recordings()).delete(recording.name)
        folder.delete(recording.folder)
    except Exception as error:
        # Backends raise what they like; it is tried again.
        logger.warning("A recording could not be deleted: %s", type(error).__name__)
        return False
    metrics.RECORDINGS_TOTAL.labels(outcome="deleted").inc()
    SessionRecording.objects.filter(pk=recording.pk).update(
        state=State.DELETED, reason=reason, name="", size_bytes=0, sha256="", peaks=b"", due_at=None,
        needs_repair=False, deleted_at=Now(),
    )  # fmt: skip
    return True


def delete_with_session(session_id: int, folder: PartFolder) -> None:
    """The audio of a session that is being deleted. What cannot be deleted now is by tidy()."""
    recording = SessionRecording.objects.filter(session_id=session_id).first()
    if recording is not None and delete_audio(recording, folder, "session_deleted"):
        SessionRecording.objects.filter(pk=recording.pk).delete()


def tidy(folder: PartFolder, retain_days: int, now_s: float) -> bool:
    """Delete what has lost its session, and what is older than retain_days (0: nothing is). Whether that was all."""
    orphans = list(SessionRecording.objects.filter(session=None).order_by("pk")[:MAX_DELETED_AT_ONCE])
    for recording in orphans:
        if delete_audio(recording, folder, "session_deleted"):
            SessionRecording.objects.filter(pk=recording.pk).delete()
    old = _older_than(retain_days)[:MAX_DELETED_AT_ONCE] if retain_days else []
    for recording in old:
        _retire(recording, folder)
    _sweep(folder, now_s)
    return max(len(orphans), len(old)) < MAX_DELETED_AT_ONCE


def _retire(recording: SessionRecording, folder: PartFolder) -> None:
    # Here, for what is noted is noted of sessions, which are made from what stands here.
    from transcription.audit.actors import Actor, acting
    from transcription.audit.models import AuditEvent
    from transcription.audit.recording import record

    size_bytes, session = recording.size_bytes, recording.session
    if delete_audio(recording, folder, "retention"):
        with acting(Actor(AuditEvent.ActorKind.RULE, "RETAIN_AUDIO_DAYS")):
            record(AuditEvent.What.DELETED_AUDIO, session, bytes=size_bytes, audio_s=recording.duration_ms // 1000)


def _older_than(days: int) -> list[SessionRecording]:
    over = Now() - timedelta(days=days)
    kept = (
        SessionRecording.objects.filter(
            # What is protected, or has a term of its own, stays with its audio.
            state__in=(State.COMPLETE, State.PARTIAL, State.FAILED),
            finished_at__lt=over,
            session__protection=None,
            session__own_term=None,
        )
        .select_related("session")
        .defer("peaks")
    )
    return list(kept.order_by("finished_at")[:MAX_DELETED_AT_ONCE])


def _sweep(folder: PartFolder, now_s: float) -> None:
    """Parts that a killed process left behind its recording."""
    old = [name for name, changed_s in folder.folders() if now_s - changed_s > FORGOTTEN_AFTER_S]
    for name in old[:MAX_DELETED_AT_ONCE]:
        wanted = SessionRecording.objects.filter(session_id=key_of(name), state__in=(State.RECORDING, State.FAILED))
        if not wanted.exists():
            folder.delete(name)
