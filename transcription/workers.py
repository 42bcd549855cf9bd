"""This process as others see it: its heartbeat, the stops asked of its sessions, and the end of lost ones.

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
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from transcription.database_threads import DatabaseThreads, TooManyJobs
from transcription.metrics import SESSIONS_REAPED_TOTAL
from transcription.models import TranscriptionSession, Worker

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 5.0
STOPS_EVERY_S = 1.0
REAP_EVERY_S = 10.0
DEAD_AFTER = timedelta(seconds=20)
CREATED_KEPT_FOR = timedelta(hours=1)
WORKER_ROW_KEPT_FOR = timedelta(hours=1)
MAX_REAPED_AT_ONCE = 100
MAX_FORGOTTEN_AT_ONCE = 200
MAX_WORKERS_REMOVED_AT_ONCE = 10
JOB_TIMEOUT_S = 10.0

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class StopRequest:
    """An operator's wish. reason: in the operator's words, may be empty. by: the operator's name, may be empty."""

    reason: str
    by: str


StopCallback = Callable[[str, StopRequest], Awaitable[None]]


class WorkerRow:
    """The row of this process and the tasks around it.

    on_stop is called once for each stop asked of a live session of this process, with the session's public id.
    held: primary keys of the sessions this process really runs; a live row with our worker that is none of them
    (its end could not be stored) is reaped like a lost one.
    """

    def __init__(
        self,
        worker_id: UUID,
        *,
        threads: DatabaseThreads,
        on_stop: StopCallback,
        held: Callable[[], Collection[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = worker_id
        self._threads = threads
        self._on_stop = on_stop
        self._held = held
        self._clock = clock
        self._beating_since: float | None = None
        self._told: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Register and start the tasks. Raises the database's errors if it does not answer."""
        await self.beat()
        for name, action, every_s in (
            ("heartbeat", self.beat, HEARTBEAT_EVERY_S),
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
            await self._threads.run(_remove, self.id, timeout_s=JOB_TIMEOUT_S)
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

    async def check_stops(self) -> None:
        """Pass on stops asked of our live sessions, each once."""
        asked = await self._threads.run(_stops, self.id, timeout_s=JOB_TIMEOUT_S)
        self._told &= set(asked)
        for public_id in asked.keys() - self._told:
            self._told.add(public_id)
            await self._on_stop(public_id, asked[public_id])

    async def reap(self) -> int:
        """End live sessions whose process is gone; delete what was made and never started. Returns how many ended.

        After an outage of the database every process looks silent, so a reaper acts only once it has beaten
        without a break for as long as it takes to be called dead.
        """
        if await self.beat() < DEAD_AFTER.total_seconds():
            return 0
        held = frozenset(self._held())
        reaped = await self._threads.run(_reap, self.id, held, timeout_s=JOB_TIMEOUT_S)
        if reaped:
            SESSIONS_REAPED_TOTAL.inc(reaped)
            logger.warning("%d sessions of lost processes were ended.", reaped)
        await self._threads.run(_tidy, timeout_s=JOB_TIMEOUT_S)
        return reaped

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


def _remove(worker_id: UUID) -> None:
    """Delete a worker's row. Its sessions forget it in pieces: one large write would hold up live commits."""
    named = TranscriptionSession.objects.filter(worker_id=worker_id)
    while ids := list(named.values_list("pk", flat=True)[:MAX_FORGOTTEN_AT_ONCE]):
        TranscriptionSession.objects.filter(pk__in=ids, worker_id=worker_id).update(worker=None)
    Worker.objects.filter(pk=worker_id).delete()


def _stops(worker_id: UUID) -> dict[str, StopRequest]:
    rows = TranscriptionSession.objects.filter(
        worker_id=worker_id, state=State.LIVE, stop_requested_at__isnull=False
    ).values_list("public_id", "stop_reason", "stop_requested_by__username")
    return {public_id: StopRequest(reason, by or "") for public_id, reason, by in rows}


def _reap(worker_id: UUID, held: frozenset[int]) -> int:
    is_lost = Q(worker__isnull=True) | Q(worker__heartbeat_at__lt=Now() - DEAD_AFTER)
    # The age keeps out a session that was started in the database but not yet noted as held.
    is_forgotten = Q(worker_id=worker_id) & ~Q(pk__in=held) & Q(started_at__lt=Now() - DEAD_AFTER)
    with transaction.atomic():
        rows = list(
            TranscriptionSession.objects.filter(is_lost | is_forgotten, state=State.LIVE)
            .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked, of=("self",))
            .order_by("pk")[:MAX_REAPED_AT_ONCE]
        )
        for row in rows:
            row.audio_bytes = max(row.audio_bytes, row.committed_bytes)
            row.audio_ms = max(row.audio_ms, row.committed_ms)
            TranscriptionSession.objects.filter(pk=row.pk).update(
                state=State.INTERRUPTED,
                end_reason="worker_lost",
                ended_at=Now(),
                audio_bytes=row.audio_bytes,
                audio_ms=row.audio_ms,
            )
    return len(rows)


def _tidy() -> None:
    """Delete what was made and never started, and rows of processes long gone; a bounded number at a time."""
    old = TranscriptionSession.objects.filter(state=State.CREATED, created_at__lt=Now() - CREATED_KEPT_FOR)
    ids = list(old.values_list("pk", flat=True)[:MAX_REAPED_AT_ONCE])
    if ids:
        TranscriptionSession.objects.filter(pk__in=ids, state=State.CREATED).delete()
    gone = Worker.objects.filter(heartbeat_at__lt=Now() - WORKER_ROW_KEPT_FOR)
    for worker_id in gone.values_list("pk", flat=True)[:MAX_WORKERS_REMOVED_AT_ONCE]:
        _remove(worker_id)
