"""Hearing again what a lost worker had kept of a session and not stored the words of, before it is given up.

The session is taken up as by a client that has all of the audio still: nothing is said twice, and a client that comes
back after all takes it from here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from typing import Any

import structlog
from django.db.models import QuerySet
from django.db.models.functions import Now

from transcription import metrics
from transcription.engine.end import End
from transcription.engine.live import LiveTranscription
from transcription.engine.resuming import digest_of
from transcription.errors import TranscriptionError
from transcription.events import Event
from transcription.files.engine import FileSession
from transcription.files.job_store import REVIVED_FOR
from transcription.files.jobs import MAX_AGE_S, NO_ATTEMPT
from transcription.files.service import IDLE_TIMEOUT_S
from transcription.identity.principals import Principal
from transcription.jobs.kind import WRITE_TIMEOUT_S, Lease, Outcome, retry_s
from transcription.models import TranscriptionSession
from transcription.process import Process, SessionBounds
from transcription.recording.models import SessionRecording
from transcription.recording.parts import Part, PartFolder
from transcription.recording.reading import read
from transcription.storage.steps import Resume

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
DIALECT = "repair"
# After a failed attempt the next may follow as soon as it is due.
BOUNDS = SessionBounds(session_timeout_s=MAX_AGE_S, idle_timeout_s=IDLE_TIMEOUT_S, resume_window_s=1.0)

State = SessionRecording.State
SessionState = TranscriptionSession.State


class RepairKind:
    """Implements JobKind."""

    name = "recording_repair"
    at_once = 1
    grace_s = 0.0
    look_every_s = 10.0

    def __init__(self, process: Process) -> None:
        self._process = process
        self._folder = PartFolder.of(process.config)

    def rows(self) -> QuerySet[SessionRecording]:
        """Recordings of sessions that nobody may take up any more."""
        return SessionRecording.objects.filter(
            state=State.RECORDING, needs_repair=True, session__state=SessionState.DETACHED,
            session__resume_until__lte=Now(),
        ).select_related("session__owner", "session__api_key__owner")  # fmt: skip

    async def work(self, row: SessionRecording, lease: Lease) -> Outcome:
        session: Any = row.session
        audio_format = session.audio_format
        parts = await asyncio.to_thread(self._folder.parts, row.folder)
        end = audio_format.align(max((part.end for part in parts), default=0))
        # The last words of a connection that was let go in order are there as tails.
        if end <= max(session.committed_bytes, session.flushed_bytes):
            return _done()
        digest = await lease.threads.run(_revive, session.pk, timeout_s=WRITE_TIMEOUT_S)
        if digest is None:
            # It was taken up, stopped or deleted at the last moment.
            return Outcome(due_in_s=0.0, is_an_attempt=False)
        try:
            await self._hear(session, digest, parts, end)
        except TranscriptionError as error:
            return await self._after(row, session.pk, error, lease)
        metrics.RECORDING_REPAIRS_TOTAL.labels(outcome="repaired").inc()
        log.info("session_repaired", session_id=session.public_id, until_ms=audio_format.bytes_to_ms(end))
        return _done()

    async def _hear(self, session: Any, digest: str, parts: list[Part], end: int) -> None:
        resume = Resume(
            public_id=session.public_id,
            principal=principal_of_session(session),
            token_digest=digest,
            received_segments=session.next_seq,
            held_from=None,
            client_address=session.client_address,
            user_agent=session.user_agent,
            max_age_s=MAX_AGE_S,
        )
        taken = await self._process.take(resume)
        audio_format = session.audio_format

        def make_live(emit: Callable[[Event], None]) -> LiveTranscription:
            return self._process.go_on(taken, resume, dialect=DIALECT, emit=emit, bounds=BOUNDS, records=False)

        async def chunks(start: int) -> AsyncGenerator[bytes, None]:
            # As the client counts, a header included.
            first = max(0, start - taken.header_bytes)
            blocks = read(parts, audio_format, first, end)
            while block := await asyncio.to_thread(next, blocks, b""):
                yield block

        over = End("interrupted", session.end_reason or "worker_lost")
        async with FileSession(self._process, make_live, chunks, ends_with=over) as heard:
            async for _final in heard.finals():
                pass

    async def _after(self, row: SessionRecording, session_pk: int, error: TranscriptionError, lease: Lease) -> Outcome:
        is_attempt = error.reason not in NO_ATTEMPT
        if error.retryable and (row.attempts < MAX_ATTEMPTS or not is_attempt):
            await lease.threads.run(_let_wait, session_pk, timeout_s=WRITE_TIMEOUT_S)
            return Outcome(due_in_s=retry_s(row.attempts), is_an_attempt=is_attempt)
        metrics.RECORDING_REPAIRS_TOTAL.labels(outcome="given_up").inc()
        log.warning("session_not_repaired", recording=row.folder, reason=error.reason)
        await lease.threads.run(_let_wait, session_pk, timeout_s=WRITE_TIMEOUT_S)
        return _done()


def _done() -> Outcome:
    """Nothing of it has to be heard; once its session has ended it is joined."""
    return Outcome({"needs_repair": False, "attempts": 0}, due_in_s=0.0)


def _revive(pk: int) -> str | None:
    """Let a session be taken up once more. Returns the digest of its token; None if it is not detached any more."""
    session = TranscriptionSession.objects.filter(pk=pk).only("resume_token_digest").first()
    if session is None:
        return None
    # One that its client could not resume had none.
    digest = session.resume_token_digest or digest_of(secrets.token_urlsafe(32))
    over = TranscriptionSession.objects.filter(pk=pk, state=SessionState.DETACHED, resume_until__lte=Now())
    return digest if over.update(resume_until=Now() + REVIVED_FOR, resume_token_digest=digest) else None


def _let_wait(pk: int) -> None:
    """Nobody else may take it up meanwhile."""
    TranscriptionSession.objects.filter(pk=pk, state=SessionState.DETACHED).update(resume_until=Now())


def principal_of_session(session: Any) -> Principal:
    """Whom a session is for; whether they still may is judged where it is taken up."""
    if session.api_key is not None:
        key = session.api_key
        return Principal(kind="key", user_id=key.owner_id, key_id=key.pk, label=key.name, scopes=key.scope_set)
    if session.owner is not None:
        return Principal(kind="user", user_id=session.owner.pk, label=session.owner.get_username())
    return Principal(kind="local", label="local")
