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
from transcription.retention.traces import leftovers
from transcription.webhooks.models import WebhookDelivery


def begin(session: TranscriptionSession) -> Tombstone:
    """Note what is about to go. Within the transaction that locks the row; beginning again finds the first note."""
    begun = Tombstone.objects.filter(session_key=session.pk, finished_at=None).first()
    if begun is not None:
        return begun
    actor = current_actor()
    counts = count_of(session)
    record(AuditEvent.What.DELETED, session, audio_s=session.audio_ms // 1000, segments=counts["segments"])
    return Tombstone.objects.create(
        session_key=session.pk,
        public_id=session.public_id,
        deleted_by="" if actor.kind == AuditEvent.ActorKind.RULE else actor.label[:150],
        rule=actor.label[:100] if actor.kind == AuditEvent.ActorKind.RULE else "",
        created_at=session.created_at,
        started_at=session.started_at,
        ended_at=session.ended_at or session.detached_at,
        audio_ms=session.audio_ms,
        began_at=Now(),
        **counts,
    )


def count_of(session: TranscriptionSession) -> dict[str, int]:
    """What a deletion takes along, as a tombstone has it."""
    recording = SessionRecording.objects.filter(session_id=session.pk, deleted_at=None).defer("peaks").first()
    return {
        "segments": session.segments.count(),
        "versions": TranscriptSegment.history.filter(session_id=session.pk).count(),
        "deliveries": WebhookDelivery.objects.filter(session_id=session.pk).count(),
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
