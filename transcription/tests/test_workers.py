from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.db.models.functions import Now
from prometheus_client import REGISTRY

from transcription.errors import TranscriptionError
from transcription.models import TranscriptionSession, Worker
from transcription.storage.reaper import MAX_REAPED_AT_ONCE, ResumeBounds
from transcription.storage.store import Ending, Fenced, SessionHandle, Store
from transcription.tests.benches import TOKEN_DIGEST, resume
from transcription.tests.sessions import (
    Clock,
    ScriptedThreads,
    change_row,
    new_session,
    row_of,
    rows_of,
    segment,
    step,
)
from transcription.workers import StopRequest, WorkerRow, register

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[ScriptedThreads]:
    threads = ScriptedThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[tuple[str, StopRequest]]:
    return []


@pytest.fixture
def told_lost() -> list[tuple[SessionHandle, TranscriptionError]]:
    return []


@pytest.fixture
def make_row(
    threads: ScriptedThreads,
    clock: Clock,
    told: list[tuple[str, StopRequest]],
    told_lost: list[tuple[SessionHandle, TranscriptionError]],
) -> Callable[..., WorkerRow]:
    async def on_stop(public_id: str, request: StopRequest) -> None:
        told.append((public_id, request))

    async def on_lost(handle: SessionHandle, error: TranscriptionError) -> None:
        told_lost.append((handle, error))

    def make(held: Collection[SessionHandle] = ()) -> WorkerRow:
        return WorkerRow(
            uuid.uuid4(),
            threads=threads,
            on_stop=on_stop,
            on_lost=on_lost,
            held=lambda: held,
            bounds=ResumeBounds(window_s=600, session_s=1800),
            clock=clock,
        )

    return make


async def live_session(threads: ScriptedThreads, name: str, worker: WorkerRow, *, digest: str = "") -> Any:
    """A live session of a worker, with one segment; with a digest it can be resumed."""
    await threads.run(register, worker.id)
    store = Store(worker.id, threads=threads, max_sessions=1000)
    handle = await store.create(replace(new_session(name), resume_token_digest=digest))
    await store.commit(step(handle, segment(0), committed_bytes=32000))
    await store.aclose()
    return handle


def silence(worker_id: uuid.UUID, seconds: float) -> int:
    return Worker.objects.filter(pk=worker_id).update(heartbeat_at=Now() - timedelta(seconds=seconds))


async def reap_as_old_hand(row: WorkerRow, clock: Clock) -> int:
    """Reap with a process that has been beating for long enough."""
    await row.beat()
    clock.advance(21)
    return await row.reap()


async def test_it_registers_and_beats_by_the_databases_clock(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow]
) -> None:
    row = make_row()
    await row.beat()
    first = await threads.run(Worker.objects.get)
    assert (first.pk, first.started_at) == (row.id, first.heartbeat_at)
    await row.beat()
    assert (await threads.run(Worker.objects.get)).heartbeat_at > first.heartbeat_at


async def test_it_makes_its_row_again_if_it_was_removed(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow]
) -> None:
    row = make_row()
    await row.beat()
    await threads.run(lambda: Worker.objects.all().delete())
    await row.beat()
    assert await threads.run(Worker.objects.count) == 1


async def test_it_ends_sessions_of_a_silent_worker_and_keeps_their_text(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    lost, mine = make_row(), make_row()
    handle = await live_session(threads, "lost", lost)
    await threads.run(silence, lost.id, 21)
    before = REGISTRY.get_sample_value("speech_sessions_reaped_total") or 0
    assert await reap_as_old_hand(mine, clock) == 1
    row = await threads.run(row_of, "lost")
    assert (row.state, row.end_reason, row.audio_bytes, row.audio_ms) == ("interrupted", "worker_lost", 32000, 1000)
    assert row.started_at is not None
    assert row.ended_at is not None
    assert row.ended_at >= row.started_at
    assert len(await threads.run(rows_of, handle)) == 1
    assert REGISTRY.get_sample_value("speech_sessions_reaped_total") == before + 1
    assert await mine.reap() == 0


async def test_it_ends_sessions_whose_worker_is_missing(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    gone, mine = make_row(), make_row()
    await live_session(threads, "lost", gone)
    await gone.aclose()
    assert (await threads.run(row_of, "lost")).worker_id is None
    assert await reap_as_old_hand(mine, clock) == 1


async def test_it_leaves_sessions_of_beating_workers_alone(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    other, mine = make_row(), make_row()
    await live_session(threads, "theirs", other)
    await threads.run(silence, other.id, 15)
    assert await reap_as_old_hand(mine, clock) == 0
    assert (await threads.run(row_of, "theirs")).state == "live"


async def test_it_leaves_sessions_that_are_not_live_alone(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    lost, mine = make_row(), make_row()
    await live_session(threads, "done", lost)
    await threads.run(change_row, "done", state="completed")
    await threads.run(silence, lost.id, 100)
    assert await reap_as_old_hand(mine, clock) == 0


async def test_after_an_outage_of_the_database_nobody_is_reaped_until_all_could_beat(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    other, mine = make_row(), make_row()
    await live_session(threads, "theirs", other)
    await mine.beat()
    clock.advance(100)
    threads.before.append(OperationalError("the database is away"))
    with pytest.raises(OperationalError):
        await mine.beat()
    await threads.run(silence, other.id, 60)
    assert await mine.reap() == 0
    await other.beat()
    clock.advance(21)
    assert await mine.reap() == 0
    assert (await threads.run(row_of, "theirs")).state == "live"


async def test_a_process_that_slept_itself_reaps_nobody_on_waking(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    """A laptop that wakes: every heartbeat is old, and the monotonic clock stood still."""
    other, mine = make_row(), make_row()
    await live_session(threads, "theirs", other)
    await mine.beat()
    clock.advance(100)
    await threads.run(silence, other.id, 3600)
    await threads.run(silence, mine.id, 3600)
    assert await mine.reap() == 0


async def test_it_lets_go_of_own_sessions_whose_end_could_not_be_stored(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    mine = make_row()
    await live_session(threads, "forgotten", mine)
    await threads.run(change_row, "forgotten", started_at=Now() - timedelta(seconds=3600))
    assert await reap_as_old_hand(mine, clock) == 0  # it may have been taken up again this very moment
    assert await mine.reap() == 1


async def test_it_leaves_own_sessions_alone_that_it_holds(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    held: set[SessionHandle] = set()
    mine = make_row(held)
    held.add(await live_session(threads, "held", mine))
    await threads.run(change_row, "held", started_at=Now() - timedelta(seconds=3600))
    assert await reap_as_old_hand(mine, clock) == 0
    assert await mine.reap() == 0


async def test_a_reaped_session_takes_nothing_more_from_its_old_process(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    lost, mine = make_row(), make_row()
    handle = await live_session(threads, "lost", lost)
    await threads.run(silence, lost.id, 21)
    await reap_as_old_hand(mine, clock)
    store = Store(lost.id, threads=threads, max_sessions=10)
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(1)))
    with pytest.raises(Fenced):
        await store.finish(handle, Ending("completed", "client"))
    await store.aclose()


async def test_it_reaps_a_bounded_number_at_once(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    rows = [
        TranscriptionSession(public_id=f"s{number}", language="en-US", state="live", started_at=Now())
        for number in range(MAX_REAPED_AT_ONCE + 5)
    ]
    await threads.run(TranscriptionSession.objects.bulk_create, rows)
    mine = make_row()
    assert await reap_as_old_hand(mine, clock) == MAX_REAPED_AT_ONCE
    assert await mine.reap() == 5


async def test_it_deletes_sessions_made_an_hour_ago_and_never_started(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    def make(name: str, minutes: int, state: str) -> None:
        TranscriptionSession.objects.create(
            public_id=name, language="en-US", state=state, created_at=Now() - timedelta(minutes=minutes)
        )

    for name, minutes, state in (("old", 61, "created"), ("new", 59, "created"), ("done", 90, "completed")):
        await threads.run(make, name, minutes, state)
    await reap_as_old_hand(make_row(), clock)
    names = await threads.run(lambda: set(TranscriptionSession.objects.values_list("public_id", flat=True)))
    assert names == {"new", "done"}


async def test_it_forgets_rows_of_processes_long_gone(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    old, mine = make_row(), make_row()
    await live_session(threads, "theirs", old)
    await threads.run(change_row, "theirs", state="completed")
    await threads.run(silence, old.id, 3700)
    await reap_as_old_hand(mine, clock)
    assert [row.pk for row in await threads.run(lambda: list(Worker.objects.all()))] == [mine.id]
    assert (await threads.run(row_of, "theirs")).state == "completed"


async def test_row_31_a_lost_workers_session_is_detached_and_interrupted_when_nobody_resumes_it(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    lost, mine = make_row(), make_row()
    handle = await live_session(threads, "lost", lost, digest=TOKEN_DIGEST)
    await threads.run(silence, lost.id, 21)
    assert await reap_as_old_hand(mine, clock) == 1
    row = await threads.run(row_of, "lost")
    assert (row.state, row.end_reason, row.ended_at, row.epoch) == ("detached", "worker_lost", None, handle.epoch)
    assert row.detached_at is not None
    assert row.resume_until is not None
    assert row.resume_until - row.detached_at == timedelta(seconds=600)
    await threads.run(change_row, "lost", resume_until=Now())
    expired = REGISTRY.get_sample_value("speech_sessions_expired_total") or 0
    assert await mine.reap() == 0
    row = await threads.run(row_of, "lost")
    assert (row.state, row.end_reason, row.ended_at) == ("interrupted", "worker_lost", row.detached_at)
    assert len(await threads.run(rows_of, handle)) == 1
    assert REGISTRY.get_sample_value("speech_sessions_expired_total") == expired + 1


async def test_a_session_can_be_resumed_no_longer_than_it_may_last(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], clock: Clock
) -> None:
    lost, mine = make_row(), make_row()
    await live_session(threads, "lost", lost, digest=TOKEN_DIGEST)
    await threads.run(change_row, "lost", started_at=Now() - timedelta(seconds=1700))
    await threads.run(silence, lost.id, 21)
    await reap_as_old_hand(mine, clock)
    row = await threads.run(row_of, "lost")
    assert row.started_at is not None
    assert row.resume_until is not None
    assert row.resume_until - row.started_at == timedelta(seconds=1800)


async def test_it_tells_of_sessions_that_another_connection_has_taken(
    threads: ScriptedThreads,
    make_row: Callable[..., WorkerRow],
    told_lost: list[tuple[SessionHandle, TranscriptionError]],
) -> None:
    held: set[SessionHandle] = set()
    mine, other = make_row(held), make_row()
    kept = await live_session(threads, "kept", mine)
    taken = await live_session(threads, "taken", mine, digest=TOKEN_DIGEST)
    held.update((kept, taken))
    await mine.check_held()
    assert told_lost == []
    store = Store(other.id, threads=threads, max_sessions=1000)
    await threads.run(register, other.id)
    await store.take(resume("taken"))
    await mine.check_held()
    assert [(handle, error.code) for handle, error in told_lost] == [(taken, 4409)]
    await store.aclose()


async def test_a_stop_asked_for_before_the_session_was_taken_reaches_its_new_holder(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], told: list[tuple[str, StopRequest]]
) -> None:
    mine = make_row()
    await live_session(threads, "mine", mine, digest=TOKEN_DIGEST)
    await threads.run(change_row, "mine", stop_requested_at=Now())
    await mine.check_stops()
    store = Store(mine.id, threads=threads, max_sessions=1000)
    await store.take(resume("mine"))
    for _ in range(2):
        await mine.check_stops()
    assert told == [("mine", StopRequest("", ""))] * 2
    await store.aclose()


async def test_it_passes_on_each_stop_of_its_own_sessions_once(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow], told: list[tuple[str, StopRequest]]
) -> None:
    mine, other = make_row(), make_row()
    await live_session(threads, "mine", mine)
    await live_session(threads, "quiet", mine)
    await live_session(threads, "theirs", other)
    user = await threads.run(get_user_model().objects.create_user, "olga")
    for name in ("mine", "theirs"):
        await threads.run(change_row, name, stop_requested_at=Now(), stop_requested_by=user.pk, stop_reason="Enough")
    await mine.check_stops()
    await mine.check_stops()
    assert told == [("mine", StopRequest("Enough", "olga"))]


async def test_its_tasks_end_with_it_and_its_row_is_gone(
    threads: ScriptedThreads, make_row: Callable[..., WorkerRow]
) -> None:
    row = make_row()
    before = asyncio.all_tasks()
    await row.start()
    assert len(asyncio.all_tasks() - before) == 3
    await row.aclose()
    assert asyncio.all_tasks() == before
    assert await threads.run(Worker.objects.count) == 0
