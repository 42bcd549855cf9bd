"""Is this process fit for work? One list of checks for /readyz, the console's health page and anybody else."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from channels.layers import get_channel_layer
from django.db import DatabaseError, connection

from speechsite.config import get_config
from transcription.errors import TranscriptionError
from transcription.metrics import EVENT_LOOP_LAG_SECONDS, TASKS
from transcription.process import get_process

DATABASE_TIMEOUT_S = 3.0
RECOGNISER_TIMEOUT_S = 3.0
CHANNEL_LAYER_TIMEOUT_S = 1.0
# Probes need no credentials, so however many come, the checks run once in this time.
REUSE_RESULTS_S = 1.0
LAG_PROBE_INTERVAL_S = 0.5
PROBES_PER_COUNT = 10
UNHEALTHY_LAG_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class CheckFailed(Exception):
    """The check's subject is not fit; the text says why, in words for an operator."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report. required: without it the process is not ready.

    failing_since: when this process found it unfit for the first time in a row, ISO 8601; None while it is fit.
    """

    name: str
    ok: bool
    required: bool
    detail: str
    duration_ms: int
    failing_since: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[CheckResult, ...]

    @property
    def is_ready(self) -> bool:
        return all(check.ok for check in self.checks if check.required)


class DatabaseProbe:
    """`SELECT 1` on a thread of its own: a database that hangs blocks neither the loop nor the store's threads."""

    def __init__(self, query: Callable[[], None] | None = None, timeout_s: float = DATABASE_TIMEOUT_S) -> None:
        self._query = query or _select_one
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._running: asyncio.Future[None] | None = None

    async def check(self) -> str:
        if self._running is not None and not self._running.done():
            raise CheckFailed(f"no answer for over {self._timeout_s:g} s")
        self._running = asyncio.get_running_loop().run_in_executor(self._threads, self._query)
        # The future outlives the wait; its error, if any, was then told as "no answer".
        self._running.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            await asyncio.wait_for(asyncio.shield(self._running), self._timeout_s)
        except TimeoutError:
            raise CheckFailed(f"no answer within {self._timeout_s:g} s") from None
        except DatabaseError as error:
            # The server's own text may carry its address and user.
            log.warning("database check failed", error=str(error).strip())
            raise CheckFailed("does not answer") from None
        return connection.vendor


def _select_one() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


async def check_recogniser() -> str:
    try:
        await get_process().recogniser_ready(RECOGNISER_TIMEOUT_S)
    except TranscriptionError as error:
        raise CheckFailed(error.message) from None
    return ", ".join(get_config().recogniser_addresses)


async def check_draining() -> str:
    if get_process().draining:
        raise CheckFailed("this process is finishing its sessions and takes no new ones")
    return ""


async def check_capacity() -> str:
    live, most = get_process().live_session_count, get_config().max_concurrent_sessions
    if live >= most:
        raise CheckFailed(f"all {most} places are taken")
    return f"{live} live here, at most {most} on the whole site"


async def check_channel_layer() -> str:
    """Send a message through the layer and receive it."""
    layer = get_channel_layer()
    if layer is None:
        raise CheckFailed("none is configured")
    try:
        async with asyncio.timeout(CHANNEL_LAYER_TIMEOUT_S):
            channel = await layer.new_channel()
            await layer.send(channel, {"type": "health.check"})
            await layer.receive(channel)
    except TimeoutError:
        raise CheckFailed(f"no answer within {CHANNEL_LAYER_TIMEOUT_S:g} s") from None
    # Redis clients raise errors of several unrelated kinds; this check is informational in any case.
    except Exception as error:
        log.warning("channel layer check failed", error=str(error))
        raise CheckFailed("does not answer") from None
    return "Redis" if get_config().redis_url else "in-process"


class Health:
    """Runs the checks side by side, and never more often than every REUSE_RESULTS_S."""

    def __init__(self, checks: dict[str, tuple[bool, Callable[[], Awaitable[str]]]]) -> None:
        """checks: name -> (required, check). A check returns a detail or raises CheckFailed."""
        self._checks = checks
        self._report: Report | None = None
        self._taken_at = 0.0
        self._failing_since: dict[str, str] = {}
        self._running: asyncio.Task[Report] | None = None

    async def report(self) -> Report:
        if self._report is not None and time.monotonic() - self._taken_at < REUSE_RESULTS_S:
            return self._report
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        # A probe that goes away must not take the checks from the others that wait.
        return await asyncio.shield(self._running)

    async def _run(self) -> Report:
        results = await asyncio.gather(
            *(self._check(name, required, check) for name, (required, check) in self._checks.items())
        )
        self._report, self._taken_at = Report(tuple(results)), time.monotonic()
        return self._report

    async def _check(self, name: str, required: bool, check: Callable[[], Awaitable[str]]) -> CheckResult:
        started_at = time.perf_counter()
        try:
            detail, ok = await check(), True
        except CheckFailed as error:
            detail, ok = str(error), False
        duration_ms = round((time.perf_counter() - started_at) * 1000)
        return CheckResult(name, ok, required, detail, duration_ms, self._since(name, ok))

    def _since(self, name: str, ok: bool) -> str | None:
        if ok:
            self._failing_since.pop(name, None)
            return None
        return self._failing_since.setdefault(name, datetime.now(UTC).isoformat(timespec="seconds"))


health = Health(
    {
        "database": (True, DatabaseProbe().check),
        "recogniser": (True, check_recogniser),
        "draining": (True, check_draining),
        "capacity": (False, check_capacity),
        "channel_layer": (False, check_channel_layer),
    }
)


class LoopLag:
    """Measures how late the event loop wakes a sleeper."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag_s = 0.0
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._due_at: float | None = None

    @property
    def current_s(self) -> float:
        """The last lag measured, or the present one where the sleeper is overdue."""
        overdue = self._clock() - self._due_at if self._due_at is not None else 0.0
        return max(self.lag_s, overdue)

    @property
    def is_healthy(self) -> bool:
        return self.current_s < UNHEALTHY_LAG_S

    def start(self) -> None:
        """Begin measuring in the running loop; again where an earlier loop is gone."""
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._measure())

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._due_at = None

    async def _measure(self) -> None:
        for probe in itertools.count():
            self._due_at = self._clock() + LAG_PROBE_INTERVAL_S
            await asyncio.sleep(LAG_PROBE_INTERVAL_S)
            self.lag_s = max(0.0, self._clock() - self._due_at)
            EVENT_LOOP_LAG_SECONDS.set(self.lag_s)
            if probe % PROBES_PER_COUNT == 0:
                # Sessions have nine each, and counting looks at every one.
                TASKS.set(len(asyncio.all_tasks()))


loop_lag = LoopLag()
