"""Letting a session start: exact over all processes, in one transaction. Plain functions for a database thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, SessionTaken, TooFast
from transcription.identity.origins import storable_address
from transcription.identity.principals import Principal
from transcription.limits.quotas import check_key_places, check_start_rate, usable_key
from transcription.metrics import ADMISSION_REFUSED_TOTAL
from transcription.models import TranscriptionSession
from transcription.options import TranscriptionConfig, clean_text
from transcription.recording.store import begin as begin_recording
from transcription.storage.steps import NewSession, SessionHandle

# Any number that no other program uses for its advisory locks in this database.
ADMISSION_LOCK = 0x5350_4545_4348
CAPACITY_RETRY_AFTER_MS = 5000
MAX_USER_AGENT_CHARACTERS = 400

State = TranscriptionSession.State


class Abandoned(Exception):
    """Nobody waits for this start or take-over any more; it was rolled back."""


@dataclass(frozen=True, slots=True)
class Places:
    """How many sessions may be live at a time, on the whole site and of one owner (0: as many as there are)."""

    max_sessions: int
    max_sessions_per_owner: int = 0


def admit(
    new: NewSession,
    *,
    holder: UUID,
    worker_id: UUID | None,
    places: Places,
    abandoned: threading.Event,
) -> SessionHandle:
    """Make a session live if there is a place for it.

    holder: of this start alone, so that doing it again finds an attempt that got through unnoticed. Raises
    SessionTaken, AtCapacity, TooFast (the share of the owner or key is taken), NotAllowed, NotAuthenticated (a start
    token used before, a key that is not good any more), Abandoned and the database's errors.
    """
    if new.principal.session_id not in (None, new.public_id):
        raise NotAllowed(_("This token is for another session."))
    with transaction.atomic():
        serialise_admission()
        row = TranscriptionSession.objects.select_for_update().filter(public_id=new.public_id).first()
        if row is not None:
            if row.holder == holder and row.state == State.LIVE:
                return handle_of(row)
            _check_may_start(row, new.principal)
        key = usable_key(new.principal)
        check_start_rate(key)
        check_places(new.principal, places, key)
        row = row or TranscriptionSession(public_id=new.public_id, created_at=Now())
        row.holder, row.worker_id = holder, worker_id
        _start(row, new)
        if abandoned.is_set():
            raise Abandoned
    return handle_of(row)


def serialise_admission() -> None:
    """Let one process at a time count and start. SQLite's IMMEDIATE transactions do that by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADMISSION_LOCK])


def check_places(principal: Principal, places: Places, key: Any) -> None:
    """Raise AtCapacity or TooFast unless one more session may become live. Call serialise_admission() before.

    key: what quotas.usable_key() says of the principal.

    Nobody in particular, which is what loopback clients of the development profile are, has no share.
    """
    check_key_places(key)
    live = TranscriptionSession.objects.filter(state=State.LIVE)
    is_somebody = principal.user_id is not None or principal.key_id is not None
    if places.max_sessions_per_owner and is_somebody:
        if principal.user_id is not None:
            own = live.filter(owner_id=principal.user_id)
        else:
            own = live.filter(owner_id=None, api_key_id=principal.key_id)
        if own.count() >= places.max_sessions_per_owner:
            ADMISSION_REFUSED_TOTAL.labels(reason="owner").inc()
            raise TooFast(
                _("You have as many live sessions as one owner may have. End one of them first."),
                reason="too_many_sessions",
                retry_after_ms=CAPACITY_RETRY_AFTER_MS,
            )
    if live.count() >= places.max_sessions:
        ADMISSION_REFUSED_TOTAL.labels(reason="capacity").inc()
        raise AtCapacity(
            _("All places are taken. Please try again in a moment."), retry_after_ms=CAPACITY_RETRY_AFTER_MS
        )


def created_options(public_id: str, principal: Principal) -> dict[str, Any] | None:
    """The options with which `start-transcription` made this session for the same owner; None if it did not."""
    row = TranscriptionSession.objects.filter(public_id=public_id, state=State.CREATED).first()
    if row is None or not principal.owns(owner_id=row.owner_id, api_key_id=row.api_key_id):
        return None
    return dict(row.options_asked)


def describe_session(row: TranscriptionSession, principal: Principal, applied: TranscriptionConfig) -> None:
    """Write on a row whose it is and what was agreed."""
    row.owner_id, row.api_key_id = principal.user_id, principal.key_id
    row.title, row.metadata = applied.title, dict(applied.metadata)
    row.language = applied.language
    row.encoding = applied.encoding.value
    row.sample_rate_hz = applied.sample_rate_hertz
    row.channels = applied.audio_channel_count
    row.options_applied = applied.model_dump(mode="json")


def _check_may_start(row: TranscriptionSession, principal: Principal) -> None:
    is_owner = principal.owns(owner_id=row.owner_id, api_key_id=row.api_key_id)
    if is_owner and row.state == State.CREATED:
        return
    if principal.kind == "token" and principal.session_id is not None:
        raise NotAuthenticated(_("This token has been used. Get a new one."), reason="token_used")
    if is_owner and row.state == State.FAILED and row.audio_bytes == 0 and row.next_seq == 0:
        return
    raise SessionTaken(_("This session id exists already. Choose another."))


def _start(row: TranscriptionSession, new: NewSession) -> None:
    describe_session(row, new.principal, new.applied)
    row.client_address = storable_address(new.client_address)
    row.user_agent = clean_text(new.user_agent)[:MAX_USER_AGENT_CHARACTERS]
    row.dialect = new.dialect
    row.options_asked = new.asked
    row.resume_token_digest = new.resume_token_digest
    row.state = State.LIVE
    row.epoch += 1
    row.next_seq = row.committed_bytes = row.segment_count = row.word_count = 0
    row.audio_bytes = row.audio_ms = row.header_bytes = row.flushed_bytes = 0
    row.gaps = []
    row.first_interim_ms = row.final_lag_p50_ms = row.final_lag_p95_ms = None
    row.recogniser = row.model = row.end_reason = row.end_message = row.stop_reason = ""
    row.stop_requested_at = row.stop_requested_by = row.detached_at = row.resume_until = row.ended_at = None
    row.started_at = Now()
    row.save()
    row.refresh_from_db(fields=["created_at", "started_at"])
    if new.applied.keep_audio:
        begin_recording(row)


def handle_of(row: TranscriptionSession) -> SessionHandle:
    return SessionHandle(
        pk=row.pk,
        public_id=row.public_id,
        epoch=row.epoch,
        next_seq=row.next_seq,
        committed_bytes=row.committed_bytes,
        created_at=row.created_at,
    )
