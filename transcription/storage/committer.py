"""One task per process that gathers the steps of all sessions and commits them in groups."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import gettext as _

from transcription.errors import InternalError, StorageUnavailable, TranscriptionError
from transcription.metrics import COMMIT_RETRIES_TOTAL, DB_WRITE_SECONDS
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs
from transcription.storage.group_commit import commit_alone, commit_group
from transcription.storage.steps import Step

logger = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 60.0
# Above SQLite's lock timeout (20 s), so that the database answers first and a group is not tried twice at once.
GROUP_TIMEOUT_S = 25.0
MAX_WAITING_STEPS = 5000
MAX_WAITING_STEPS_PER_SESSION = 500
MAX_GROUP_STEPS = 250
MAX_GROUP_SEGMENTS = 1000
# A group begins at once where the last one began so long ago; otherwise steps gather for the rest of it. A final of its
# own costs as much as a group of ten.
GATHER_S = 0.01
FIRST_BACKOFF_S = 0.05
MAX_BACKOFF_S = 2.0
CLOSE_TIMEOUT_S = 10.0

# What one session's locked row causes: lock timeout, statement timeout, deadlock, serialisation failure.
ONE_SESSION_SQLSTATES = {"55P03", "57014", "40P01", "40001"}
BAD_VALUES = (ValueError, TypeError, OverflowError)


def backoff_s(attempt: int) -> float:
    """How long to wait before trying again: doubling from 50 ms to 2 s, give or take half."""
    return min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt, 10)) * random.uniform(0.5, 1.5)  # noqa: S311


def storage_unavailable() -> StorageUnavailable:
    return StorageUnavailable(_("The transcript cannot be stored right now. Please try again."))


@dataclass(slots=True, eq=False)
class _Waiting:
    step: Step
    deadline: float
    done: asyncio.Future[None]
    attempts: int = 0
    is_alone: bool = False
    not_before: float = field(default=0.0)

    def settle(self, error: BaseException | None = None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()  # whoever was cancelled meanwhile will not look at it


class Committer:
    """Commits steps in groups. Sessions keep their order; one that fails is tried alone and harms no other."""

    def __init__(self, threads: DatabaseThreads, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock
        self._queues: dict[int, deque[_Waiting]] = {}
        self._waiting = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._is_alones_turn = False
        self._gathered_until = 0.0

    async def commit(self, step: Step) -> None:
        """Return once the step is stored for good.

        Cancelling the await does not take the step back. Raises Fenced, StorageUnavailable after
        COMMIT_TIMEOUT_S, and InternalError for values that the database does not take.
        """
        queue = self._queues.get(step.pk, ())
        if self._closed or self._waiting >= MAX_WAITING_STEPS or len(queue) >= MAX_WAITING_STEPS_PER_SESSION:
            raise storage_unavailable()
        waiting = _Waiting(step, self._clock() + COMMIT_TIMEOUT_S, asyncio.get_running_loop().create_future())
        self._queues.setdefault(step.pk, deque()).append(waiting)
        self._waiting += 1
        self._news.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="committer")
        await asyncio.shield(waiting.done)

    async def settled(self, pk: int) -> None:
        """Wait until no step of a session is waiting: each is stored or given up."""
        if queue := self._queues.get(pk):
            await asyncio.wait([waiting.done for waiting in queue])

    async def aclose(self) -> None:
        """Commit what waits, CLOSE_TIMEOUT_S at most; the rest is told StorageUnavailable."""
        self._closed = True
        pending = [waiting.done for queue in self._queues.values() for waiting in queue]
        if pending:
            await asyncio.wait(pending, timeout=CLOSE_TIMEOUT_S)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for queue in list(self._queues.values()):
            for waiting in list(queue):
                self._settle(waiting, storage_unavailable())

    async def _run(self) -> None:
        while True:
            left_s = self._gathered_until - self._clock()
            if left_s > 0:
                await asyncio.sleep(left_s)
            self._news.clear()
            batch = self._next_batch()
            if not batch:
                await self._wait()
                continue
            try:
                await self._commit(batch)
            except Exception as error:
                # The one task all sessions wait for must survive any error, and each waiter must hear of it.
                logger.error("A group of commits failed: %s", type(error).__name__)
                for waiting in batch:
                    self._settle(waiting, InternalError(_("Something went wrong on our side.")))

    def _next_batch(self) -> list[_Waiting]:
        """The first waiting step of each session that may be tried now; a step to be tried alone comes alone."""
        now = self._clock()
        batch: list[_Waiting] = []
        alone: _Waiting | None = None
        segments = 0
        for waiting in [queue[0] for queue in self._queues.values()]:
            if now >= waiting.deadline:
                self._settle(waiting, storage_unavailable())
                continue
            if waiting.not_before > now:
                continue
            if waiting.is_alone:
                alone = alone or waiting
                continue
            segments += len(waiting.step.segments)
            if not batch or (len(batch) < MAX_GROUP_STEPS and segments <= MAX_GROUP_SEGMENTS):
                batch.append(waiting)
        # In turns, so that neither keeps the other waiting.
        self._is_alones_turn = alone is not None and (not batch or not self._is_alones_turn)
        return [alone] if alone is not None and self._is_alones_turn else batch

    async def _wait(self) -> None:
        """Wait for a new step or for the earliest moment at which an old one may be tried again."""
        heads = [queue[0] for queue in self._queues.values()]
        pause_s = min((min(w.not_before, w.deadline) for w in heads), default=0.0) - self._clock()
        try:
            await asyncio.wait_for(self._news.wait(), max(0.0, pause_s) if heads else None)
        except TimeoutError:
            return

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        started = self._clock()
        self._gathered_until = started + GATHER_S
        try:
            if batch[0].is_alone:
                outcomes = [await self._threads.run(commit_alone, batch[0].step, timeout_s=GROUP_TIMEOUT_S)]
            else:
                steps = [waiting.step for waiting in batch]
                outcomes = await self._threads.run(commit_group, steps, timeout_s=GROUP_TIMEOUT_S)
        except (DatabaseError, InterfaceError, TimeoutError, TooManyJobs, *BAD_VALUES) as error:
            self._failed(batch, error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self._settle(waiting, outcome)
        finally:
            DB_WRITE_SECONDS.observe(self._clock() - started)

    def _failed(self, batch: Sequence[_Waiting], error: Exception) -> None:
        is_everybodys = _is_everybodys(error)
        if len(batch) == 1 and not is_everybodys and not _is_lock(error):
            # Neither the error's text nor its cause goes on: PostgreSQL quotes the row in it.
            logger.error("A step was refused by the database: %s", type(error).__name__)
            self._settle(batch[0], InternalError(_("A result could not be stored."), reason="bad_result"))
            return
        COMMIT_RETRIES_TOTAL.inc()
        logger.warning("%d commits are tried again: %s", len(batch), type(error).__name__)
        now = self._clock()
        for waiting in batch:
            waiting.attempts += 1
            if is_everybodys:
                waiting.not_before = now + backoff_s(batch[0].attempts - 1)
            elif len(batch) == 1:
                waiting.not_before = now + backoff_s(waiting.attempts - 1)
            waiting.is_alone = not is_everybodys

    def _settle(self, waiting: _Waiting, error: TranscriptionError | None) -> None:
        queue = self._queues[waiting.step.pk]
        queue.remove(waiting)
        if not queue:
            del self._queues[waiting.step.pk]
        self._waiting -= 1
        waiting.settle(error)


def _is_lock(error: Exception) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in ONE_SESSION_SQLSTATES


def _is_everybodys(error: Exception) -> bool:
    """Whether the database as a whole failed, so that trying each session alone would only take longer.

    SQLite locks the whole file: its errors of operation are always everybody's.
    """
    if isinstance(error, TimeoutError | TooManyJobs):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not _is_lock(error)
