"""`make rolling`: the service is replaced, worker by worker, under load, again and again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import Any

from transcription.tests.chaos.checker import Violation
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.load import Load
from transcription.tests.chaos.report import percentile, table, verdict_rows, violations_text
from transcription.tests.chaos.run import RIVAS, SETTINGS, Options, judge
from transcription.tests.chaos.stage import Stage, services_from_environment

RESTART_EVERY_S = 60.0
MAX_EXIT_S = 30.0
LOOK_EVERY_S = 0.1
# What a worker said last may reach its client after its end; the next one leaves later than that.
LATE_EVENTS_S = 1.0


class ExitWatch:
    """How long each worker took to leave: from the first `session_expiring` (draining) to its end."""

    def __init__(self, stage: Stage) -> None:
        self.exits_s: list[float] = []
        self._stage = stage
        self._draining_since_s: float | None = None
        self._last_exit_at_s = float("-inf")

    def on_event(self, _client: ResilientClient, event: dict[str, Any]) -> None:
        now_s = asyncio.get_running_loop().time()
        is_draining = event["event"] == "session_expiring" and event["reason"] == "draining"
        if is_draining and self._draining_since_s is None and now_s - self._last_exit_at_s > LATE_EVENTS_S:
            self._draining_since_s = now_s

    async def run(self) -> None:
        known = set(await self._stage.workers())
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            # Not what the list lacks: a worker may end between two looks at it.
            gone = {pid for pid in known if not _is_alive(pid)}
            if gone and self._draining_since_s is not None:
                self.exits_s.append(loop.time() - self._draining_since_s)
                self._draining_since_s, self._last_exit_at_s = None, loop.time()
            known = (known - gone) | set(await self._stage.workers())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def run_rolling(options: Options) -> int:
    chance = random.Random(options.seed)  # noqa: S311 - when sessions pause, not a secret
    database_url, redis_url = services_from_environment(options.database)
    stage = Stage(RIVAS, database_url=database_url, redis_url=redis_url, settings=SETTINGS)
    async with stage:
        exits = ExitWatch(stage)
        load = Load(stage, options.sessions, short_buffers=False, chance=chance, on_event=exits.on_event)
        print(f"rolling restarts on {options.database}, {options.sessions} sessions, {options.minutes:g} min")
        speaking = asyncio.create_task(load.run())
        watching = asyncio.create_task(exits.run())
        restarts = 0
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + options.minutes * 60
        while (left_s := ends_at_s - loop.time()) > 0:
            await asyncio.sleep(min(RESTART_EVERY_S, left_s))
            if left_s > RESTART_EVERY_S:
                stage.served.process.send_signal(signal.SIGHUP)
                restarts += 1
        load.end()
        await speaking
        watching.cancel()
        verdict = await judge(stage, load.clients)
    slow = [seconds for seconds in exits.exits_s if seconds > MAX_EXIT_S]
    verdict.violations += [Violation("exit", "worker", f"took {seconds:.1f} s") for seconds in slow]
    if len(exits.exits_s) < restarts:
        verdict.violations.append(Violation("exit", "worker", f"{len(exits.exits_s)} left in {restarts} restarts"))
    print(
        table(
            [
                *verdict_rows(verdict),
                ("restarts", restarts),
                ("resumes", sum(len(client.record.resumed_at) for client in load.clients)),
                ("workers that left", len(exits.exits_s)),
                (
                    "to leave (s)",
                    f"p50 {percentile(exits.exits_s, 0.5):.1f}  max {max(exits.exits_s):.1f}" if exits.exits_s else "-",
                ),
            ]
        )
    )
    print(violations_text(verdict))
    if options.keep or verdict.violations:
        print(f"logs and database: {stage.folder}")
    else:
        stage.clean_up()
    return 1 if verdict.violations else 0
