"""Taking a session up again, on any process of any host. Plain functions for a database thread.

The row is locked before anything of it is read that counts, so what the old holder stored before is seen, and
whatever it tries afterwards meets the new epoch.
"""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import AtCapacity, BadMessage, NothingToResume, SessionOver
from transcription.identity.origins import storable_address
from transcription.limits.admission import (
    MAX_USER_AGENT_CHARACTERS,
    Abandoned,
    Places,
    check_places,
    handle_of,
    serialise_admission,
)
from transcription.limits.quotas import usable_key
from transcription.metrics import GAP_MS_TOTAL
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.options import clean_text
from transcription.storage.endings import keep_tails, withdraw_tails
from transcription.storage.holding import fenced, stopped_by_operator, window_over
from transcription.storage.steps import Resume, StoredEnd, StoredSegment, Taken
from transcription.timeline import rows as timeline

# A row that changes its state this often while it is looked at belongs to somebody busier.
MAX_LOOKS = 3
RETRY_AFTER_MS = 1000

State = TranscriptionSession.State


@dataclass(slots=True)
class Attempt:
    """What repeated attempts of one take-over have in common.

    holder: of this take-over alone. taken: what an attempt was about to commit, if one came that far.
    """

    holder: UUID
    taken: Taken | None = None


def take(
    resume: Resume,
    attempt: Attempt,
    *,
    worker_id: UUID | None,
    places: Places,
    abandoned: threading.Event,
) -> Taken:
    """Take a session for a new connection. Doing it again with the same attempt finds one that got through.

    Raises NothingToResume (unknown, somebody else's, wrong token, not resumable: the same answer), SessionOver,
    StoppedByOperator, BadMessage for an impossible held_from, NotAuthenticated, AtCapacity, TooFast, Fenced if yet
    another connection took the session since the first attempt, Abandoned, and the database's errors.
    """
    for _look in range(MAX_LOOKS):
        seen = _find(resume)
        with transaction.atomic():
            # Only what becomes live needs a place. A live row may stay locked for long, by a process that stands
            # still, and those who wait for it must not hold the lock that every start needs.
            if seen.state == State.DETACHED:
                serialise_admission()
            row = _lock(seen.pk)
            if row is None:
                raise _nothing()
            if row.state == State.DETACHED and seen.state != State.DETACHED:
                continue
            return _take(row, resume, attempt, worker_id, places, abandoned)
    raise AtCapacity(_("The session is busy. Please try again."), reason="busy", retry_after_ms=RETRY_AFTER_MS)


def _find(resume: Resume) -> TranscriptionSession:
    """The row, if the connection has a right to it. Without a lock: strangers lock nothing."""
    row = TranscriptionSession.objects.filter(public_id=resume.public_id).first()
    digest = row.resume_token_digest if row is not None else ""
    is_token_right = hmac.compare_digest(digest, resume.token_digest) and digest != ""
    if row is None or not is_token_right:
        raise _nothing()
    principal = resume.principal
    is_owner = principal.owns(owner_id=row.owner_id, api_key_id=row.api_key_id)
    if not is_owner or principal.session_id not in (None, row.public_id) or not row.audio_format.has_constant_rate:
        raise _nothing()
    return row


def _lock(pk: int) -> Any:
    """The locked row with the database's time as `now`."""
    return TranscriptionSession.objects.select_for_update().annotate(now=Now()).filter(pk=pk).first()


def _take(
    row: Any,
    resume: Resume,
    attempt: Attempt,
    worker_id: UUID | None,
    places: Places,
    abandoned: threading.Event,
) -> Taken:
    if attempt.taken is not None and row.epoch >= attempt.taken.handle.epoch:
        if row.holder != attempt.holder:
            raise fenced()
        if row.state == State.LIVE:
            return attempt.taken
    if (row.state, row.end_reason) == (State.COMPLETED, "client"):
        return _describe(row, resume, withdrawn=False, ended=_stored_end(row))
    _check_may_resume(row, resume)
    key = usable_key(resume.principal)
    if row.state == State.DETACHED:
        check_places(resume.principal, places, key)
    held_from = _held_from(row, resume)
    keep_tails(row, held_from)
    _note_return(row, held_from)
    _record_gap(row, held_from)
    were_tails = withdraw_tails(row)
    row.epoch += 1
    row.state, row.worker_id, row.holder = State.LIVE, worker_id, attempt.holder
    row.client_address = storable_address(resume.client_address)
    row.user_agent = clean_text(resume.user_agent)[:MAX_USER_AGENT_CHARACTERS]
    row.detached_at = row.resume_until = row.ended_at = None
    row.end_reason = row.end_message = ""
    row.save(update_fields=TAKEN_FIELDS)
    holds_more = resume.received_segments is not None and resume.received_segments > row.next_seq
    attempt.taken = _describe(row, resume, withdrawn=were_tails or holds_more)
    if abandoned.is_set():
        raise Abandoned
    return attempt.taken


TAKEN_FIELDS = (
    "epoch", "state", "worker", "holder", "client_address", "user_agent", "detached_at", "resume_until", "ended_at",
    "end_reason", "end_message", "next_seq", "committed_bytes", "gaps", "flushed_bytes", "segment_count", "word_count",
)  # fmt: skip


def _check_may_resume(row: Any, resume: Resume) -> None:
    match row.state, row.end_reason:
        case ((State.LIVE | State.DETACHED), _reason):
            is_in_time = row.resume_until is None or row.resume_until > row.now
            if not is_in_time or _age(row) >= timedelta(seconds=resume.max_age_s):
                raise window_over()
        case State.COMPLETED, "operator":
            raise stopped_by_operator(row.stop_reason)
        case State.COMPLETED, "session_timeout":
            raise SessionOver(_("The session reached its maximum length; its transcript is complete."))
        case ((State.COMPLETED | State.INTERRUPTED), _reason):
            raise window_over()
        case _:
            raise _nothing()


def _held_from(row: Any, resume: Resume) -> int:
    """The first whole sample that the client can send again; what is settled if it holds everything after that."""
    if resume.held_from is None:
        return int(row.committed_bytes)
    audio_format = row.audio_format
    furthest = max(row.audio_bytes, row.committed_bytes) + round(resume.max_age_s) * audio_format.bytes_per_second
    held_from = resume.held_from - row.header_bytes
    if held_from > furthest:
        raise BadMessage(_("No audio of this session can be that far on."), reason="bad_held_from", field="held_from")
    # Up to a whole sample: the client has only a part of the one it begins with.
    return int(audio_format.align(held_from + audio_format.bytes_per_sample_set - 1))


def _note_return(row: Any, held_from: int) -> None:
    """With the audio that is lost, and how long the client was away (0 where its old connection still stood)."""
    lost_ms = row.audio_format.bytes_to_ms(max(0, held_from - row.committed_bytes))
    away_ms = round((row.now - row.detached_at).total_seconds() * 1000) if row.detached_at else 0
    audio_ms = row.audio_format.bytes_to_ms(max(row.audio_bytes, row.committed_bytes))
    timeline.note(row.pk, timeline.Kind.RESUMED, audio_ms=audio_ms, gap_ms=lost_ms, away_ms=max(0, away_ms))


def _record_gap(row: Any, end: int) -> None:
    """Audio that is neither settled nor held by the client any more is a gap, never silently left out."""
    start = row.committed_bytes
    if end > start:
        lost_ms = row.audio_format.bytes_to_ms(end - start)
        transaction.on_commit(lambda: GAP_MS_TOTAL.inc(lost_ms))
        earlier = list(row.gaps)
        if earlier and earlier[-1][1] == start:
            start = earlier.pop()[0]
        row.gaps, row.committed_bytes = [*earlier, [start, end]], end


def _describe(row: Any, resume: Resume, *, withdrawn: bool, ended: StoredEnd | None = None) -> Taken:
    return Taken(
        handle=handle_of(row),
        asked=dict(row.options_asked),
        applied=dict(row.options_applied),
        header_bytes=row.header_bytes,
        gaps=tuple((start, end) for start, end in row.gaps),
        withdrawn=withdrawn,
        segments=_segments(row, resume.received_segments or 0),
        age_s=_age(row).total_seconds(),
        audio_bytes=max(row.audio_bytes, row.committed_bytes),
        ended=ended,
    )


def _segments(row: Any, first: int) -> tuple[StoredSegment, ...]:
    stored = TranscriptSegment.objects.filter(session_id=row.pk, index__gte=first, index__lt=row.next_seq)
    fields = (
        "index", "start_ms", "end_ms", "asr_text", "words", "alternatives", "confidence", "language", "channel",
    )  # fmt: skip
    return tuple(StoredSegment(*values) for values in stored.order_by("index").values_list(*fields))


def _stored_end(row: Any) -> StoredEnd:
    return StoredEnd(row.end_reason, row.audio_ms, row.audio_bytes, row.next_seq)


def _age(row: Any) -> timedelta:
    """Since the first start, by the database's clock; an hour turned back on it is no age below zero."""
    age: timedelta = row.now - (row.started_at or row.created_at)
    return max(age, timedelta())


def _nothing() -> NothingToResume:
    return NothingToResume(_("There is nothing to resume."))
