"""`python -m benchmarks.commits`: how long a final waits for its commit, by the number of live sessions.

Every session has a final with words each 2 s, and between them its settled position moves, through the real store.
Each level is measured alone and while others list, search and export in the same process. The database may be one
that `benchmarks.storage` has filled: what counts is what a commit costs in a large one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.setup import set_up_django

if TYPE_CHECKING:
    from benchmarks.texts import Texts
    from transcription.storage.steps import SessionHandle
    from transcription.storage.store import Store

RESULTS = Path(__file__).parent / "results"
FINAL_EVERY_S = 2.0
BYTES_PER_S = 32_000
READERS = 2
READ_PAUSE_S = 0.25
PREFIX = "bench-live-"
# Sessions and segments, where benchmarks.storage has not made more.
SMALL_ARCHIVE = (1000, 20_000)


@dataclass(frozen=True, slots=True)
class Result:
    """Waiting times of commits in ms. readers: how many people list, search and export meanwhile."""

    sessions: int
    readers: int
    commits: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    cpu_share: float
    reads: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.commits", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--levels", type=int, nargs="+", default=[100, 300, 500])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="of a SQLite file that exists")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="speechsite-commits-") as temporary:
        set_up_django(arguments.database, arguments.folder or Path(temporary))
        fill_unless_filled()
        print("sessions readers  commits     p50     p95     p99   max ms   CPU  reads")
        results = []
        for readers, sessions in itertools.product((0, READERS), arguments.levels):
            result = asyncio.run(measure(sessions, arguments.seconds, readers))
            print(
                f"{result.sessions:>8}{result.readers:>8}{result.commits:>9}{result.p50_ms:>8}{result.p95_ms:>8}"
                f"{result.p99_ms:>8}{result.max_ms:>9}{result.cpu_share:>6}{result.reads:>7}",
                flush=True,
            )
            results.append(asdict(result))
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"commits-{arguments.database}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def fill_unless_filled() -> None:
    """Those who list and search need something to find."""
    from benchmarks import archive
    from transcription.models import TranscriptionSession

    if not TranscriptionSession.objects.filter(public_id=archive.LONG_SESSION).exists():
        archive.fill(*SMALL_ARCHIVE)


async def measure(sessions: int, seconds: float, readers: int) -> Result:
    from asgiref.sync import sync_to_async

    from benchmarks.texts import Texts
    from speechsite.server import switch_threads_sooner
    from transcription.storage.database_threads import DatabaseThreads
    from transcription.storage.store import Store

    switch_threads_sooner()
    await sync_to_async(tidy)()
    threads = DatabaseThreads()
    store = Store(None, threads=threads, max_sessions=10**6)
    texts = Texts(random.Random(0), halves=2000)  # noqa: S311 - the same texts each time
    handles = await start_sessions(store, sessions)
    waits_ms: list[float] = []
    reads = [0]
    cpu, began = time.process_time(), time.perf_counter()
    async with reading(readers, reads), asyncio.TaskGroup() as speakers:
        for number, handle in enumerate(handles):
            phase_s = FINAL_EVERY_S * number / sessions
            speakers.create_task(speak(store, handle, texts, phase_s, began + seconds, waits_ms))
    elapsed = time.perf_counter() - began
    cpu_share = (time.process_time() - cpu) / elapsed
    await store.aclose()
    await threads.aclose()
    await sync_to_async(tidy)()
    waits_ms.sort()

    def at(per_cent: float) -> float:
        return round(waits_ms[min(len(waits_ms) - 1, int(len(waits_ms) * per_cent / 100))], 2)

    return Result(
        sessions, readers, len(waits_ms), at(50), at(95), at(99), round(waits_ms[-1], 1), round(cpu_share, 2), reads[0]
    )


async def start_sessions(store: Store, count: int) -> list[SessionHandle]:
    from transcription.identity.principals import LOCAL
    from transcription.options import TranscriptionConfig
    from transcription.storage.steps import NewSession

    applied = TranscriptionConfig()
    return [
        await store.create(NewSession(f"{PREFIX}{number}", LOCAL, None, "", "native", {}, applied))
        for number in range(count)
    ]


async def speak(
    store: Store, handle: SessionHandle, texts: Texts, phase_s: float, end: float, waits_ms: list[float]
) -> None:
    """A final, half an interval later a move in silence, and so on."""
    from transcription.storage.steps import NewSegment, Step

    next_at = time.perf_counter() + phase_s
    settled, index = handle.committed_bytes, handle.next_seq
    for number in itertools.count():
        await asyncio.sleep(max(0.0, next_at - time.perf_counter()))
        if time.perf_counter() > end:
            return
        settled += int(BYTES_PER_S * FINAL_EVERY_S / 2)
        segments: tuple[NewSegment, ...] = ()
        if number % 2 == 0:
            text = texts.make()
            start_ms = index * 2000
            words = [
                {"word": word, "start_ms": start_ms + at * 100, "end_ms": start_ms + at * 100 + 90, "confidence": 0.9,
                 "speaker": None}
                for at, word in enumerate(text.split())
            ]  # fmt: skip
            segments = (NewSegment(index, start_ms, start_ms + 1900, text, words, confidence=0.9),)
        step = Step(handle.pk, handle.epoch, index, segments, settled)
        started = time.perf_counter()
        await store.commit(step)
        if segments:
            waits_ms.append((time.perf_counter() - started) * 1000)
        index += len(segments)
        next_at += FINAL_EVERY_S / 2


@contextlib.asynccontextmanager
async def reading(readers: int, reads: list[int]) -> AsyncIterator[None]:
    """People who list, search and export, each in a thread, as requests have one each."""
    stopped = False

    def read(number: int) -> None:
        for case in itertools.cycle(cases[number:] + cases[:number]):
            if stopped:
                return
            case()
            reads[0] += 1
            time.sleep(READ_PAUSE_S)

    cases = await asyncio.to_thread(reader_cases) if readers else []
    tasks = [asyncio.create_task(asyncio.to_thread(read, number)) for number in range(readers)]
    try:
        yield
    finally:
        stopped = True
        await asyncio.gather(*tasks)


def reader_cases() -> list[partial[None]]:
    from django.urls import reverse

    from benchmarks.archive import BOSS, LONG_SESSION, RARE_WORD
    from benchmarks.storage_cases import SEGMENTS, get, log_in

    boss, console = log_in(BOSS), reverse("sessions")
    export = reverse("session_export", kwargs={"public_id": LONG_SESSION, "format": "json"})
    return [
        partial(get, boss, console),
        partial(get, boss, console, q="the"),
        partial(get, boss, console, q=RARE_WORD),
        partial(get, boss, export),
        partial(get, boss, SEGMENTS),
        partial(get, boss, console, state="failed"),
    ]


def tidy() -> None:
    """Remove what a run leaves."""
    from transcription import services
    from transcription.models import TranscriptionSession

    left = TranscriptionSession.objects.filter(public_id__startswith=PREFIX)
    left.update(state="completed")
    for session in left:
        services.delete_session(session)


if __name__ == "__main__":
    sys.exit(main())
