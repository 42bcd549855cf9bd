from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection

from transcription.storage.database_threads import DatabaseThreads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads(size=1)
    yield threads
    await threads.aclose()


def _query() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return id(connection.connection)


def _query_and_fail() -> None:
    _query()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM nowhere")


async def test_the_database_is_the_one_that_was_asked_for(threads: DatabaseThreads) -> None:
    """Otherwise a run meant for PostgreSQL would pass on SQLite and say nothing."""
    url = os.environ.get("TEST_DATABASE_URL", "sqlite://")
    assert await threads.run(lambda: connection.vendor) == urlsplit(url).scheme


async def test_it_keeps_its_connection_between_jobs(threads: DatabaseThreads) -> None:
    assert await threads.run(_query) == await threads.run(_query)


async def test_it_never_works_on_the_thread_of_the_event_loop(threads: DatabaseThreads) -> None:
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_its_connection_is_not_taken_from_the_pool(threads: DatabaseThreads) -> None:
    await threads.run(_query)
    assert await threads.run(lambda: getattr(connection, "pool", None)) is None


async def test_it_closes_a_connection_in_doubt(threads: DatabaseThreads) -> None:
    with pytest.raises(Exception, match="nowhere"):
        await threads.run(_query_and_fail)
    assert await threads.run(lambda: connection.connection) is None
    assert await threads.run(_query)


async def test_it_closes_a_connection_whose_error_the_job_swallowed(threads: DatabaseThreads) -> None:
    def swallow() -> None:
        with pytest.raises(Exception, match="nowhere"):
            _query_and_fail()

    await threads.run(swallow)
    assert await threads.run(lambda: connection.connection) is None


async def test_it_closes_an_idle_connection() -> None:
    closed = threading.Event()

    class Watched(DatabaseThreads):
        def _close_idle(self) -> None:
            super()._close_idle()
            closed.set()

    threads = Watched(size=1, idle_s=0.01)
    await threads.run(_query)
    await asyncio.to_thread(closed.wait, 30)
    assert await threads.run(lambda: connection.connection) is None
    await threads.aclose()


async def test_a_cancelled_wait_lets_the_job_finish(threads: DatabaseThreads) -> None:
    begun, go, finished = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        go.wait(30)
        finished.set()

    task = asyncio.create_task(threads.run(job))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await threads.run(finished.is_set)


async def test_a_job_that_did_not_begin_in_time_never_runs(threads: DatabaseThreads) -> None:
    go, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(threads.run(go.wait, 30))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await threads.run(ran.set, timeout_s=0.01)
    go.set()
    assert await first
    await threads.run(_query)
    assert not ran.is_set()


async def test_what_a_job_raises_reaches_its_caller_alone(threads: DatabaseThreads) -> None:
    def fail() -> None:
        raise OperationalError("gone")

    with pytest.raises(OperationalError, match="gone"):
        await threads.run(fail)
    assert await threads.run(_query)


async def test_it_runs_jobs_side_by_side() -> None:
    threads = DatabaseThreads(size=4)
    meeting = threading.Barrier(4, timeout=30)
    await asyncio.gather(*(threads.run(meeting.wait) for _ in range(4)))
    await threads.aclose()


async def test_it_takes_nothing_more_once_closed(threads: DatabaseThreads) -> None:
    await threads.aclose()
    with pytest.raises(RuntimeError):
        await threads.run(_query)


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancellation_is_never_forgotten_however_late_it_comes(threads: DatabaseThreads, turns: int) -> None:
    """Whoever waits may loop: who is cancelled and does not end would keep the process from ending."""
    may_end = threading.Event()
    waiting = asyncio.create_task(threads.run(may_end.wait, timeout_s=30))
    await asyncio.sleep(0)
    may_end.set()
    # A job behind it: once that runs the first one's result is on its way to the loop.
    ran = threading.Event()
    following = asyncio.create_task(threads.run(ran.set))
    await asyncio.sleep(0)
    assert ran.wait(30)
    for _ in range(turns):
        await asyncio.sleep(0)
    is_cancelled = waiting.cancel()
    await asyncio.wait([waiting, following])
    assert waiting.cancelled() is is_cancelled


async def test_the_thread_that_was_busy_last_takes_the_next_job() -> None:
    threads = DatabaseThreads(size=2)
    meeting = threading.Barrier(2, timeout=30)
    await asyncio.gather(*(threads.run(meeting.wait) for _ in range(2)))
    idents = {await threads.run(threading.get_ident) for _ in range(10)}
    await threads.aclose()
    assert len(idents) == 1


async def test_jobs_that_wait_for_a_thread_are_done_in_their_order(threads: DatabaseThreads) -> None:
    go = threading.Event()
    done: list[int] = []
    first = asyncio.create_task(threads.run(go.wait, 30))
    others = [asyncio.create_task(threads.run(done.append, number)) for number in range(5)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *others)
    assert done == [0, 1, 2, 3, 4]
