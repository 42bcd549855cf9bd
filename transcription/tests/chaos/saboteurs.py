"""What breaks the service while it works: each on its own beat, and counted."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress

from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.load import Load
from transcription.tests.chaos.stage import Stage

RECOGNISER_EVERY_S = 30.0
WORKER_EVERY_S = 60.0
DATABASE_EVERY_S = 120.0
# Not together with the others' beats, so that recoveries can be told apart.
FIRST_DATABASE_S = 45.0
REDIS_EVERY_S = 90.0
FIRST_REDIS_S = 75.0
CUT_EVERY_S = 1.0
STOPPED_S = 5.0
FROZEN_S = 12.0
MAX_OFFLINE_S = 10.0
# One cut in so many lasts: the others come back at once.
LONG_CUT_ONE_IN = 4


class Saboteurs:
    """faults: how often each was done. last_recogniser_fault: which one the recognisers met last."""

    def __init__(self, stage: Stage, load: Load, chance: random.Random) -> None:
        self.faults: Counter[str] = Counter()
        self.last_recogniser_fault = ""
        self.worker_killed_at_s = float("-inf")
        self._stage = stage
        self._load = load
        self._chance = chance
        self._recogniser_faults = itertools.cycle(
            [self._reset_recognisers, self._kill_recogniser, self._send_goaway, self._freeze_recogniser]
        )

    async def run(self) -> None:
        """Until cancelled; whatever is broken then is whole again."""
        stage = self._stage
        async with asyncio.TaskGroup() as group:
            group.create_task(_every(RECOGNISER_EVERY_S, lambda: next(self._recogniser_faults)()))
            group.create_task(_every(WORKER_EVERY_S, self._kill_worker))
            group.create_task(_every(CUT_EVERY_S, self._cut_client))
            database = self._lock_sqlite if stage.uses_sqlite else self._stop_database
            group.create_task(_every(DATABASE_EVERY_S, database, FIRST_DATABASE_S))
            if stage.redis_proxy is not None:
                group.create_task(_every(REDIS_EVERY_S, self._stop_redis, FIRST_REDIS_S))

    async def _reset_recognisers(self) -> None:
        self._note_recogniser("recogniser connections reset")
        for proxy in self._stage.riva_proxies:
            proxy.reset()

    async def _kill_recogniser(self) -> None:
        self._note_recogniser("recogniser kill -9")
        riva = self._chance.choice(self._stage.rivas)
        await riva.kill()
        await riva.start()

    async def _send_goaway(self) -> None:
        self._note_recogniser("recogniser GOAWAY")
        self._chance.choice(self._stage.rivas).send_signal(signal.SIGUSR1)

    async def _freeze_recogniser(self) -> None:
        self._note_recogniser("recogniser frozen")
        riva = self._chance.choice(self._stage.rivas)
        riva.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            riva.send_signal(signal.SIGCONT)

    def _note_recogniser(self, fault: str) -> None:
        self.faults[fault] += 1
        self.last_recogniser_fault = fault

    async def _kill_worker(self) -> None:
        workers = await self._stage.workers()
        if workers:
            self.faults["worker kill -9"] += 1
            self.worker_killed_at_s = asyncio.get_running_loop().time()
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(workers), signal.SIGKILL)

    async def _cut_client(self) -> None:
        speaking = [client for client in self._load.speaking if client.started.is_set()]
        if not speaking:
            return
        client: ResilientClient = self._chance.choice(speaking)
        is_long = self._chance.randrange(LONG_CUT_ONE_IN) == 0
        self.faults["client cut, offline for a while" if is_long else "client cut"] += 1
        client.cut(self._chance.uniform(1.0, MAX_OFFLINE_S) if is_long else 0.0)

    async def _lock_sqlite(self) -> None:
        self.faults["database locked"] += 1
        await asyncio.to_thread(_hold_lock, str(self._stage.sqlite_file))

    async def _stop_database(self) -> None:
        proxy = self._stage.database_proxy
        assert proxy is not None  # only then is it asked for
        if self.faults["database hangs"] <= self.faults["database refuses"]:
            self.faults["database hangs"] += 1
            proxy.hang()
        else:
            self.faults["database refuses"] += 1
            await proxy.refuse()
            proxy.reset()
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            await proxy.heal()

    async def _stop_redis(self) -> None:
        proxy = self._stage.redis_proxy
        assert proxy is not None  # only then is it asked for
        self.faults["Redis hangs"] += 1
        proxy.hang()
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            await proxy.heal()


async def _every(period_s: float, fault: Callable[[], Awaitable[None]], first_s: float | None = None) -> None:
    loop = asyncio.get_running_loop()
    due_at_s = loop.time() + (period_s if first_s is None else first_s)
    while True:
        await asyncio.sleep(max(0.0, due_at_s - loop.time()))
        await fault()
        due_at_s += period_s


def _hold_lock(path: str) -> None:
    """Keep SQLite's write lock, as a process that writes for too long."""
    with closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(STOPPED_S)
        database.execute("ROLLBACK")
