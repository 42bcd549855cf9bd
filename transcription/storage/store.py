"""The live path's way to the database: starts, commits and ends sessions, exactly once, or says that it cannot."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.utils.translation import gettext as _

from transcription.errors import AtCapacity, InternalError, SessionTaken, StorageUnavailable, TranscriptionError
from transcription.identity.principals import Principal
from transcription.limits.admission import Abandoned, Places, admit, created_options
from transcription.metrics import ADMISSION_REFUSED_TOTAL, COMMIT_RETRIES_TOTAL, SESSIONS_RESUMED_TOTAL
from transcription.storage import takeover
from transcription.storage.committer import COMMIT_TIMEOUT_S, Committer, backoff_s, storage_unavailable
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs
from transcription.storage.endings import note_ending, note_opened
from transcription.storage.holding import lost
from transcription.storage.steps import Ending, Fenced, NewSegment, NewSession, Resume, SessionHandle, Step, Taken

__all__ = [
    "COMMIT_TIMEOUT_S",
    "Ending",
    "Fenced",
    "NewSegment",
    "NewSession",
    "Resume",
    "SessionHandle",
    "SessionStore",
    "Step",
    "Store",
    "Taken",
]

logger = logging.getLogger(__name__)

# A start and a take-over alike: their clients wait.
CREATE_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
# Of a session whose commits were waited for in vain: its client is to hear of it, the reaper ends it otherwise.
END_AFTER_OUTAGE_TIMEOUT_S = 5.0
STORAGE_RETRY_AFTER_MS = 5000

T = TypeVar("T")


class SessionStore(Protocol):
    """What a live transcription needs of the store."""

    async def create(self, new: NewSession) -> SessionHandle: ...

    async def take(self, resume: Resume) -> Taken: ...

    async def created_config(self, public_id: str, principal: Principal) -> dict[str, Any] | None: ...

    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None: ...

    async def commit(self, step: Step) -> None: ...

    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...

    async def lost(self, handles: Collection[SessionHandle]) -> dict[SessionHandle, TranscriptionError]: ...


class Store:
    """The store of one process. Every method is safe to repeat and ends within its bound.

    worker_id: the row of this process in Worker (None in tests only: sessions without a worker are reaped).
    max_sessions_per_owner: 0 for as many as there are.
    """

    def __init__(
        self,
        worker_id: UUID | None,
        *,
        threads: DatabaseThreads,
        max_sessions: int,
        max_sessions_per_owner: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker_id = worker_id
        self._threads = threads
        self._places = Places(max_sessions, max_sessions_per_owner)
        self._clock = clock
        self._committer = Committer(threads, clock=clock)
        self._starting: set[str] = set()
        self._held: dict[tuple[int, int], SessionHandle] = {}
        self._undoing: set[asyncio.Future[None]] = set()

    def held_sessions(self) -> frozenset[SessionHandle]:
        """The sessions that this process has started or taken and not ended, each with the epoch it has them in."""
        return frozenset(self._held.values())

    async def create(self, new: NewSession) -> SessionHandle:
        """Start a session, or take over the one that was made for the same owner.

        Raises AtCapacity when all places are taken, and with reason `storage_unavailable` when the database
        does not answer within CREATE_TIMEOUT_S; TooFast when the owner's share is taken; SessionTaken for an id
        that exists; NotAllowed and NotAuthenticated for a token of another session or used before. A start that
        nobody waits for any more is undone.
        """
        if new.public_id in self._starting:
            raise SessionTaken(_("This session id exists already. Choose another."))
        self._starting.add(new.public_id)
        abandoned = threading.Event()
        start = asyncio.create_task(self._admit(new, abandoned))
        start.add_done_callback(lambda _task: self._starting.discard(new.public_id))
        handle = await self._in_time(start, abandoned, undo=self._undo)
        self._held[handle.pk, handle.epoch] = handle
        return handle

    async def take(self, resume: Resume) -> Taken:
        """Take a session up again for another connection; the one that had it before is fenced from then on.

        Raises AtCapacity as create() does; what takeover.take raises. A take-over that nobody waits for any more
        is rolled back; one that got through all the same is let go by the reaper.
        """
        abandoned = threading.Event()
        attempt = takeover.Attempt(uuid.uuid4())
        task = asyncio.create_task(
            self._until_stored(
                takeover.take,
                resume,
                attempt,
                worker_id=self._worker_id,
                places=self._places,
                abandoned=abandoned,
            )
        )
        taken = await self._in_time(task, abandoned, undo=_hear)
        if taken.ended is None:
            SESSIONS_RESUMED_TOTAL.inc()
            self._held[taken.handle.pk, taken.handle.epoch] = taken.handle
        return taken

    async def created_config(self, public_id: str, principal: Principal) -> dict[str, Any] | None:
        """The options as asked of a session that was made but not started, if it is this principal's."""
        return await self._persist(READ_TIMEOUT_S, created_options, public_id, principal)

    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None:
        """Note which recogniser listens. Raises what holding.why_not_held says, and StorageUnavailable."""
        await self._persist(COMMIT_TIMEOUT_S, note_opened, handle, recogniser, model, applied)

    async def commit(self, step: Step) -> None:
        """Store segments and watermark together; see Committer.commit for what it raises."""
        await self._committer.commit(step)

    async def finish(self, handle: SessionHandle, ending: Ending) -> None:
        """End or detach a session, after its waiting commits.

        However it goes, this process holds the session no longer; one whose end could not be stored is found by
        the reaper. Raises what holding.why_not_held says, and StorageUnavailable.
        """
        is_outage = ending.reason == StorageUnavailable.default_reason
        timeout_s = END_AFTER_OUTAGE_TIMEOUT_S if is_outage else COMMIT_TIMEOUT_S
        try:
            await self._committer.settled(handle.pk)
            await self._persist(timeout_s, note_ending, handle, ending)
        finally:
            self._held.pop((handle.pk, handle.epoch), None)

    async def lost(self, handles: Collection[SessionHandle]) -> dict[SessionHandle, TranscriptionError]:
        """Those of the handles that give no right to write any more, and what to tell their clients."""
        return await self._persist(READ_TIMEOUT_S, lost, handles)

    async def aclose(self) -> None:
        """Commit what waits and undo what was abandoned; the threads belong to their maker."""
        await self._committer.aclose()
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=CREATE_TIMEOUT_S)

    async def _in_time(
        self, task: asyncio.Task[T], abandoned: threading.Event, *, undo: Callable[[asyncio.Task[T]], Awaitable[None]]
    ) -> T:
        """Wait for a start or take-over as long as its client waits; undo: for one that ends after that."""
        try:
            return await asyncio.wait_for(asyncio.shield(task), CREATE_TIMEOUT_S)
        except (TimeoutError, StorageUnavailable):
            self._abandon(task, abandoned, undo)
            ADMISSION_REFUSED_TOTAL.labels(reason="db").inc()
            raise AtCapacity(
                _("The service cannot store transcripts right now. Please try again."),
                reason="storage_unavailable",
                retry_after_ms=STORAGE_RETRY_AFTER_MS,
            ) from None
        except asyncio.CancelledError:
            self._abandon(task, abandoned, undo)
            raise

    async def _admit(self, new: NewSession, abandoned: threading.Event) -> SessionHandle:
        return await self._until_stored(
            admit,
            new,
            holder=uuid.uuid4(),
            worker_id=self._worker_id,
            places=self._places,
            abandoned=abandoned,
        )

    async def _until_stored(
        self, function: Callable[..., T], *args: Any, abandoned: threading.Event, **kwargs: Any
    ) -> T:
        """Repeat a start or take-over until the database takes it, for CREATE_TIMEOUT_S at most.

        No attempt is given up while it runs: the next one would not find what it is about to commit.
        """
        was_made_meanwhile = False
        deadline = self._clock() + CREATE_TIMEOUT_S
        for attempt in itertools.count():
            try:
                return await self._threads.run(function, *args, abandoned=abandoned, **kwargs)
            except IntegrityError:
                # The id was made by somebody else at the same moment: the next look finds it.
                if was_made_meanwhile:
                    raise InternalError(_("The session could not be stored.")) from None
                was_made_meanwhile = True
            except (OperationalError, InterfaceError, TooManyJobs) as error:
                logger.warning("A start is tried again: %s", type(error).__name__)
            except (DatabaseError, ValueError, TypeError, OverflowError) as error:
                logger.error("A start was refused by the database: %s", type(error).__name__)
                raise InternalError(_("The session could not be stored.")) from None
            pause_s = backoff_s(attempt)
            if abandoned.is_set() or self._clock() + pause_s > deadline:
                break
            await asyncio.sleep(pause_s)
        raise storage_unavailable()

    def _abandon(
        self, started: asyncio.Task[T], abandoned: threading.Event, undo: Callable[[asyncio.Task[T]], Awaitable[None]]
    ) -> None:
        abandoned.set()
        task = asyncio.ensure_future(undo(started))
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    async def _undo(self, start: asyncio.Task[SessionHandle]) -> None:
        """End a start that got through after its caller had gone."""
        try:
            handle = await start
            await self.finish(handle, Ending("failed", "abandoned", _("The client left before the start.")))
        except (Abandoned, TranscriptionError) as error:
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


async def _hear(task: asyncio.Task[Taken]) -> None:
    """An abandoned take-over that got through is a live session that nobody holds: the reaper lets go of it."""
    try:
        await task
    except (Abandoned, TranscriptionError) as error:
        logger.info("An abandoned take-over did not get through: %s", type(error).__name__)
