"""`make soak`: steady load for a long time; what the processes hold must be the same before and after."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, replace

from transcription.tests.chaos.checker import Violation, check_resources
from transcription.tests.chaos.load import Load
from transcription.tests.chaos.processes import memory_bytes, open_files, threads
from transcription.tests.chaos.records import Resources
from transcription.tests.chaos.report import table, verdict_rows, violations_text
from transcription.tests.chaos.run import RIVAS, SETTINGS, Options, judge
from transcription.tests.chaos.stage import Stage, services_from_environment

SAMPLE_EVERY_S = 10.0
# Caches fill and allocators settle first: so much of the run is not judged.
WARM_UP_SHARE = 0.25
MIN_WARM_UP_S = 60.0
QUIET_S = 15.0
MAX_GROWTH_PER_HOUR = 0.01
# Allocators settle for long: the slope is judged from here on, and a slope over less than half an hour says more
# about noise than about leaks. Before, memory must only be within what check_resources allows.
SLOPE_JUDGED_FROM_S = 3600.0
MIN_JUDGED_S = 1800.0
# Every connection to SQLite keeps up to 2 MB of pages (its own default), which fill while the database grows;
# measured: 2.1 to 2.6 MB for a connection that has read a database of 30 MB.
SQLITE_PAGE_CACHE_BYTES = 2_600_000
# Connections go to either of two workers: enough for both to be asked.
PROBES = 40
GAUGES = {"tasks": "speech_tasks", "sessions": "speech_sessions_live", "recogniser streams": "speech_upstream_streams"}


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_bytes: int


async def run_soak(options: Options) -> int:
    chance = random.Random(options.seed)  # noqa: S311 - when sessions pause, not a secret
    database_url, redis_url = services_from_environment(options.database)
    stage = Stage(RIVAS, database_url=database_url, redis_url=redis_url, settings=SETTINGS)
    async with stage:
        print(f"soak on {options.database}, {options.sessions} sessions, {options.minutes:g} min")
        duration_s = options.minutes * 60
        warm_up_s = max(MIN_WARM_UP_S, duration_s * WARM_UP_SHARE)
        started_at_s = asyncio.get_running_loop().time()
        load = await _speak(stage, options, warm_up_s, chance, [])
        await _wake_every_worker(stage)
        before = await _resources(stage)
        samples: list[Sample] = []
        judged_from_s = started_at_s + SLOPE_JUDGED_FROM_S
        later = await _speak(stage, options, max(0.0, duration_s - warm_up_s), chance, samples, first=len(load.clients))
        after = await _resources(stage)
        verdict = await judge(stage, load.clients + later.clients)
    page_caches = SQLITE_PAGE_CACHE_BYTES * before.counts["database connections"] if stage.uses_sqlite else 0
    verdict.violations += check_resources(replace(before, rss_bytes=before.rss_bytes + page_caches), after)
    per_hour = slope_per_s(samples) * 3600 / samples[0].rss_bytes if samples else 0.0
    shown_s = samples[-1].at_s - samples[0].at_s if samples else 0.0
    judged = [sample for sample in samples if sample.at_s >= judged_from_s]
    unexplained = unexplained_growth(judged, page_caches)
    if judged and judged[-1].at_s - judged[0].at_s >= MIN_JUDGED_S and unexplained > MAX_GROWTH_PER_HOUR:
        verdict.violations.append(Violation("I5", "service", f"memory grows by {unexplained:.1%} an hour"))
    print(
        table(
            [
                *verdict_rows(verdict),
                ("memory, workers together (MB)", f"{before.rss_bytes / 1e6:.1f} -> {after.rss_bytes / 1e6:.1f}"),
                ("memory, slope", f"{per_hour:+.2%} an hour over {shown_s / 60:.0f} min"),
                *((name, f"{before.counts.get(name, 0)} -> {count}") for name, count in sorted(after.counts.items())),
            ]
        )
    )
    print(violations_text(verdict))
    if options.keep or verdict.violations:
        print(f"logs and database: {stage.folder}")
    else:
        stage.clean_up()
    return 1 if verdict.violations else 0


async def _speak(
    stage: Stage, options: Options, duration_s: float, chance: random.Random, samples: list[Sample], first: int = 0
) -> Load:
    """So long the load, then quiet."""
    load = Load(stage, options.sessions, short_buffers=False, chance=chance, first=first)
    speaking = asyncio.create_task(load.run())
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + duration_s
    while (left_s := ends_at_s - loop.time()) > 0:
        await asyncio.sleep(min(SAMPLE_EVERY_S, left_s))
        samples.append(Sample(loop.time(), sum(memory_bytes(pid) for pid in await stage.workers())))
    load.end()
    await speaking
    await asyncio.sleep(QUIET_S)
    return load


async def _wake_every_worker(stage: Stage) -> None:
    """The threads that a worker starts for its first answers are there before they are counted."""
    for _ in range(PROBES):
        await asyncio.to_thread(stage.served.get, "/readyz")
        await asyncio.to_thread(stage.served.get, "/metrics")


async def _resources(stage: Stage) -> Resources:
    workers = await stage.workers()
    _, metrics = await asyncio.to_thread(stage.served.get, "/metrics")
    counts = {name: gauge(metrics, metric) for name, metric in GAUGES.items()}
    counts["threads"] = sum(threads(pid) for pid in workers)
    counts["open files and sockets"] = sum(open_files(pid) for pid in workers)
    counts["database connections"] = await asyncio.to_thread(_database_connections, stage, workers)
    return Resources(counts, sum(memory_bytes(pid) for pid in workers))


def gauge(metrics: str, name: str) -> int:
    """The sum of a gauge's samples in Prometheus' text format."""
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", metrics, re.MULTILINE)
    return round(sum(map(float, found)))


def _database_connections(stage: Stage, workers: list[int]) -> int:
    if stage.uses_sqlite:
        return sum(open_files(pid, str(stage.sqlite_file)) for pid in workers)
    return stage.database_proxy.connections if stage.database_proxy else 0


def unexplained_growth(samples: list[Sample], page_caches_bytes: int) -> float:
    """Share of the memory an hour by which it grew, but for what SQLite's page caches may have taken meanwhile."""
    if len(samples) < 2:
        return 0.0
    over_s = samples[-1].at_s - samples[0].at_s
    grown = max(0.0, slope_per_s(samples) * over_s - page_caches_bytes)
    return grown / samples[0].rss_bytes * 3600 / over_s


def slope_per_s(samples: list[Sample]) -> float:
    """Least squares: bytes a second."""
    if len(samples) < 2:
        return 0.0
    mean_s = sum(sample.at_s for sample in samples) / len(samples)
    mean_bytes = sum(sample.rss_bytes for sample in samples) / len(samples)
    over = sum((sample.at_s - mean_s) * (sample.rss_bytes - mean_bytes) for sample in samples)
    return over / sum((sample.at_s - mean_s) ** 2 for sample in samples)
