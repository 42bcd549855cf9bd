"""Long files, transcribed while nobody waits: the kind of work that the runner knows as `file`.

An attempt goes on where the session of the one before was settled, so that nothing is said twice and nothing is left
out, however that one ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, BinaryIO

import structlog
from django.db import DatabaseError, InterfaceError
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.audio.containers import BYTES_PER_MS, FileLimits
from transcription.engine import end as ends
from transcription.engine.live import LiveTranscription
from transcription.errors import InternalError, NotFound, StoppedByOperator, TranscriptionError
from transcription.events import Event
from transcription.files import job_store
from transcription.files.decoding import Decoding
from transcription.files.engine import DIALECT, FileSession, options_of_file
from transcription.files.folder import UploadFolder
from transcription.files.models import RERUN_DIALECT, FileJob
from transcription.files.service import IDLE_TIMEOUT_S
from transcription.jobs.kind import WRITE_TIMEOUT_S, Lease, Outcome, retry_s
from transcription.models import TranscriptionSession
from transcription.process import Process, SessionBounds
from transcription.reruns.kept_file import find_name, open_recording
from transcription.storage.database_threads import TooManyJobs
from transcription.storage.steps import Resume

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8
# From when it was made, waiting for places and recognisers included.
MAX_AGE_S = 7 * 24 * 3600.0
# A month's minutes may be given anew at any time.
LONGEST_WAIT_S = 3600.0
NOTE_EVERY_S = 2.0
SWEEP_EVERY_S = 3600.0
# A recording that is far away is fetched first.
OPEN_TIMEOUT_S = 300.0
MAX_REASON_CHARACTERS = 40
MAX_MESSAGE_CHARACTERS = 500

BOUNDS = SessionBounds(session_timeout_s=MAX_AGE_S, idle_timeout_s=IDLE_TIMEOUT_S, resume_window_s=MAX_AGE_S)
State = FileJob.State
SessionState = TranscriptionSession.State
MakeLive = Callable[[Callable[[Event], None]], LiveTranscription]
# Refused before anything was tried.
NO_ATTEMPT = frozenset(
    {"at_capacity", "draining", "too_many_sessions", "rate_limit", "monthly_minutes", "storage_unavailable", "busy"}
)
_DATABASE_TROUBLE = (DatabaseError, InterfaceError, TimeoutError, TooManyJobs)


class Cancelled(Exception):
    """Whoever made the job does not want it any more."""


class FileJobs:
    """Implements JobKind."""

    name = "file"
    # Work that is given back goes on elsewhere without loss.
    grace_s = 0.0
    look_every_s = 0.0

    def __init__(self, process: Process) -> None:
        config = process.config
        self.at_once = config.file_jobs_at_once
        self._process = process
        self._folder = UploadFolder.of(config)
        self._limits = FileLimits(round(config.max_file_audio_minutes * 60_000), config.max_file_streams)
        self._swept_at_s = float("-inf")

    def rows(self) -> QuerySet[FileJob]:
        """Jobs whose files are here."""
        storage_id = self._folder.storage_id()
        if time.monotonic() - self._swept_at_s > SWEEP_EVERY_S:
            self._swept_at_s = time.monotonic()
            self._sweep(storage_id)
        # Recordings are where every process gets at them.
        here = Q(storage_id=storage_id) | Q(rerun_of__isnull=False)
        return FileJob.objects.filter(here).select_related("owner", "api_key__owner")

    def _sweep(self, storage_id: str) -> None:
        """Delete what no job needs any more, such as what a killed process left of an upload."""
        old, known = job_store.names_to_sweep(storage_id)
        for name in old:
            self._folder.delete(name)
        self._folder.sweep(known)

    async def work(self, row: FileJob, lease: Lease) -> Outcome:
        try:
            return await self._attempt(row, lease)
        except Cancelled:
            return self._over(row, {"state": State.CANCELLED})
        except TranscriptionError as error:
            return self._after(row, error)

    async def _attempt(self, row: FileJob, lease: Lease) -> Outcome:
        if row.cancel_requested_at is not None:
            raise Cancelled
        earlier = await lease.threads.run(job_store.prepare_session, row.public_id, timeout_s=WRITE_TIMEOUT_S)
        if earlier is not None and earlier.state == SessionState.COMPLETED:
            return self._completed(row, earlier.audio_ms)
        if row.attempts > MAX_ATTEMPTS:
            raise InternalError(
                _("Every process that began this job died of it."), reason="too_many_attempts", retryable=False
            )
        if earlier is None and row.started_at is not None:
            raise NotFound(_("The session of this job was deleted."), reason="session_deleted")
        await lease.update(state=State.RUNNING)
        with await self._open(row, lease) as file:
            make_live = await self._session(row, earlier, file, lease)
            running = FileSession(self._process, make_live, lambda start: self._chunks(file, start))
            async with running as session:
                await self._note_start(row, session, lease)
                await self._hear(row, session, lease)
        assert session.stopped is not None  # noqa: S101 - or its error was raised
        return self._completed(row, session.stopped.audio_ms)

    async def _open(self, row: FileJob, lease: Lease) -> BinaryIO:
        if row.rerun_of_id is not None:
            name = await lease.threads.run(find_name, row.rerun_of_id, timeout_s=WRITE_TIMEOUT_S)
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await asyncio.to_thread(open_recording, name)
        try:
            return self._folder.open(row.stored_name)
        except OSError:
            raise NotFound(_("The file of this job is gone."), reason="file_lost") from None

    async def _chunks(self, file: BinaryIO, start: int) -> AsyncGenerator[bytes, None]:
        file.seek(0)
        async with Decoding(file, self._limits, skip_bytes=start) as decoded:
            async for chunk in decoded.chunks():
                yield chunk

    # The session

    async def _session(
        self, row: FileJob, earlier: TranscriptionSession | None, file: BinaryIO, lease: Lease
    ) -> MakeLive:
        """What makes the session of this attempt: a new one, or that of the one before where it was settled."""
        if earlier is not None and earlier.resume_token_digest and earlier.state != SessionState.FAILED:
            return await self._resumed(row, earlier)
        if row.duration_ms is None:
            # A file that is none makes no session.
            async with Decoding(file, self._limits) as decoded:
                await lease.update(duration_ms=decoded.info.duration_ms)
        new = await self._process.new_session(
            session_id=row.public_id,
            principal=job_store.principal_of_job(row),
            options=options_of_file(row.options),
            client_address=row.client_address,
            user_agent=row.user_agent,
            dialect=dialect_of(row),
        )
        return lambda emit: self._process.transcribe(new, emit=emit, bounds=BOUNDS)

    async def _resumed(self, row: FileJob, earlier: TranscriptionSession) -> MakeLive:
        resume = Resume(
            public_id=row.public_id,
            principal=job_store.principal_of_job(row),
            # The token itself was never given to anybody.
            token_digest=earlier.resume_token_digest,
            received_segments=earlier.next_seq,
            held_from=None,
            client_address=row.client_address,
            user_agent=row.user_agent,
            max_age_s=MAX_AGE_S,
        )
        taken = await self._process.take(resume)
        if taken.ended is not None:
            raise InternalError(_("Something went wrong on our side."), reason="session_ended")
        return lambda emit: self._process.go_on(taken, resume, dialect=dialect_of(row), emit=emit, bounds=BOUNDS)

    async def _note_start(self, row: FileJob, session: FileSession, lease: Lease) -> None:
        handle = session.live.handle
        assert handle is not None  # noqa: S101 - a session that has started has a row
        changes: dict[str, Any] = {"session_id": handle.pk}
        if row.started_at is None:
            changes["started_at"] = Now()
        await lease.update(**changes)
        if row.rerun_of_id is not None:
            await lease.threads.run(_link, handle.pk, row.rerun_of_id, timeout_s=WRITE_TIMEOUT_S)

    async def _hear(self, row: FileJob, session: FileSession, lease: Lease) -> None:
        """To the end, noting how far it is. Raises Cancelled, LeaseLost, and what ended the session early."""
        noting = asyncio.create_task(self._note(row, session, lease))
        hearing = asyncio.create_task(_drain(session))
        try:
            await asyncio.wait({noting, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                # It only ever ends with a reason to let go.
                session.abandon(ends.cancelled() if isinstance(noting.exception(), Cancelled) else ends.client_lost())
                await noting
            await hearing
        finally:
            for task in (noting, hearing):
                task.cancel()
            await asyncio.gather(noting, hearing, return_exceptions=True)

    async def _note(self, row: FileJob, session: FileSession, lease: Lease) -> None:
        """Write the progress and look whether the job is still wanted, again and again."""
        noted_ms = -1
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            if self._process.draining:
                # Its last words would only be heard again by whoever goes on.
                session.abandon(ends.draining())
            try:
                heard_ms = session.settled_bytes // BYTES_PER_MS
                if heard_ms != noted_ms:
                    await lease.update(heard_ms=heard_ms)
                    noted_ms = heard_ms
                if await lease.threads.run(_is_cancelled, row.pk, timeout_s=WRITE_TIMEOUT_S):
                    raise Cancelled
            except _DATABASE_TROUBLE as error:
                log.warning("progress_not_noted", error=type(error).__name__)

    # Outcomes

    def _after(self, row: FileJob, error: TranscriptionError) -> Outcome:
        """What follows from an error: another attempt, or the end."""
        is_attempt = error.reason not in NO_ATTEMPT
        age_s = (timezone.now() - row.created_at).total_seconds()
        told = {
            "error_code": error.code,
            "error_reason": error.reason[:MAX_REASON_CHARACTERS],
            "error_message": error.message[:MAX_MESSAGE_CHARACTERS],
        }
        if error.retryable and age_s < MAX_AGE_S and (row.attempts < MAX_ATTEMPTS or not is_attempt):
            asked_s = (error.retry_after_ms or 0) / 1000
            wait_s = 0.0 if error.reason == "draining" else min(LONGEST_WAIT_S, asked_s or retry_s(row.attempts))
            log.info("file_job_waits", job=row.public_id, reason=error.reason, wait_s=wait_s)
            return Outcome({"state": State.QUEUED, **told}, due_in_s=wait_s, is_an_attempt=is_attempt)
        if isinstance(error, StoppedByOperator):
            return self._over(row, {"state": State.CANCELLED, **told})
        # Not the file's fault: it may be queued again.
        return self._over(row, {"state": State.FAILED, **told}, keeps_file=error.retryable)

    def _completed(self, row: FileJob, audio_ms: int) -> Outcome:
        told = {"error_code": None, "error_reason": "", "error_message": ""}
        return self._over(row, {"state": State.COMPLETED, "duration_ms": audio_ms, "heard_ms": audio_ms, **told})

    def _over(self, row: FileJob, changes: dict[str, Any], *, keeps_file: bool = False) -> Outcome:
        log.info("file_job_ended", job=row.public_id, state=changes["state"], reason=changes.get("error_reason"))
        if not keeps_file:
            # Before the outcome is written: should this process die in between, the next one comes to the same end.
            self._folder.delete(row.stored_name)
            changes = {**changes, "stored_name": ""}
        return Outcome({**changes, "ended_at": Now()})


def dialect_of(row: FileJob) -> str:
    return DIALECT if row.rerun_of_id is None else RERUN_DIALECT


def _link(session_key: int, original_key: int) -> None:
    TranscriptionSession.objects.filter(pk=session_key).update(rerun_of=original_key)


def _is_cancelled(pk: int) -> bool:
    return FileJob.objects.filter(pk=pk, cancel_requested_at__isnull=False).exists()


async def _drain(session: FileSession) -> None:
    """Its finals are in the database; here only the end counts."""
    async for _final in session.finals():
        pass
