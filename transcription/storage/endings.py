"""What a holder notes about its session when it opens and when it lets go. Plain functions for a database thread."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from transcription.limits.usage import count_usage
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.options import clean_text
from transcription.storage.group_commit import insert_segments
from transcription.storage.holding import fenced, why_not_held
from transcription.storage.steps import Ending, SessionHandle, count_words
from transcription.storage.tails import kept_tails
from transcription.timeline import rows as timeline
from transcription.webhooks.outbox import note_end

logger = logging.getLogger(__name__)

MAX_REASON_CHARACTERS = 40
MAX_MESSAGE_CHARACTERS = 500
MAX_NAME_CHARACTERS = 255

State = TranscriptionSession.State

ENDING_FIELDS = (
    "state", "end_reason", "end_message", "audio_bytes", "audio_ms", "first_interim_ms", "final_lag_p50_ms",
    "final_lag_p95_ms", "detached_at", "resume_until", "ended_at", "flushed_bytes", "segment_count", "word_count",
    "metered_ms",
)  # fmt: skip


def note_opened(handle: SessionHandle, recogniser: str, model: str, applied: dict[str, Any]) -> None:
    """Note which recogniser listens. Raises what holding.why_not_held says."""
    held = TranscriptionSession.objects.filter(pk=handle.pk, epoch=handle.epoch, state=State.LIVE)
    changed = held.update(
        recogniser=clean_text(recogniser)[:MAX_NAME_CHARACTERS],
        model=clean_text(model)[:MAX_NAME_CHARACTERS],
        options_applied=applied,
    )
    if not changed:
        raise why_not_held(handle.pk, handle.epoch) or fenced()


def note_ending(handle: SessionHandle, ending: Ending) -> None:
    """Let go of a session, with its tails. Doing it again does nothing. Raises what holding.why_not_held says.

    One that was detached for its silent process, and that nobody has taken since, still takes its holder's end.
    One that an operator had asked to stop is complete, however its connection ended.
    """
    reason = ending.reason[:MAX_REASON_CHARACTERS]
    with transaction.atomic():
        row = TranscriptionSession.objects.select_for_update().filter(pk=handle.pk, epoch=handle.epoch).first()
        if row is None:
            raise fenced()
        state = State(ending.state)
        if state is State.DETACHED and row.stop_requested_at is not None:
            state, reason = State.COMPLETED, "operator"
        if (row.state, row.end_reason) == (state, reason):
            return  # an earlier attempt got through
        if row.state not in (State.LIVE, State.DETACHED):
            raise why_not_held(handle.pk, handle.epoch) or fenced()
        _store_tails(row, ending)
        row.state, row.end_reason = state, reason
        row.end_message = clean_text(ending.message)[:MAX_MESSAGE_CHARACTERS]
        row.audio_bytes, row.audio_ms = ending.audio_bytes, ending.audio_ms
        if row.first_interim_ms is None:  # of a session that was taken up again the first one counts
            row.first_interim_ms = ending.first_interim_ms
        row.final_lag_p50_ms, row.final_lag_p95_ms = ending.final_lag_p50_ms, ending.final_lag_p95_ms
        row.detached_at = row.resume_until = row.ended_at = None
        if state is State.DETACHED:
            row.detached_at, row.resume_until = Now(), Now() + timedelta(seconds=ending.resume_within_s)
            timeline.note(row.pk, timeline.Kind.DETACHED, audio_ms=ending.audio_ms, reason=reason)
        else:
            row.ended_at = Now()
        count_usage(row)
        row.save(update_fields=ENDING_FIELDS)
        note_end(row)


def _store_tails(row: TranscriptionSession, ending: Ending) -> None:
    if ending.tails and ending.tails[0].index != row.next_seq:
        # The end itself matters more; the audio of these words is not settled and will be sent again.
        logger.error("Tails from %d on do not follow segment %d.", ending.tails[0].index, row.next_seq)
        return
    insert_segments([(row.pk, row.epoch, segment) for segment in ending.tails])
    row.flushed_bytes = ending.flushed_bytes
    row.segment_count += len(ending.tails)
    row.word_count += sum(segment.word_count for segment in ending.tails)


def keep_tails(row: TranscriptionSession, held_from: int) -> None:
    """Let the tails of a locked row stand whose audio the client can send no more. The row is not saved here."""
    if held_from <= row.committed_bytes:
        return
    tails = TranscriptSegment.objects.filter(session_id=row.pk, tail=True, index__gte=row.next_seq)
    ends_ms = list(tails.order_by("index").values_list("end_ms", flat=True))
    kept, settled = kept_tails(
        ends_ms, flushed_bytes=row.flushed_bytes, held_from=held_from, audio_format=row.audio_format
    )
    if kept:
        tails.filter(index__lt=row.next_seq + kept).update(tail=False)
        row.next_seq += kept
        row.committed_bytes = max(row.committed_bytes, settled)


def withdraw_tails(row: TranscriptionSession) -> bool:
    """Delete the tails of a locked row and correct its counts, which are not saved here. True if there were any."""
    tails = TranscriptSegment.objects.filter(session_id=row.pk, tail=True, index__gte=row.next_seq)
    found = [count_words(text, words) for text, words in tails.values_list("asr_text", "words")]
    if found:
        # Without signals: a withdrawn tail is no correction, and leaves nothing in the history.
        tails._raw_delete(tails.db)
        row.segment_count -= len(found)
        row.word_count -= sum(found)
    row.flushed_bytes = 0
    return bool(found)
