"""Faults of the database and of processes, one by one, as the store meets them.

What takes seconds of a database that is really away is for the chaos run.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from speechsite.tests.served import wait_for
from transcription.errors import AtCapacity, InternalError, NothingToResume, StorageUnavailable
from transcription.identity.principals import Principal
from transcription.limits.admission import Places
from transcription.models import TranscriptionSession, Worker
from transcription.storage import takeover
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.reaper import release_lost
from transcription.storage.steps import Ending, Fenced, Resume, SessionHandle, Taken
from transcription.storage.store import END_AFTER_OUTAGE_TIMEOUT_S, Store
from transcription.tests.benches import BOUNDS, TOKEN_DIGEST, resume
from transcription.tests.sessions import (
    Clock,
    ScriptedThreads,
    new_session,
    row_of,
    rows_of,
    segment,
    step,
)
from transcription.workers import WorkerRow, register

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

GONE = OperationalError("the connection is gone")


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[ScriptedThreads]:
    threads = ScriptedThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
async def make_store(threads: ScriptedThreads) -> AsyncIterator[Callable[..., Any]]:
    """Stores as of processes of their own, each with its worker row."""
    stores = []

    async def make(others: DatabaseThreads | None = None, **options: Any) -> Store:
        worker_id = uuid.uuid4()
        await threads.run(register, worker_id)
        store = Store(worker_id, threads=others or threads, max_sessions=500, **options)
        stores.append(store)
        return store

    yield make
    for store in stores:
        await store.aclose()


async def start(store: Store, name: str = "first") -> SessionHandle:
    return await store.create(replace(new_session(name), resume_token_digest=TOKEN_DIGEST))


def count(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_row_20_finals_are_stored_when_the_database_is_back(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    store = await make_store()
    handles = [await start(store, f"s{number}") for number in range(50)]
    threads.before.extend([GONE] * 5)
    await asyncio.gather(*(store.commit(step(each, segment(0), committed_bytes=3200)) for each in handles))
    assert [len(await threads.run(rows_of, each)) for each in handles] == [1] * 50


async def test_row_21_a_session_of_a_silent_database_is_detached_and_resumed(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """Neither the last finals nor the end could be stored: the row stays live until a reaper comes."""
    clock = Clock()
    broken = ScriptedThreads(before=[GONE] * 100, failed=lambda: clock.advance(61))
    good = await make_store()
    handle = await start(good)
    await good.commit(step(handle, segment(0), committed_bytes=3200))
    away = Store(None, threads=broken, max_sessions=10, clock=clock)
    for write in (away.commit(step(handle, segment(1))), away.finish(handle, Ending("detached", "client_lost"))):
        with pytest.raises(StorageUnavailable) as refused:
            await write
        assert (refused.value.code, refused.value.retryable) == (4507, True)
    assert (await threads.run(row_of, "first")).state == "live"
    assert await threads.run(release_lost, {(handle.pk, handle.epoch)}, BOUNDS) == 1
    taken = await good.take(resume())
    assert (taken.handle.next_seq, taken.handle.committed_bytes) == (1, 3200)
    await away.aclose()
    await broken.aclose()


async def test_the_client_of_a_silent_database_hears_of_it_soon(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """What could not be committed for a minute is not waited for another one, while its client keeps its audio."""
    clock = Clock()
    broken = ScriptedThreads(before=[GONE] * 100, failed=lambda: clock.advance(2))
    handle = await start(await make_store())
    away = Store(None, threads=broken, max_sessions=10, clock=clock)
    began = clock.now
    with pytest.raises(StorageUnavailable):
        await away.finish(handle, Ending("detached", "storage_unavailable"))
    assert clock.now - began <= 2 * END_AFTER_OUTAGE_TIMEOUT_S
    await away.aclose()
    await broken.aclose()


async def test_row_22_a_start_and_a_take_over_are_refused_while_the_database_is_away(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    clock = Clock()
    broken = ScriptedThreads(before=[GONE] * 100, failed=lambda: clock.advance(6))
    store = Store(None, threads=broken, max_sessions=10, clock=clock)
    for attempt in (start(store), store.take(resume())):
        with pytest.raises(AtCapacity) as refused:
            await attempt
        assert (refused.value.code, refused.value.reason) == (4503, "storage_unavailable")
        assert refused.value.retry_after_ms is not None
    assert not await threads.run(TranscriptionSession.objects.exists)
    await store.aclose()
    await broken.aclose()


async def test_row_23_a_locked_sqlite_is_waited_for(threads: ScriptedThreads, make_store: Callable[..., Any]) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite locks the whole database.")
    store = await make_store()
    handles = [await start(store, f"s{number}") for number in range(10)]
    locked, release = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic():
            locked.set()
            release.wait(30)

    retries = count("speech_commit_retries_total")
    locker = asyncio.create_task(threads.run(lock))
    await asyncio.to_thread(locked.wait, 30)
    commits = [asyncio.create_task(store.commit(step(each, segment(0)))) for each in handles]
    detach = asyncio.create_task(store.finish(await start_in_time(store, release), Ending("completed", "client")))
    await asyncio.gather(locker, detach, *commits)
    assert [len(await threads.run(rows_of, each)) for each in handles] == [1] * 10
    assert count("speech_commit_retries_total") == retries


async def start_in_time(store: Store, release: threading.Event) -> SessionHandle:
    """A start that waits for the lock, which is released once it waits."""
    starting = asyncio.create_task(start(store, "waits"))
    await asyncio.sleep(0)
    release.set()
    return await starting


async def test_row_24_a_commit_whose_reply_was_lost_is_stored_once(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """100 commits of 20 sessions; the reply of every second group is lost."""
    store = await make_store()
    handles = [await start(store, f"s{number}") for number in range(20)]
    ambiguous = count("speech_commit_ambiguous_total")
    threads.after.extend([GONE, None] * 200)

    async def speak(handle: SessionHandle) -> None:
        for index in range(5):
            await store.commit(step(handle, segment(index, f"word {index}"), committed_bytes=index * 3200))

    await asyncio.gather(*map(speak, handles))
    threads.after.clear()
    for handle in handles:
        assert await threads.run(rows_of, handle) == [(n, 1, f"word {n}") for n in range(5)]
    assert count("speech_commit_ambiguous_total") > ambiguous


async def test_a_late_commit_does_not_take_the_tails_of_its_own_end_for_itself(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    store = await make_store()
    handle = await start(store)
    await store.finish(handle, Ending("detached", "client_lost", tails=(segment(0, tail=True),), resume_within_s=600))
    with pytest.raises(InternalError) as refused:
        await store.commit(step(handle, segment(0)))
    assert refused.value.reason == "detached"


async def test_row_24_a_connection_that_ends_after_the_commit_loses_and_doubles_nothing(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """As above with the real thing: PostgreSQL ends the connection before it has answered."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connection to lose.")
    ending = EndingConnections()
    store = await make_store(ending)
    handle = await start(store)
    for index in range(5):
        ending.is_next_cut = True
        await store.commit(step(handle, segment(index, f"word {index}")))
    ending.is_next_cut = True
    taken = await store.take(resume())
    assert (ending.cuts, taken.handle.epoch, taken.handle.next_seq) == (6, 2, 5)
    assert await threads.run(rows_of, handle) == [(n, 1, f"word {n}") for n in range(5)]
    await store.aclose()
    await ending.aclose()


class EndingConnections(DatabaseThreads):
    """Threads whose server ends the connection once a job is done, where asked."""

    def __init__(self) -> None:
        super().__init__(4)
        self.is_next_cut = False
        self.cuts = 0

    async def run(self, function: Any, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        def do_and_end() -> Any:
            function(*args, **kwargs)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        if self.is_next_cut:
            self.is_next_cut = False
            self.cuts += 1
            return await super().run(do_and_end, timeout_s=timeout_s)
        return await super().run(function, *args, timeout_s=timeout_s, **kwargs)


async def test_row_24_a_take_over_whose_reply_was_lost_finds_itself(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    store = await make_store()
    handle = await start(store)
    await store.commit(step(handle, segment(0), committed_bytes=3200))
    tails = (segment(1, tail=True), segment(2, tail=True))
    threads.after.append(GONE)
    ending = Ending("detached", "client_lost", tails=tails, flushed_bytes=6400, resume_within_s=600)
    await store.finish(handle, ending)
    assert len(await threads.run(rows_of, handle)) == 3
    threads.ran.clear()
    threads.after.extend([GONE, GONE])
    taken = await store.take(resume(held_from=5000))
    assert threads.ran == ["take"] * 3
    assert (taken.handle.epoch, taken.withdrawn, taken.gaps) == (2, True, ((3200, 5000),))
    row = await threads.run(row_of, "first")
    assert (row.epoch, row.gaps, row.segment_count) == (2, [[3200, 5000]], 1)


async def test_row_24_a_take_over_that_is_tried_again_does_not_take_from_a_newer_one(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    newer = await make_store()
    results: list[Taken] = []

    class Interrupted(ScriptedThreads):
        """Its first job gets through, its reply is lost, and the client's next connection is quicker."""

        async def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            result = await super().run(function, *args, **kwargs)
            if not results:
                results.append(await newer.take(resume()))
                raise GONE
            return result

    others = Interrupted()
    older = await make_store(others)
    await start(newer)
    with pytest.raises(Fenced):
        await older.take(resume())
    await newer.commit(step(results[0].handle, segment(0)))
    await others.aclose()


async def test_a_take_over_that_nobody_waits_for_is_rolled_back(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    store = await make_store()
    handle = await start(store)
    release = threading.Event()
    blocked = [asyncio.create_task(threads.run(release.wait, 30)) for _ in range(threads.size)]
    await asyncio.sleep(0)
    take = asyncio.create_task(store.take(resume()))
    await asyncio.sleep(0)
    take.cancel()
    with pytest.raises(asyncio.CancelledError):
        await take
    release.set()
    await asyncio.gather(*blocked)
    await store.aclose()
    assert (await threads.run(row_of, "first")).epoch == handle.epoch
    assert {held.epoch for held in store.held_sessions()} == {handle.epoch}


async def test_row_25_pages_that_exhaust_the_pool_do_not_reach_transcription(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no pool.")
    store = await make_store()
    handle = await start(store)
    release = threading.Event()
    places = connections["default"].settings_dict["OPTIONS"]["pool"]["max_size"]

    def slow_page() -> None:
        try:
            with suppress(OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                release.wait(30)
        finally:
            connection.close()

    def is_exhausted() -> bool:
        pool: Any = connections["default"]
        return bool(pool.pool.get_stats().get("requests_waiting"))

    # One more than there is room for, whoever else holds a place.
    pages = [threading.Thread(target=slow_page) for _ in range(places + 1)]
    for page in pages:
        page.start()
    try:
        await asyncio.to_thread(wait_for, is_exhausted, "a page waits for a connection")
        await store.commit(step(handle, segment(0)))
        await store.finish(handle, Ending("completed", "client"))
    finally:
        release.set()
        for page in pages:
            await asyncio.to_thread(page.join, 30)
    assert len(await threads.run(rows_of, handle)) == 1


async def test_row_29_a_full_disk_confirms_nothing_and_breaks_nothing(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """SQLite says that the disk is full where its file may not grow."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's disk cannot be filled from here.")
    disk = FullDisk()
    store = await make_store(disk)
    handle = await start(store)
    await disk.fill()
    await store.commit(step(handle, segment(0, "word " * 200_000), committed_bytes=3200))
    assert disk.refused > 0
    assert len(await threads.run(rows_of, handle)) == 1
    assert await threads.run(pragma, "integrity_check") == "ok"
    await store.aclose()
    await disk.aclose()


class FullDisk(DatabaseThreads):
    """A thread whose SQLite may not grow until it has refused a job."""

    def __init__(self) -> None:
        super().__init__(1)
        self.refused = 0

    async def fill(self) -> None:
        # Pages that earlier rows left free could still be filled.
        await super().run(vacuum)
        pages = await super().run(pragma, "page_count")
        await super().run(pragma, f"max_page_count = {pages}")

    async def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().run(function, *args, **kwargs)
        except OperationalError:
            self.refused += 1
            await super().run(pragma, "max_page_count = 1000000")
            raise


def vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")


def pragma(text: str) -> Any:
    with connection.cursor() as cursor:
        return cursor.execute(f"PRAGMA {text}").fetchone()[0]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_row_36_a_clock_that_jumps_reaps_nobody(
    threads: ScriptedThreads, make_store: Callable[..., Any], hours: int
) -> None:
    """Even the database's own: seen from it, all heartbeats and starts have moved."""
    clock = Clock()

    async def unexpected(*_: Any) -> None:
        raise AssertionError

    row = WorkerRow(
        uuid.uuid4(),
        threads=threads,
        on_stop=unexpected,
        on_lost=unexpected,
        held=lambda: (),
        bounds=BOUNDS,
        clock=clock,
    )
    await row.beat()
    clock.advance(21)
    assert await row.reap() == 0
    store = await make_store()
    await start(store)
    jump = timedelta(hours=hours)
    await threads.run(lambda: Worker.objects.update(heartbeat_at=F("heartbeat_at") + jump))
    await threads.run(lambda: TranscriptionSession.objects.update(started_at=F("started_at") + jump))
    assert await row.reap() == 0
    assert (await threads.run(row_of, "first")).state == "live"
    taken = await store.take(resume(max_age_s=3 * 3600))
    assert taken.age_s >= 0


async def test_row_37_a_commit_prepared_before_a_take_over_changes_nothing_after_it(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """The taker has stored nothing yet, so the next segment is still the one that the old holder expects.

    What would come of it without the epoch is in test_chaos_fence.py.
    """
    old, new = await make_store(), await make_store()
    handle = await start(old)
    await old.commit(step(handle, segment(0), committed_bytes=3200))
    prepared = [
        step(handle, segment(1, "too late"), committed_bytes=9600),
        step(handle, seq=1, committed_bytes=9600),
    ]
    taken = await new.take(resume())
    before = await threads.run(row_of, "first")
    fenced = count("speech_fenced_total")
    for late in prepared:
        with pytest.raises(Fenced) as refused:
            await old.commit(late)
        assert (refused.value.code, refused.value.retryable) == (4409, False)
    for end in (Ending("completed", "client"), Ending("detached", "client_lost", tails=(segment(1, tail=True),))):
        with pytest.raises(Fenced):
            await old.finish(handle, end)
    assert count("speech_fenced_total") >= fenced + 4
    after = await threads.run(row_of, "first")
    assert {f.attname: getattr(after, f.attname) for f in after._meta.concrete_fields} == {
        f.attname: getattr(before, f.attname) for f in before._meta.concrete_fields
    }
    await new.commit(step(taken.handle, segment(1, "in time"), committed_bytes=6400))
    assert await threads.run(rows_of, handle) == [(0, 1, "hello world"), (1, 2, "in time")]


async def test_row_37_of_two_holders_that_write_at_once_the_newer_goes_on_where_the_older_ended(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """Twenty sessions, taken while their old holder commits as fast as it can."""
    old, new = await make_store(), await make_store(DatabaseThreads(4))
    handles = [await start(old, f"s{number}") for number in range(20)]

    async def speak(store: Store, handle: SessionHandle, name: str, first: int, last: int) -> int:
        """How many segments were confirmed to this holder."""
        for index in range(first, last):
            try:
                await store.commit(step(handle, segment(index, name), committed_bytes=index * 3200))
            except Fenced:
                return index
        return last

    async def one(number: int, handle: SessionHandle) -> None:
        speaking = asyncio.create_task(speak(old, handle, "old", 0, 10_000))
        for _ in range(number):
            await asyncio.sleep(0)
        taken = await new.take(resume(handle.public_id))
        taker = taken.handle
        end = await speak(new, taker, "new", taker.next_seq, taker.next_seq + 5)
        assert await speaking == taker.next_seq
        expected = [(n, 1, "old") if n < taker.next_seq else (n, 2, "new") for n in range(end)]
        assert await threads.run(rows_of, handle) == expected

    await asyncio.gather(*(one(number, handle) for number, handle in enumerate(handles)))
    await new._threads.aclose()


def refuse(wrong: Resume) -> int:
    """How many queries it takes to say no."""
    with CaptureQueriesContext(connection) as queries, pytest.raises(NothingToResume):
        takeover.take(
            wrong, takeover.Attempt(uuid.uuid4()), worker_id=None, places=Places(5), abandoned=threading.Event()
        )
    return len(queries)


async def test_row_58_nothing_to_resume_costs_the_same_whatever_the_reason(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    store = await make_store()
    await start(store)
    wrong: dict[str, Resume] = {
        "unknown": resume("unknown"),
        "token": resume(token_digest="0" * 64),
        "owner": resume(principal=Principal("user", user_id=7)),
    }
    took: dict[str, list[float]] = {name: [] for name in wrong}
    for _ in range(30):
        for name, asked in wrong.items():
            began = time.perf_counter()
            with pytest.raises(NothingToResume):
                await store.take(asked)
            took[name].append(time.perf_counter() - began)
    medians_ms = {name: round(1000 * statistics.median(times), 2) for name, times in took.items()}
    print(f"row 58: refused after {medians_ms} ms")
    assert {await threads.run(refuse, asked) for asked in wrong.values()} == {1}


async def test_a_live_rows_lock_does_not_hold_up_other_starts(
    threads: ScriptedThreads, make_store: Callable[..., Any]
) -> None:
    """The old holder stands still inside its transaction; its session is being taken meanwhile."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole file.")
    store = await make_store()
    handle = await start(store)
    held, release = threading.Event(), threading.Event()

    def stand_still() -> None:
        with transaction.atomic():
            TranscriptionSession.objects.select_for_update().get(pk=handle.pk)
            held.set()
            release.wait(30)

    holder = asyncio.create_task(threads.run(stand_still))
    await asyncio.to_thread(held.wait, 30)
    take = asyncio.create_task(store.take(resume()))
    await asyncio.sleep(0)
    await start(store, "second")
    assert not take.done()
    release.set()
    await holder
    assert (await take).handle.epoch == handle.epoch + 1
