"""The end of what nobody holds any more: lost, expired and never started sessions, rows of processes long gone.

Plain functions for a database thread; each changes a bounded number of rows. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Least, Now

from transcription.files.models import FileJob
from transcription.identity.tokens import purge_tokens
from transcription.limits.usage import count_usage
from transcription.models import TranscriptionSession, Worker
from transcription.recording.store import can_be_repaired, waits_for_repair
from transcription.timeline import rows as timeline
from transcription.webhooks.outbox import note_end

DEAD_AFTER = timedelta(seconds=20)
CREATED_KEPT_FOR = timedelta(hours=1)
WORKER_ROW_KEPT_FOR = timedelta(hours=1)
MAX_REAPED_AT_ONCE = 100
MAX_FORGOTTEN_AT_ONCE = 200
MAX_WORKERS_REMOVED_AT_ONCE = 10

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class ResumeBounds:
    """Until when a detached session may be resumed: window_s after it was, and within session_s of its start."""

    window_s: float
    session_s: float


def own_live_sessions(worker_id: UUID) -> set[tuple[int, int]]:
    """Key and epoch of every live session that names this worker."""
    return set(TranscriptionSession.objects.filter(worker_id=worker_id, state=State.LIVE).values_list("pk", "epoch"))


def release_lost(forgotten: Collection[tuple[int, int]], bounds: ResumeBounds) -> int:
    """Let go of live sessions without a living worker, and of those forgotten. Returns how many.

    They become detached, or interrupted where they cannot be resumed. forgotten: key and epoch of sessions that
    their living worker does not hold. Their epoch stays: nobody has taken them.
    """
    is_lost = Q(worker__isnull=True) | Q(worker__heartbeat_at__lt=Now() - DEAD_AFTER)
    for pk, epoch in list(forgotten)[:MAX_REAPED_AT_ONCE]:
        is_lost |= Q(pk=pk, epoch=epoch)
    with transaction.atomic():
        rows = list(
            TranscriptionSession.objects.filter(is_lost, state=State.LIVE)
            .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked, of=("self",))
            .order_by("pk")[:MAX_REAPED_AT_ONCE]
        )
        for row in rows:
            _release(row, bounds)
        count_usage(*rows)
        for row in rows:
            row.save(update_fields=RELEASED_FIELDS)
        note_end(*rows)
    return len(rows)


RELEASED_FIELDS = (
    "audio_bytes", "audio_ms", "state", "end_reason", "detached_at", "resume_until", "ended_at", "metered_ms",
)  # fmt: skip


def _release(row: TranscriptionSession, bounds: ResumeBounds) -> None:
    row.audio_bytes = max(row.audio_bytes, row.committed_bytes)
    row.audio_ms = max(row.audio_ms, row.committed_ms)
    row.end_reason = "worker_lost"
    if row.stop_requested_at is not None:
        row.state, row.end_reason = State.COMPLETED, "operator"
    elif row.resume_token_digest and row.audio_format.has_constant_rate and bounds.window_s > 0:
        row.state = State.DETACHED
    elif can_be_repaired(row):
        # Nobody may take it up, but its last words can still be heard.
        row.state, bounds = State.DETACHED, ResumeBounds(0.0, bounds.session_s)
    else:
        row.state = State.INTERRUPTED
    row.detached_at = row.resume_until = row.ended_at = None
    if row.state == State.DETACHED:
        session_over = Coalesce(F("started_at"), F("created_at")) + timedelta(seconds=bounds.session_s)
        row.detached_at = Now()
        row.resume_until = Least(Now() + timedelta(seconds=bounds.window_s), session_over)
        timeline.note(row.pk, timeline.Kind.DETACHED, audio_ms=row.audio_ms, reason=row.end_reason)
    else:
        row.ended_at = Now()


def expire_detached() -> int:
    """Interrupt detached sessions that nobody may resume any more; they ended when they were detached."""
    over = Q(resume_until__isnull=True) | Q(resume_until__lte=Now())
    detached = TranscriptionSession.objects.filter(over, ~waits_for_repair(), state=State.DETACHED).exclude(
        # A file waits as long as its job does.
        file_jobs__state__in=(FileJob.State.QUEUED, FileJob.State.RUNNING)
    )
    if not detached.exists():
        return 0
    with transaction.atomic():
        # Locked: one of them may be being taken up again at this moment.
        locked = detached.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        rows = list(locked.order_by("pk").only("pk", "epoch")[:MAX_REAPED_AT_ONCE])
        TranscriptionSession.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=State.INTERRUPTED, ended_at=Coalesce(F("detached_at"), Now()), resume_until=None
        )
        for row in rows:
            row.state = State.INTERRUPTED
        note_end(*rows)
    return len(rows)


def tidy() -> None:
    """Delete what was made and never started, tokens long over, and rows of processes long gone."""
    purge_tokens()
    old = TranscriptionSession.objects.filter(state=State.CREATED, created_at__lt=Now() - CREATED_KEPT_FOR)
    ids = list(old.values_list("pk", flat=True)[:MAX_REAPED_AT_ONCE])
    if ids:
        TranscriptionSession.objects.filter(pk__in=ids, state=State.CREATED).delete()
    gone = Worker.objects.filter(heartbeat_at__lt=Now() - WORKER_ROW_KEPT_FOR)
    for worker_id in gone.values_list("pk", flat=True)[:MAX_WORKERS_REMOVED_AT_ONCE]:
        remove_worker(worker_id)


def remove_worker(worker_id: UUID) -> None:
    """Delete a worker's row. Its sessions forget it in pieces: one large write would hold up live commits."""
    named = TranscriptionSession.objects.filter(worker_id=worker_id)
    while ids := list(named.values_list("pk", flat=True)[:MAX_FORGOTTEN_AT_ONCE]):
        TranscriptionSession.objects.filter(pk__in=ids, worker_id=worker_id).update(worker=None)
    Worker.objects.filter(pk=worker_id).delete()
