"""`make chaos`: many sessions, everything around them breaks, and the checker says what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from dataclasses import dataclass, replace
from typing import Any

from transcription.tests.chaos.checker import Verdict, Violation, check
from transcription.tests.chaos.client import Recovery, ResilientClient
from transcription.tests.chaos.load import Load
from transcription.tests.chaos.report import recovery_rows, table, verdict_rows, violations_text
from transcription.tests.chaos.saboteurs import Saboteurs
from transcription.tests.chaos.stage import Stage, services_from_environment
from transcription.tests.servers import SIGNS_OF_BUGS

LEAVE_ONE_IN = 20
LAST_SESSIONS_S = 240.0
ORPHAN_LOOK_EVERY_S = 3.0
ORPHAN_LOOKS = 30
PROCESS_LOSS_S = 5.0
# One recogniser tells word times, up to this much wrong; the other declares what it settles.
WORD_TIME_ERROR_MS = 100
TIME_TOLERANCE_MS = 30 + WORD_TIME_ERROR_MS
RIVAS = [[f"word_time_error_ms={WORD_TIME_ERROR_MS}"], ["settles=yes", f"word_time_error_ms={WORD_TIME_ERROR_MS}"]]
SETTINGS = {"MAX_CONCURRENT_SESSIONS": "500", "SESSION_TIMEOUT_MINUTES": "60"}


@dataclass(frozen=True, slots=True)
class Options:
    minutes: float
    sessions: int
    database: str
    seed: int
    keep: bool


async def run_chaos(options: Options) -> int:
    chance = random.Random(options.seed)  # noqa: S311 - what breaks when, not a secret
    database_url, redis_url = services_from_environment(options.database)
    stage = Stage(RIVAS, database_url=database_url, redis_url=redis_url, settings=SETTINGS)
    async with stage:
        load = Load(stage, options.sessions, leave_one_in=LEAVE_ONE_IN, chance=chance)
        saboteurs = Saboteurs(stage, load, chance)
        watch = RecoveryWatch(load, saboteurs)
        print(f"chaos on {options.database}, {options.sessions} sessions, {options.minutes:g} min, seed {options.seed}")
        speaking = asyncio.create_task(load.run())
        breaking = asyncio.create_task(saboteurs.run())
        labelling = asyncio.create_task(watch.run())
        await asyncio.wait({speaking, breaking, labelling}, timeout=options.minutes * 60, return_when="FIRST_COMPLETED")
        await _cancelled(breaking)
        load.end()
        unfinished = await _finished(speaking, load)
        await _cancelled(labelling)
        verdict = await judge(stage, load.clients)
        verdict.violations += unfinished
        code = await asyncio.to_thread(stage.served.stop, signal.SIGTERM)
        verdict.violations += _signs_of_bugs(stage, code)
    print(table(_rows(load, saboteurs, verdict, watch)))
    print(violations_text(verdict))
    if options.keep or verdict.violations:
        print(f"logs and database: {stage.folder}")
    else:
        stage.clean_up()
    return 1 if verdict.violations else 0


class RecoveryWatch:
    """Gives every recovery the name of what had broken, while that is known."""

    def __init__(self, load: Load, saboteurs: Saboteurs) -> None:
        self.recoveries: list[Recovery] = []
        self._load = load
        self._saboteurs = saboteurs
        self._seen: dict[ResilientClient, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.look()

    def look(self) -> None:
        for client in [*self._load.clients, *self._load.speaking]:
            seen = self._seen.get(client, 0)
            for recovery in client.recoveries[seen:]:
                self.recoveries.append(replace(recovery, kind=self._name(recovery)))
            self._seen[client] = len(client.recoveries)

    def _name(self, recovery: Recovery) -> str:
        if recovery.kind == "recogniser":
            return self._saboteurs.last_recogniser_fault
        lost_at_s = recovery.at_s - recovery.seconds
        if recovery.kind == "service" and 0 <= lost_at_s - self._saboteurs.worker_killed_at_s < PROCESS_LOSS_S:
            return "worker kill -9"
        return recovery.kind


async def judge(stage: Stage, clients: list[ResilientClient], tolerance_ms: int | None = TIME_TOLERANCE_MS) -> Verdict:
    """Compare, once no session is left to a dead worker."""
    # Django's settings are read here for the first time, after the database's address stands.
    from transcription.tests.chaos.database import orphaned_sessions, read_sessions

    for _ in range(ORPHAN_LOOKS):
        if not await asyncio.to_thread(orphaned_sessions):
            break
        await asyncio.sleep(ORPHAN_LOOK_EVERY_S)
    records = [client.record for client in clients]
    stored = await asyncio.to_thread(read_sessions, [record.session_id for record in records])
    return check(records, stored, stage.words_heard(), time_tolerance_ms=tolerance_ms)


async def _finished(speaking: asyncio.Task[None], load: Load) -> list[Violation]:
    """Wait for the last sessions. Those that do not end are violations."""
    try:
        await asyncio.wait_for(asyncio.shield(speaking), LAST_SESSIONS_S)
    except TimeoutError:
        stuck = [client.record.session_id for client in load.speaking]
        await _cancelled(speaking)
        return [Violation("stuck", session_id, f"did not end within {LAST_SESSIONS_S:g} s") for session_id in stuck]
    return []


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel and wait. Raises what the task failed with before."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _signs_of_bugs(stage: Stage, code: int) -> list[Violation]:
    lines = [line for line in stage.served.output.splitlines() if any(sign in line for sign in SIGNS_OF_BUGS)]
    found = [Violation("log", "service", line[:300]) for line in lines]
    if code != 0:
        found.append(Violation("exit", "service", f"ended with {code}"))
    return found


def _rows(load: Load, saboteurs: Saboteurs, verdict: Verdict, watch: RecoveryWatch) -> list[tuple[str, object]]:
    watch.look()
    ends = sum(client.record.stopped is not None for client in load.clients)
    return [
        *verdict_rows(verdict),
        ("ended by their clients", ends),
        ("left for good", len(load.clients) - ends),
        ("starts refused or broken off", load.not_started),
        ("resumes", sum(len(client.record.resumed_at) for client in load.clients)),
        ("gaps recorded", sum(len(client.record.discarded) for client in load.clients)),
        *((fault, times) for fault, times in sorted(saboteurs.faults.items())),
        *recovery_rows(watch.recoveries),
    ]
