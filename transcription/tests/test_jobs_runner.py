"""The runner: due work is done, within bounds, and given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.db.models.functions import Now

from transcription.files.models import FileJob
from transcription.jobs.kind import Lease, Outcome, retry_s
from transcription.jobs.runner import Runner
from transcription.storage.database_threads import DatabaseThreads
from transcription.tests.test_jobs_leases import make_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

PATIENCE_S = 30.0


class ScriptedKind:
    """Does what it is given with each row. begun, cancelled: names of rows, in order."""

    name = "scripted"
    look_every_s = 0.0

    def __init__(
        self, work: Callable[[FileJob, Lease], Awaitable[Outcome]], *, at_once: int = 2, grace_s: float = 0.0
    ) -> None:
        self.at_once, self.grace_s = at_once, grace_s
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.news = asyncio.Event()
        self._work = work

    def rows(self) -> QuerySet[FileJob]:
        return FileJob.objects.all()

    async def work(self, row: FileJob, lease: Lease) -> Outcome:
        self.begun.append(row.pk)
        self.news.set()
        try:
            return await self._work(row, lease)
        except asyncio.CancelledError:
            self.cancelled.append(row.pk)
            self.news.set()
            raise

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.news.clear()
                await self.news.wait()


async def done(_row: FileJob, _lease: Lease) -> Outcome:
    return Outcome({"state": "completed"})


async def for_ever(_row: FileJob, _lease: Lease) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads(size=1)
    yield threads
    await threads.aclose()


async def test_everything_due_is_done_never_more_at_once_than_allowed(threads: DatabaseThreads) -> None:
    running = most = 0

    async def work(_row: FileJob, _lease: Lease) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Outcome({"state": "completed"})

    for _ in range(5):
        await threads.run(make_job)
    runner = Runner([ScriptedKind(work, at_once=2)])

    assert await runner.run_once() == 5
    await runner.aclose()
    assert await threads.run(lambda: set(FileJob.objects.values_list("state", "due_at"))) == {("completed", None)}
    assert most == 2


async def test_what_is_to_be_tried_again_is_due_later(threads: DatabaseThreads) -> None:
    async def again(_row: FileJob, _lease: Lease) -> Outcome:
        return Outcome(due_in_s=60.0)

    await threads.run(make_job)
    runner = Runner([ScriptedKind(again)])

    assert await runner.run_once() == 1
    await runner.aclose()
    later = Now() + timedelta(seconds=30)
    assert await threads.run(lambda: FileJob.objects.filter(due_at__gt=later, attempts=1).count()) == 1


async def test_a_bug_in_the_work_is_tried_again_and_harms_no_other(threads: DatabaseThreads) -> None:
    async def fail(row: FileJob, _lease: Lease) -> Outcome:
        if row.file_name == "bad":
            raise ZeroDivisionError
        return Outcome({"state": "completed"})

    bad = await threads.run(make_job, due_in_s=-9.0, file_name="bad")
    good = await threads.run(make_job)
    runner = Runner([ScriptedKind(fail, at_once=1)])

    await runner.run_once()
    await runner.aclose()
    await threads.run(bad.refresh_from_db)
    await threads.run(good.refresh_from_db)
    assert bad.due_at is not None
    assert (bad.lease_holder, bad.attempts, good.state) == (None, 1, "completed")


async def test_work_can_note_its_progress(threads: DatabaseThreads) -> None:
    async def progress(_row: FileJob, lease: Lease) -> Outcome:
        await lease.update(heard_ms=500)
        return Outcome()

    job = await threads.run(make_job)
    runner = Runner([ScriptedKind(progress)])
    await runner.run_once()
    await runner.aclose()

    await threads.run(job.refresh_from_db)
    assert job.heard_ms == 500


async def test_a_runner_that_is_closed_gives_back_what_is_not_done(threads: DatabaseThreads) -> None:
    job = await threads.run(make_job)
    kind = ScriptedKind(for_ever)
    runner = Runner([kind])
    runner.start()
    await kind.until(lambda: kind.begun == [job.pk])

    await runner.aclose()

    await threads.run(job.refresh_from_db)
    assert kind.cancelled == [job.pk]
    assert (job.lease_holder, job.attempts, job.state) == (None, 0, "queued")
    other = Runner([ScriptedKind(done)])
    assert await other.run_once() == 1
    await other.aclose()


async def test_work_that_has_begun_may_end_within_its_grace(threads: DatabaseThreads) -> None:
    go = asyncio.Event()

    async def wait(_row: FileJob, _lease: Lease) -> Outcome:
        await go.wait()
        return Outcome({"state": "completed"})

    job = await threads.run(make_job)
    kind = ScriptedKind(wait, grace_s=PATIENCE_S)
    runner = Runner([kind])
    runner.start()
    await kind.until(lambda: kind.begun == [job.pk])

    closing = asyncio.create_task(runner.aclose())
    await asyncio.sleep(0)
    go.set()
    await closing

    await threads.run(job.refresh_from_db)
    assert (kind.cancelled, job.state) == ([], "completed")


async def test_work_whose_lease_was_lost_is_cancelled(threads: DatabaseThreads) -> None:
    job = await threads.run(make_job)
    kind = ScriptedKind(for_ever)
    runner = Runner([kind])
    runner.start()
    await kind.until(lambda: kind.begun == [job.pk])

    await threads.run(lambda: FileJob.objects.update(lease_holder=None, due_at=None))
    await runner.beat()
    await kind.until(lambda: kind.cancelled == [job.pk])

    await runner.aclose()
    await threads.run(job.refresh_from_db)
    assert job.due_at is None


async def test_a_beat_keeps_the_lease(threads: DatabaseThreads) -> None:
    job = await threads.run(make_job)
    kind = ScriptedKind(for_ever)
    runner = Runner([kind], lease_s=600.0)
    runner.start()
    await kind.until(lambda: kind.begun == [job.pk])
    await threads.run(lambda: FileJob.objects.update(lease_until=Now()))

    await runner.beat()

    assert await threads.run(lambda: FileJob.objects.filter(lease_until__gt=Now()).exists())
    await runner.aclose()


async def test_it_looks_at_once_when_woken(threads: DatabaseThreads) -> None:
    kind = ScriptedKind(done)
    runner = Runner([kind], look_every_s=3600.0)
    runner.start()
    job = await threads.run(make_job)

    runner.wake()

    await kind.until(lambda: kind.begun == [job.pk])
    await runner.aclose()


class LookedForKind(ScriptedKind):
    """Has nothing to do, and counts how often it was looked for."""

    def __init__(self, name: str, look_every_s: float) -> None:
        super().__init__(done)
        self.name, self.look_every_s = name, look_every_s
        self.looks = 0
        self._loop = asyncio.get_running_loop()

    def rows(self) -> QuerySet[FileJob]:
        self.looks += 1
        self._loop.call_soon_threadsafe(self.news.set)
        return FileJob.objects.none()


async def test_a_kind_that_wants_it_is_looked_for_more_seldom_but_when_woken(transactional_db: None) -> None:
    often, seldom = LookedForKind("often", 0.0), LookedForKind("seldom", 3600.0)
    runner = Runner([often, seldom], look_every_s=0.01)
    runner.start()
    await often.until(lambda: often.looks >= 3)
    assert seldom.looks == 1

    runner.wake()

    await seldom.until(lambda: seldom.looks == 2)
    await runner.aclose()


async def test_a_process_that_drains_begins_nothing(threads: DatabaseThreads) -> None:
    await threads.run(make_job)
    runner = Runner([ScriptedKind(done)], may_begin=lambda: False)

    assert await runner.run_once() == 0
    await runner.aclose()


def test_waits_grow_to_a_bound() -> None:
    assert [retry_s(attempts) for attempts in (0, 1, 2, 3, 50)] == [5.0, 5.0, 10.0, 20.0, 600.0]
