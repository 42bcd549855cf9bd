"""What is noted of a deletion: before the first piece goes, and once a look at every table found nothing."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from transcription.audit.actors import current_actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.recording.models import SessionRecording
from transcription.recording.parts import folder_name
from transcription.retention.models import Tombstone
from transcription.retention.traces import leftovers, rows_of


def begin(session: TranscriptionSession, *, reruns: int = 0, rerun_of: str = "") -> Tombstone:
    """Note what is about to go. Within the transaction that locks the row; beginning again finds the first note.

    reruns: sessions that go along. rerun_of: the id of the one with which it goes.
    """
    begun = Tombstone.objects.filter(session_key=session.pk, finished_at=None).first()
    if begun is not None:
        return begun
    actor = current_actor()
    counts = count_of(session)
    facts = {"audio_s": session.audio_ms // 1000, "segments": counts["segments"]}
    record(AuditEvent.What.DELETED, session, facts, reruns=reruns or None, rerun_of=rerun_of)
    return Tombstone.objects.create(
        session_key=session.pk,
        public_id=session.public_id,
        deleted_by="" if actor.kind == AuditEvent.ActorKind.RULE else actor.label[:150],
        rule=actor.label[:100] if actor.kind == AuditEvent.ActorKind.RULE else "",
        created_at=session.created_at,
        started_at=session.started_at,
        ended_at=session.ended_at or session.detached_at,
        audio_ms=session.audio_ms,
        reruns=reruns,
        rerun_of=rerun_of,
        began_at=Now(),
        **counts,
    )


def count_of(session: TranscriptionSession) -> dict[str, Any]:
    """What a deletion takes along, as a tombstone has it."""
    rows = rows_of(session.pk)
    recording = SessionRecording.objects.filter(session_id=session.pk, deleted_at=None).defer("peaks").first()
    return {
        "rows": rows,
        "segments": rows.get("transcriptsegment", 0),
        "versions": TranscriptSegment.history.filter(session_id=session.pk).count(),
        "deliveries": rows.get("webhookdelivery", 0),
        "audio_files": int(recording is not None),
        "audio_file_bytes": recording.size_bytes if recording is not None else 0,
    }


def finish(stone: Tombstone) -> bool:
    """Note that it is all gone, if it is. What its storage did not let go is tried again by the jobs of recordings."""
    if stone.session_key is None or what_is_left(stone):
        return False
    Tombstone.objects.filter(pk=stone.pk).update(finished_at=Now(), session_key=None)
    return True


def what_is_left(stone: Tombstone) -> dict[str, Any]:
    """How many rows, and audio files, there still are of a session whose deletion began; empty when it is gone."""
    if stone.session_key is None:
        return {}
    left = leftovers(stone.session_key)
    if stone.created_at is not None:
        folder = folder_name(stone.session_key, stone.created_at)
        audio = SessionRecording.objects.filter(session=None, folder=folder).count()
        left |= {"recording": audio} if audio else {}
    return left
