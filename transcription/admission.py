"""Letting a session start: exact over all processes, in one transaction. Plain functions for a database thread."""

from __future__ import annotations

import ipaddress
import threading
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, SessionTaken
from transcription.metrics import ADMISSION_REFUSED_TOTAL
from transcription.models import TranscriptionSession
from transcription.options import TranscriptionConfig, clean_text
from transcription.principals import Principal
from transcription.steps import NewSession, SessionHandle

# Any number that no other program uses for its advisory locks in this database.
ADMISSION_LOCK = 0x5350_4545_4348
CAPACITY_RETRY_AFTER_MS = 5000
MAX_USER_AGENT_CHARACTERS = 400

State = TranscriptionSession.State


class Abandoned(Exception):
    """Nobody waits for this start any more; it was rolled back."""


def admit(
    new: NewSession,
    *,
    worker_id: UUID | None,
    max_sessions: int,
    abandoned: threading.Event,
    is_repeated: bool = False,
) -> SessionHandle:
    """Make a session live if there is a place for it.

    is_repeated: an earlier attempt of this same start may have got through unnoticed. Raises SessionTaken,
    AtCapacity, NotAllowed, NotAuthenticated (a start token used before), Abandoned and the database's errors.
    """
    if new.principal.session_id not in (None, new.public_id):
        raise NotAllowed(_("This token is for another session."))
    with transaction.atomic():
        serialise_admission()
        row = TranscriptionSession.objects.select_for_update().filter(public_id=new.public_id).first()
        if row is not None:
            if is_repeated and _is_own_start(row, new, worker_id):
                return _handle(row)
            _check_may_start(row, new.principal)
        if TranscriptionSession.objects.filter(state=State.LIVE).count() >= max_sessions:
            ADMISSION_REFUSED_TOTAL.labels(reason="capacity").inc()
            raise AtCapacity(
                _("All places are taken. Please try again in a moment."), retry_after_ms=CAPACITY_RETRY_AFTER_MS
            )
        row = _start(row or TranscriptionSession(public_id=new.public_id, created_at=Now()), new, worker_id)
        if abandoned.is_set():
            raise Abandoned
    return _handle(row)


def serialise_admission() -> None:
    """Let one process at a time count and start. SQLite's IMMEDIATE transactions do that by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADMISSION_LOCK])


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


def storable_address(address: str | None) -> str | None:
    """An address as the database takes it: without an IPv6 zone; None for what is not an address."""
    try:
        return str(ipaddress.ip_address((address or "").partition("%")[0]))
    except ValueError:
        return None


def _check_may_start(row: TranscriptionSession, principal: Principal) -> None:
    is_owner = principal.owns(owner_id=row.owner_id, api_key_id=row.api_key_id)
    if is_owner and row.state == State.CREATED:
        return
    if principal.kind == "token":
        raise NotAuthenticated(_("This token has been used. Get a new one."), reason="token_used")
    if is_owner and row.state == State.FAILED and row.audio_bytes == 0 and row.next_seq == 0:
        return
    raise SessionTaken(_("This session id exists already. Choose another."))


def _is_own_start(row: TranscriptionSession, new: NewSession, worker_id: UUID | None) -> bool:
    return (
        worker_id is not None
        and row.worker_id == worker_id
        and row.state == State.LIVE
        and row.next_seq == 0
        and row.committed_bytes == 0
        and new.principal.owns(owner_id=row.owner_id, api_key_id=row.api_key_id)
    )


def _start(row: TranscriptionSession, new: NewSession, worker_id: UUID | None) -> TranscriptionSession:
    describe_session(row, new.principal, new.applied)
    row.client_address = storable_address(new.client_address)
    row.user_agent = clean_text(new.user_agent)[:MAX_USER_AGENT_CHARACTERS]
    row.dialect = new.dialect
    row.options_asked = new.asked
    row.state, row.worker_id = State.LIVE, worker_id
    row.epoch += 1
    row.next_seq = row.committed_bytes = row.segment_count = row.word_count = 0
    row.audio_bytes = row.audio_ms = 0
    row.first_interim_ms = row.final_lag_p50_ms = row.final_lag_p95_ms = None
    row.recogniser = row.model = row.end_reason = row.end_message = row.stop_reason = ""
    row.stop_requested_at = row.stop_requested_by = row.ended_at = None
    row.started_at = Now()
    row.save()
    row.refresh_from_db(fields=["created_at", "started_at"])
    return row


def _handle(row: TranscriptionSession) -> SessionHandle:
    return SessionHandle(
        pk=row.pk,
        public_id=row.public_id,
        epoch=row.epoch,
        next_seq=row.next_seq,
        committed_bytes=row.committed_bytes,
        created_at=row.created_at,
    )
