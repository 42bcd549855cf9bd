"""This process as others see it: its heartbeat, the stops asked of its sessions, and the release of lost ones.

All times are the database's: a host whose clock jumps neither dies nor kills.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models.functions import Now

from transcription.errors import TranscriptionError
from transcription.metrics import SESSIONS_EXPIRED_TOTAL, SESSIONS_REAPED_TOTAL
from transcription.models import TranscriptionSession, Worker
from transcription.rest.idempotency import forget_old
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs
from transcription.storage.holding import lost
from transcription.storage.reaper import (
    DEAD_AFTER,
    ResumeBounds,
    expire_detached,
    own_live_sessions,
    release_lost,
    remove_worker,
    tidy,
)
from transcription.storage.steps import SessionHandle

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 5.0
STOPS_EVERY_S = 1.0
REAP_EVERY_S = 10.0
JOB_TIMEOUT_S = 10.0

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class StopRequest:
    """An operator's wish. reason: in the operator's words, may be empty. by: the operator's name, may be empty."""

    reason: str
    by: str


StopCallback = Callable[[str, StopRequest], Awaitable[None]]
LostCallback = Callable[[SessionHandle, TranscriptionError], Awaitable[None]]


class WorkerRow:
    """The row of this process and the tasks around it.

    on_stop is called once for each stop asked of a live session of this process, with the session's public id.
    on_lost is called for each session that this process holds and may not write any more, with what to tell its
    client (see holding.why_not_held). held: the sessions this process really runs; a live row with our worker
    that is none of them (its end could not be stored) is let go like a lost one.
    """

    def __init__(
        self,
        worker_id: UUID,
        *,
        threads: DatabaseThreads,
        on_stop: StopCallback,
        on_lost: LostCallback,
        held: Callable[[], Collection[SessionHandle]],
        bounds: ResumeBounds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = worker_id
        self._threads = threads
        self._on_stop = on_stop
        self._on_lost = on_lost
        self._held = held
        self._bounds = bounds
        self._clock = clock
        self._beating_since: float | None = None
        self._told: set[tuple[str, int]] = set()
        self._suspects: set[tuple[int, int]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Register and start the tasks. Raises the database's errors if it does not answer."""
        await self.beat()
        for name, action, every_s in (
            ("heartbeat", self.check_held, HEARTBEAT_EVERY_S),
            ("stop requests", self.check_stops, STOPS_EVERY_S),
            ("reaper", self.reap, REAP_EVERY_S),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(name, action, every_s), name=name))

    async def aclose(self) -> None:
        """Stop the tasks and remove the row. Live sessions that still name it are then anybody's to reap."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        try:
            await self._threads.run(remove_worker, self.id, timeout_s=JOB_TIMEOUT_S)
        except (DatabaseError, InterfaceError, TimeoutError, TooManyJobs) as error:
            logger.warning("The worker's row could not be removed: %s", type(error).__name__)

    async def beat(self) -> float:
        """Say that this process lives; makes the row if it is missing (a reaper elsewhere may have removed it).

        Returns for how many seconds it has beaten without a break.
        """
        try:
            silent = await self._threads.run(register, self.id, timeout_s=JOB_TIMEOUT_S)
        except BaseException:
            self._beating_since = None
            raise
        now = self._clock()
        if silent or self._beating_since is None:
            self._beating_since = now
        return now - self._beating_since

    async def check_held(self) -> None:
        """Beat, and tell of sessions that are not ours any more."""
        await self.beat()
        held = tuple(self._held())
        if not held:
            return
        for handle, error in (await self._threads.run(lost, held, timeout_s=JOB_TIMEOUT_S)).items():
            await self._on_lost(handle, error)

    async def check_stops(self) -> None:
        """Pass on stops asked of our live sessions, each once for each time we have taken the session."""
        asked = await self._threads.run(_stops, self.id, timeout_s=JOB_TIMEOUT_S)
        self._told &= set(asked)
        for session in asked.keys() - self._told:
            self._told.add(session)
            await self._on_stop(session[0], asked[session])

    async def reap(self) -> int:
        """Let go of live sessions whose process is gone; interrupt detached ones whose time is over; delete what
        was made and never started. Returns how many of the first there were.

        After an outage of the database every process looks silent, so a reaper acts only once it has beaten
        without a break for as long as it takes to be called dead.
        """
        if await self.beat() < DEAD_AFTER.total_seconds():
            return 0
        reaped = await self._threads.run(release_lost, await self._forgotten(), self._bounds, timeout_s=JOB_TIMEOUT_S)
        if reaped:
            SESSIONS_REAPED_TOTAL.inc(reaped)
            logger.warning("%d sessions of lost processes were let go.", reaped)
        SESSIONS_EXPIRED_TOTAL.inc(await self._threads.run(expire_detached, timeout_s=JOB_TIMEOUT_S))
        await self._threads.run(tidy, timeout_s=JOB_TIMEOUT_S)
        await self._threads.run(forget_old, timeout_s=JOB_TIMEOUT_S)
        return reaped

    async def _forgotten(self) -> set[tuple[int, int]]:
        """Our live rows that we did not hold at two looks in succession.

        At one look a session may just have been started or taken in the database and not be noted as held yet.
        """
        live = await self._threads.run(own_live_sessions, self.id, timeout_s=JOB_TIMEOUT_S)
        not_held = live - {(handle.pk, handle.epoch) for handle in self._held()}
        forgotten, self._suspects = not_held & self._suspects, not_held
        return forgotten

    async def _repeat(self, name: str, action: Callable[[], Awaitable[object]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await action()
            except (DatabaseError, InterfaceError, TimeoutError, TooManyJobs) as error:
                logger.warning("The %s task will try again: %s", name, type(error).__name__)


def register(worker_id: UUID) -> bool:
    """Write the heartbeat, making the row if it is missing.

    Returns whether it had been silent so long that others may soon think it dead.
    """
    with transaction.atomic():
        row = Worker.objects.filter(pk=worker_id)
        was_fresh = row.filter(heartbeat_at__gte=Now() - DEAD_AFTER / 2).exists()
        if not row.update(heartbeat_at=Now()):
            Worker.objects.create(
                id=worker_id, host=socket.gethostname()[:255], pid=os.getpid(), started_at=Now(), heartbeat_at=Now()
            )
    return not was_fresh


def _stops(worker_id: UUID) -> dict[tuple[str, int], StopRequest]:
    """Stops asked of a worker's live sessions, by public id and epoch."""
    rows = TranscriptionSession.objects.filter(
        worker_id=worker_id, state=State.LIVE, stop_requested_at__isnull=False
    ).values_list("public_id", "epoch", "stop_reason", "stop_requested_by__username")
    return {(public_id, epoch): StopRequest(reason, by or "") for public_id, epoch, reason, by in rows}
