"""Finds due work, does it within bounds, and gives it back when the process ends. One for each process."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError

from transcription import metrics
from transcription.jobs import leases
from transcription.jobs.kind import JobKind, Lease, Outcome, retry_s
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 2.0
LEASE_S = 30.0
# Several heartbeats fit into a lease, so that one slow write loses nothing.
HEARTBEAT_EVERY_S = 8.0
JOB_TIMEOUT_S = 10.0

Key = tuple[str, int]
_DATABASE_TROUBLE = (DatabaseError, InterfaceError, TimeoutError, TooManyJobs)


@dataclass(frozen=True, slots=True)
class _Work:
    kind: JobKind
    lease: Lease
    task: asyncio.Task[None]


class Runner:
    """Works at the due rows of every kind until stopped.

    may_begin: false while this process takes nothing new, as when it drains. look_every_s: how often the tables are
    looked at, but for kinds that want it more seldom; wake() makes it at once, and for all.
    """

    def __init__(
        self,
        kinds: Sequence[JobKind],
        *,
        may_begin: Callable[[], bool] = lambda: True,
        threads: DatabaseThreads | None = None,
        look_every_s: float = LOOK_EVERY_S,
        lease_s: float = LEASE_S,
        heartbeat_every_s: float = HEARTBEAT_EVERY_S,
    ) -> None:
        self.holder = uuid.uuid4()
        self._kinds = tuple(kinds)
        self._may_begin = may_begin
        # Of its own: what waits for a slow query here must not hold up live sessions.
        self._threads = threads or DatabaseThreads(size=2, name="jobs")
        self._look_every_s = look_every_s
        self._lease_s = lease_s
        self._heartbeat_every_s = heartbeat_every_s
        self._working: dict[Key, _Work] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._looked_at_s: dict[str, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopping = False

    # Life

    def start(self) -> None:
        """Look for work from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._look_for_ever()), asyncio.create_task(self._beat_for_ever())]

    def wake(self) -> None:
        """There may be something due. From any thread."""
        if self._loop is not None and not self._is_stopping:
            self._loop.call_soon_threadsafe(self._news.set)

    async def run_once(self) -> int:
        """Work at everything that is due now, until nothing is. Returns how many pieces of work were begun."""
        self._loop = asyncio.get_running_loop()
        beating = asyncio.create_task(self._beat_for_ever())
        begun = 0
        try:
            while not self._is_stopping:
                self._news.clear()
                begun += await self._look(self._kinds)
                if not self._working:
                    break
                await self._news.wait()
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        return begun

    async def aclose(self) -> None:
        """Begin nothing more; let work end within its grace, cancel and give back the rest."""
        self._is_stopping = True
        self._news.set()
        if self._tasks:
            # The first looks for work; the other keeps leases up until the last piece of work has ended.
            self._tasks[0].cancel()
        await asyncio.gather(*(self._end(work) for work in list(self._working.values())))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._threads.aclose()

    async def _end(self, work: _Work) -> None:
        _done, pending = await asyncio.wait({work.task}, timeout=work.kind.grace_s)
        if pending:
            work.task.cancel()
            await asyncio.wait({work.task})

    # Looking

    async def _look_for_ever(self) -> None:
        kinds: Sequence[JobKind] = self._kinds
        while True:
            self._news.clear()
            try:
                await self._look(kinds)
            except _DATABASE_TROUBLE as error:
                log.warning("jobs_not_looked_for", error=type(error).__name__)
            try:
                async with asyncio.timeout(self._look_every_s):
                    await self._news.wait()
                kinds = self._kinds
            except TimeoutError:
                kinds = self._kinds_to_look_for()

    def _kinds_to_look_for(self) -> list[JobKind]:
        """Where nobody said that there is something: those that were not looked for lately."""
        now_s = asyncio.get_running_loop().time()
        return [kind for kind in self._kinds if now_s - self._looked_at_s.get(kind.name, -inf) >= kind.look_every_s]

    async def _look(self, kinds: Sequence[JobKind]) -> int:
        """Begin what is due and has room. Returns how many pieces of work that were."""
        begun = 0
        for kind in kinds:
            self._looked_at_s[kind.name] = asyncio.get_running_loop().time()
            busy = [key for name, key in self._working if name == kind.name]
            room = kind.at_once - len(busy)
            if room <= 0 or self._is_stopping or not self._may_begin():
                continue
            rows = await self._threads.run(self._claim, kind, room, busy, timeout_s=JOB_TIMEOUT_S)
            for row in rows:
                self._begin(kind, row)
            begun += len(rows)
        return begun

    def _claim(self, kind: JobKind, room: int, busy: list[int]) -> list[Any]:
        return leases.claim(kind.rows(), self.holder, limit=room, lease_s=self._lease_s, spare=busy)

    # Working

    def _begin(self, kind: JobKind, row: Any) -> None:
        lease = Lease(type(row), row.pk, self.holder, self._threads)
        task = asyncio.create_task(self._work(kind, row, lease))
        self._working[kind.name, row.pk] = _Work(kind, lease, task)
        task.add_done_callback(lambda _task: self._ended(kind.name, row.pk))

    def _ended(self, name: str, key: int) -> None:
        del self._working[name, key]
        self._news.set()

    async def _work(self, kind: JobKind, row: Any, lease: Lease) -> None:
        try:
            outcome = await kind.work(row, lease)
        except asyncio.CancelledError:
            # By aclose(), or because the lease is lost; then the release below does nothing.
            await self._release(kind, lease, Outcome(due_in_s=0.0, is_an_attempt=False))
            raise
        except leases.LeaseLost:
            log.info("job_lost", kind=kind.name, key=lease.key)
            return
        except Exception as error:
            # The edge of every kind: what it did not foresee is tried again, later and later.
            log.exception("job_failed", kind=kind.name, key=lease.key, error=type(error).__name__)
            outcome = Outcome(due_in_s=retry_s(row.attempts))
            metrics.JOBS_TOTAL.labels(kind=kind.name, outcome="error").inc()
        else:
            metrics.JOBS_TOTAL.labels(kind=kind.name, outcome="done" if outcome.due_in_s is None else "again").inc()
        await self._release(kind, lease, outcome)

    async def _release(self, kind: JobKind, lease: Lease, outcome: Outcome) -> None:
        """Write an outcome; one that cannot be written is found by the next holder once the lease is over."""
        try:
            await asyncio.shield(
                self._threads.run(
                    leases.release,
                    lease.model,
                    self.holder,
                    lease.key,
                    outcome.changes,
                    due_in_s=outcome.due_in_s,
                    is_an_attempt=outcome.is_an_attempt,
                    timeout_s=JOB_TIMEOUT_S,
                )
            )
        except leases.LeaseLost:
            log.info("job_lost", kind=kind.name, key=lease.key)
        except _DATABASE_TROUBLE as error:
            log.warning("job_not_released", kind=kind.name, key=lease.key, error=type(error).__name__)

    # Holding

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_every_s)
            try:
                await self.beat()
            except _DATABASE_TROUBLE as error:
                log.warning("leases_not_extended", error=type(error).__name__)

    async def beat(self) -> None:
        """Go on holding what is worked at; cancel what is not ours any more."""
        for kind in self._kinds:
            held = {key: work for (name, key), work in self._working.items() if name == kind.name}
            if not held:
                continue
            model = next(iter(held.values())).lease.model
            ours = await self._threads.run(
                leases.extend, model, self.holder, list(held), lease_s=self._lease_s, timeout_s=JOB_TIMEOUT_S
            )
            for key in held.keys() - ours:
                held[key].task.cancel()
