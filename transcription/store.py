"""The live path's way to the database: starts, commits and ends sessions, exactly once, or says that it cannot."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.admission import Abandoned, admit, created_options
from transcription.committer import COMMIT_TIMEOUT_S, Committer, backoff_s, storage_unavailable
from transcription.database_threads import DatabaseThreads, TooManyJobs
from transcription.errors import AtCapacity, InternalError, SessionTaken, StorageUnavailable
from transcription.metrics import ADMISSION_REFUSED_TOTAL, COMMIT_RETRIES_TOTAL
from transcription.models import TranscriptionSession
from transcription.options import clean_text
from transcription.principals import Principal
from transcription.steps import Ending, Fenced, NewSegment, NewSession, SessionHandle, Step

__all__ = [
    "COMMIT_TIMEOUT_S",
    "Ending",
    "Fenced",
    "NewSegment",
    "NewSession",
    "SessionHandle",
    "SessionStore",
    "Step",
    "Store",
]

logger = logging.getLogger(__name__)

CREATE_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
STORAGE_RETRY_AFTER_MS = 5000
MAX_REASON_CHARACTERS = 40
MAX_MESSAGE_CHARACTERS = 500
MAX_NAME_CHARACTERS = 255

T = TypeVar("T")


class SessionStore(Protocol):
    """What a live transcription needs of the store."""

    async def create(self, new: NewSession) -> SessionHandle: ...

    async def created_config(self, public_id: str, principal: Principal) -> dict[str, Any] | None: ...

    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None: ...

    async def commit(self, step: Step) -> None: ...

    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...


class Store:
    """The store of one process. Every method is safe to repeat and ends within its bound.

    worker_id: the row of this process in Worker (None in tests only: sessions without a worker are reaped).
    """

    def __init__(
        self,
        worker_id: UUID | None,
        *,
        threads: DatabaseThreads,
        max_sessions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker_id = worker_id
        self._threads = threads
        self._max_sessions = max_sessions
        self._clock = clock
        self._committer = Committer(threads, clock=clock)
        self._starting: set[str] = set()
        self._held: set[int] = set()
        self._undoing: set[asyncio.Task[None]] = set()

    def held_sessions(self) -> frozenset[int]:
        """Primary keys of the sessions that this process has started and not ended."""
        return frozenset(self._held)

    async def create(self, new: NewSession) -> SessionHandle:
        """Start a session, or take over the one that was made for the same owner.

        Raises AtCapacity when all places are taken, and with reason `storage_unavailable` when the database
        does not answer within CREATE_TIMEOUT_S; SessionTaken for an id that exists; NotAllowed and
        NotAuthenticated for a token of another session or used before. A start that nobody waits for any more
        is undone.
        """
        if new.public_id in self._starting:
            raise SessionTaken(_("This session id exists already. Choose another."))
        self._starting.add(new.public_id)
        abandoned = threading.Event()
        start = asyncio.create_task(self._admit(new, abandoned))
        start.add_done_callback(lambda _task: self._starting.discard(new.public_id))
        try:
            handle = await asyncio.wait_for(asyncio.shield(start), CREATE_TIMEOUT_S)
        except (TimeoutError, StorageUnavailable):
            self._abandon(start, abandoned)
            ADMISSION_REFUSED_TOTAL.labels(reason="db").inc()
            raise AtCapacity(
                _("The service cannot store transcripts right now. Please try again."),
                reason="storage_unavailable",
                retry_after_ms=STORAGE_RETRY_AFTER_MS,
            ) from None
        except asyncio.CancelledError:
            self._abandon(start, abandoned)
            raise
        self._held.add(handle.pk)
        return handle

    async def created_config(self, public_id: str, principal: Principal) -> dict[str, Any] | None:
        """The options as asked of a session that was made but not started, if it is this principal's."""
        return await self._persist(READ_TIMEOUT_S, created_options, public_id, principal)

    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None:
        """Note which recogniser listens. Raises Fenced and StorageUnavailable."""
        await self._persist(COMMIT_TIMEOUT_S, _note_opened, handle, recogniser, model, applied)

    async def commit(self, step: Step) -> None:
        """Store segments and watermark together; see Committer.commit for what it raises."""
        await self._committer.commit(step)

    async def finish(self, handle: SessionHandle, ending: Ending) -> None:
        """End a session, after its waiting commits. Raises Fenced and StorageUnavailable.

        However it goes, this process holds the session no longer; one that could not be ended is found by the
        reaper.
        """
        try:
            await self._committer.settled(handle.pk)
            await self._persist(COMMIT_TIMEOUT_S, _note_ending, handle, ending)
        finally:
            self._held.discard(handle.pk)

    async def aclose(self) -> None:
        """Commit what waits and undo what was abandoned; the threads belong to their maker."""
        await self._committer.aclose()
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=CREATE_TIMEOUT_S)

    async def _admit(self, new: NewSession, abandoned: threading.Event) -> SessionHandle:
        is_repeated = False
        deadline = self._clock() + CREATE_TIMEOUT_S
        for attempt in itertools.count():
            try:
                return await self._threads.run(
                    admit,
                    new,
                    worker_id=self._worker_id,
                    max_sessions=self._max_sessions,
                    abandoned=abandoned,
                    is_repeated=is_repeated,
                )
            except IntegrityError:
                # The id was made by somebody else at the same moment: the next look finds it.
                if is_repeated:
                    raise InternalError(_("The session could not be stored.")) from None
            except (OperationalError, InterfaceError, TooManyJobs) as error:
                logger.warning("A start is tried again: %s", type(error).__name__)
            except (DatabaseError, ValueError, TypeError, OverflowError) as error:
                logger.error("A start was refused by the database: %s", type(error).__name__)
                raise InternalError(_("The session could not be stored.")) from None
            is_repeated = True
            pause_s = backoff_s(attempt)
            if abandoned.is_set() or self._clock() + pause_s > deadline:
                break
            await asyncio.sleep(pause_s)
        raise storage_unavailable()

    def _abandon(self, start: asyncio.Task[SessionHandle], abandoned: threading.Event) -> None:
        abandoned.set()
        task = asyncio.create_task(self._undo(start))
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    async def _undo(self, start: asyncio.Task[SessionHandle]) -> None:
        """End a start that got through after its caller had gone."""
        try:
            handle = await start
            await self.finish(handle, Ending("failed", "abandoned", _("The client left before the start.")))
        except (Abandoned, AtCapacity, SessionTaken, StorageUnavailable, InternalError) as error:
            logger.info("An abandoned start did not get through: %s", type(error).__name__)

    async def _persist(self, timeout_s: float, function: Callable[..., T], *args: Any) -> T:
        """Run a repeatable database function until the database takes it.

        Raises StorageUnavailable after timeout_s, and InternalError where trying again cannot help.
        """
        deadline = self._clock() + timeout_s
        for attempt in itertools.count():
            remaining_s = deadline - self._clock()
            if remaining_s <= 0:
                break
            try:
                return await self._threads.run(function, *args, timeout_s=remaining_s)
            except (OperationalError, InterfaceError, TimeoutError, TooManyJobs) as error:
                COMMIT_RETRIES_TOTAL.inc()
                logger.warning("A write is tried again: %s", type(error).__name__)
            except (DatabaseError, ValueError, TypeError, OverflowError) as error:
                # Its text may quote the row.
                logger.error("A write was refused by the database: %s", type(error).__name__)
                raise InternalError(_("Something could not be stored.")) from None
            await asyncio.sleep(min(backoff_s(attempt), max(0.0, deadline - self._clock())))
        raise storage_unavailable()


def _note_opened(handle: SessionHandle, recogniser: str, model: str, applied: dict[str, Any]) -> None:
    _update_held(
        handle,
        recogniser=clean_text(recogniser)[:MAX_NAME_CHARACTERS],
        model=clean_text(model)[:MAX_NAME_CHARACTERS],
        options_applied=applied,
    )


def _note_ending(handle: SessionHandle, ending: Ending) -> None:
    reason = ending.reason[:MAX_REASON_CHARACTERS]
    try:
        _update_held(
            handle,
            state=ending.state,
            end_reason=reason,
            end_message=clean_text(ending.message)[:MAX_MESSAGE_CHARACTERS],
            audio_bytes=ending.audio_bytes,
            audio_ms=ending.audio_ms,
            first_interim_ms=ending.first_interim_ms,
            final_lag_p50_ms=ending.final_lag_p50_ms,
            final_lag_p95_ms=ending.final_lag_p95_ms,
            ended_at=Now(),
        )
    except Fenced:
        own = TranscriptionSession.objects.filter(
            pk=handle.pk, epoch=handle.epoch, state=ending.state, end_reason=reason
        )
        if not own.exists():  # if it does, an earlier attempt got through
            raise


def _update_held(handle: SessionHandle, **values: Any) -> None:
    changed = TranscriptionSession.objects.filter(
        pk=handle.pk, epoch=handle.epoch, state=TranscriptionSession.State.LIVE
    ).update(**values)
    if not changed:
        raise Fenced(_("Another connection has taken over this session."))
