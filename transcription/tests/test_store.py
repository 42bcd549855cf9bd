from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from transcription.errors import AtCapacity, InternalError, SessionTaken, StorageUnavailable
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.storage.store import Ending, Fenced, SessionHandle, Store
from transcription.tests.sessions import (
    Clock,
    Fault,
    ScriptedThreads,
    change_row,
    new_session,
    row_of,
    rows_of,
    segment,
    step,
)
from transcription.workers import register

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

MakeStore = Callable[..., Store]
GONE = OperationalError("the connection is gone")


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[ScriptedThreads]:
    threads = ScriptedThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
async def store(threads: ScriptedThreads) -> AsyncIterator[Store]:
    worker_id = uuid.uuid4()
    await threads.run(register, worker_id)
    store = Store(worker_id, threads=threads, max_sessions=10)
    yield store
    await store.aclose()


@pytest.fixture
async def handle(store: Store) -> SessionHandle:
    return await store.create(new_session("first"))


def script(threads: ScriptedThreads, *, before: Iterable[Fault] = (), after: Iterable[Fault] = ()) -> ScriptedThreads:
    threads.before.extend(before)
    threads.after.extend(after)
    threads.ran.clear()
    return threads


async def test_it_stores_segments_and_moves_the_watermark(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    words = [{"word": "hello", "start_ms": 0, "end_ms": 400}, {"word": "world", "start_ms": 400, "end_ms": 900}]
    first = segment(0, words=words, confidence=0.9, speaker="1", language="en-US", channel=0)
    await store.commit(step(handle, first, segment(1, "and again"), committed_bytes=64000))
    row = await threads.run(row_of, "first")
    assert (row.next_seq, row.segment_count, row.word_count, row.committed_bytes) == (2, 2, 4, 64000)
    stored = await threads.run(lambda: row.segments.get(index=0))
    assert (stored.text, stored.asr_text, stored.words) == ("hello world", "hello world", words)
    assert (stored.confidence, stored.speaker, stored.channel) == (0.9, "1", 0)
    assert (stored.epoch, stored.tail, stored.promoted, stored.reviewed) == (handle.epoch, False, False, False)
    assert row.started_at is not None
    assert abs((stored.created_at - row.started_at).total_seconds()) < 60


async def test_silence_moves_the_watermark_alone(store: Store, threads: ScriptedThreads, handle: SessionHandle) -> None:
    await store.commit(step(handle, committed_bytes=32000))
    row = await threads.run(row_of, "first")
    assert (row.next_seq, row.committed_bytes) == (0, 32000)


async def test_the_watermark_never_moves_back(store: Store, threads: ScriptedThreads, handle: SessionHandle) -> None:
    await store.commit(step(handle, committed_bytes=32000))
    await store.commit(step(handle, segment(0), committed_bytes=16000))
    assert (await threads.run(row_of, "first")).committed_bytes == 32000


async def test_steps_of_many_sessions_go_in_one_group(store: Store, threads: ScriptedThreads) -> None:
    handles = [await store.create(new_session(f"s{number}")) for number in range(10)]
    script(threads)
    await asyncio.gather(*(store.commit(step(each, segment(0))) for each in handles))
    assert threads.ran == ["commit_group"]
    assert [len(await threads.run(rows_of, each)) for each in handles] == [1] * 10


async def test_steps_of_one_session_keep_their_order(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    await asyncio.gather(*(store.commit(step(handle, segment(index, f"text {index}"))) for index in range(20)))
    assert [text for _, _, text in await threads.run(rows_of, handle)] == [f"text {n}" for n in range(20)]


async def test_a_step_committed_twice_is_stored_once(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    first = step(handle, segment(0), segment(1), committed_bytes=100)
    await store.commit(first)
    await store.commit(first)
    await store.commit(step(handle, segment(2), committed_bytes=200))
    await store.commit(first)
    assert [index for index, _, _ in await threads.run(rows_of, handle)] == [0, 1, 2]
    row = await threads.run(row_of, "first")
    assert (row.next_seq, row.word_count, row.committed_bytes) == (3, 6, 200)


async def test_a_commit_whose_reply_is_lost_counts_and_is_stored_once(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    script(threads, after=[GONE, GONE])
    await store.commit(step(handle, segment(0)))
    await store.commit(step(handle, segment(1)))
    assert len(await threads.run(rows_of, handle)) == 2
    assert threads.ran.count("commit_group") == 4


async def test_a_commit_is_tried_until_the_database_is_back(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    script(threads, before=[GONE, TimeoutError(), GONE])
    await store.commit(step(handle, segment(0)))
    assert len(await threads.run(rows_of, handle)) == 1


async def test_an_old_epoch_is_fenced_even_where_its_next_segment_would_fit(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    """The interleaving that `next_seq` alone does not catch: the taker has stored nothing yet."""
    await store.commit(step(handle, segment(0, "ours")))
    await threads.run(change_row, "first", epoch=handle.epoch + 1)
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(1, "too late")))
    with pytest.raises(Fenced):
        await store.commit(step(handle, seq=1, committed_bytes=99))
    row = await threads.run(row_of, "first")
    assert (row.next_seq, row.segment_count, row.committed_bytes) == (1, 1, 0)
    assert await threads.run(rows_of, handle) == [(0, handle.epoch, "ours")]


async def test_a_repeated_step_is_not_taken_for_the_new_holders_segment(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    await threads.run(change_row, "first", epoch=handle.epoch + 1)
    taker = SessionHandle(handle.pk, "first", handle.epoch + 1, 0, 0, handle.created_at)
    await store.commit(step(taker, segment(0, "theirs")))
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(0, "ours")))
    assert await threads.run(rows_of, handle) == [(0, taker.epoch, "theirs")]


async def test_a_step_stored_before_the_session_was_taken_counts_as_stored(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    await store.commit(step(handle, segment(0)))
    await threads.run(change_row, "first", epoch=handle.epoch + 1)
    await store.commit(step(handle, segment(0)))
    assert len(await threads.run(rows_of, handle)) == 1


async def test_an_ended_session_takes_nothing_more(store: Store, handle: SessionHandle) -> None:
    await store.finish(handle, Ending("completed", "client"))
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(0)))


async def test_a_deleted_session_is_fenced(store: Store, threads: ScriptedThreads, handle: SessionHandle) -> None:
    await threads.run(lambda: TranscriptionSession.objects.all().delete())
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(0)))


@pytest.mark.parametrize(
    "bad",
    [
        segment(0, start_ms=-5),
        segment(0, words=[{"word": "x", "confidence": float("nan")}]),
        segment(0, end_ms=2**70),
        segment(0, "lone \ud800 surrogate"),
    ],
    ids=["negative", "nan", "huge", "surrogate"],
)
async def test_one_sessions_bad_step_does_not_hurt_the_others(store: Store, threads: ScriptedThreads, bad: Any) -> None:
    handles = [await store.create(new_session(f"s{number}")) for number in range(4)]
    script(threads)
    results = await asyncio.gather(
        store.commit(step(handles[0], segment(0))),
        store.commit(step(handles[1], bad)),
        store.commit(step(handles[2], segment(0))),
        store.commit(step(handles[3], segment(0))),
        return_exceptions=True,
    )
    assert threads.ran[0] == "commit_group"
    assert isinstance(results[1], InternalError)
    assert results[1].__cause__ is None
    assert [results[0], results[2], results[3]] == [None, None, None]
    assert [len(await threads.run(rows_of, each)) for each in handles] == [1, 0, 1, 1]


async def test_one_fenced_session_does_not_hurt_the_others(store: Store, threads: ScriptedThreads) -> None:
    handles = [await store.create(new_session(f"s{number}")) for number in range(3)]
    await threads.run(change_row, "s1", epoch=99)
    results = await asyncio.gather(*(store.commit(step(each, segment(0))) for each in handles), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Fenced, type(None)]


async def test_a_session_whose_row_is_locked_is_stored_once_it_is_free(store: Store, threads: ScriptedThreads) -> None:
    """On PostgreSQL the others go on meanwhile; SQLite locks the whole file."""
    locked, free = await store.create(new_session("locked")), await store.create(new_session("free"))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            TranscriptionSession.objects.select_for_update().get(pk=locked.pk)
            held.set()
            release.wait(30)

    holder = asyncio.create_task(threads.run(hold))
    await asyncio.to_thread(held.wait, 30)
    commits = [asyncio.create_task(store.commit(step(each, segment(0)))) for each in (locked, free)]
    if connection.vendor == "postgresql":
        await commits[1]
        assert not commits[0].done()
    release.set()
    await asyncio.gather(holder, *commits)
    assert [len(await threads.run(rows_of, each)) for each in (locked, free)] == [1, 1]


async def test_a_cancelled_commit_is_stored_all_the_same(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    commit = asyncio.create_task(store.commit(step(handle, segment(0))))
    await asyncio.sleep(0)
    commit.cancel()
    await store.finish(handle, Ending("completed", "client"))
    assert len(await threads.run(rows_of, handle)) == 1


async def test_it_gives_up_when_the_database_stays_away(threads: ScriptedThreads) -> None:
    clock = Clock()
    broken = ScriptedThreads(before=[GONE] * 100, failed=lambda: clock.advance(61))
    store = Store(None, threads=broken, max_sessions=10, clock=clock)
    good = Store(None, threads=threads, max_sessions=10)
    handle = await good.create(new_session("first"))
    with pytest.raises(StorageUnavailable):
        await store.commit(step(handle, segment(0)))
    with pytest.raises(StorageUnavailable):
        await store.finish(handle, Ending("completed", "client"))
    with pytest.raises(StorageUnavailable):
        await store.opened(handle, recogniser="r", model="m", applied={})
    with pytest.raises(AtCapacity) as refused:
        await store.create(new_session("second"))
    assert (refused.value.reason, refused.value.retryable) == ("storage_unavailable", True)
    assert refused.value.retry_after_ms is not None
    await store.aclose()
    await broken.aclose()


async def test_it_takes_no_more_steps_than_its_bound(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    release = threading.Event()
    blockers = [asyncio.create_task(threads.run(release.wait, 30)) for _ in range(threads.size)]
    await asyncio.sleep(0)
    commits = [asyncio.create_task(store.commit(step(handle, seq=0, committed_bytes=n))) for n in range(500)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable):
        await store.commit(step(handle, seq=0, committed_bytes=501))
    release.set()
    await asyncio.gather(*blockers, *commits)
    assert (await threads.run(row_of, "first")).committed_bytes == 499


async def test_it_notes_which_recogniser_listens(store: Store, threads: ScriptedThreads, handle: SessionHandle) -> None:
    await store.opened(handle, recogniser="127.0.0.1:50051", model="m", applied={"language": "en-US"})
    row = await threads.run(row_of, "first")
    assert (row.recogniser, row.model, row.options_applied) == ("127.0.0.1:50051", "m", {"language": "en-US"})


async def test_it_ends_a_session_with_its_figures(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    ending = Ending("completed", "client", "Bye " * 300, 64000, 2000, 700, 300, 500)
    await store.finish(handle, ending)
    await store.finish(handle, ending)
    row = await threads.run(row_of, "first")
    assert (row.state, row.end_reason, row.audio_bytes, row.audio_ms) == ("completed", "client", 64000, 2000)
    assert (row.first_interim_ms, row.final_lag_p50_ms, row.final_lag_p95_ms) == (700, 300, 500)
    assert row.started_at is not None
    assert row.ended_at is not None
    assert row.ended_at >= row.started_at
    assert store.held_sessions() == frozenset()


async def test_it_does_not_end_a_session_that_was_taken(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    await threads.run(change_row, "first", epoch=handle.epoch + 1)
    with pytest.raises(Fenced):
        await store.finish(handle, Ending("completed", "client"))
    assert (await threads.run(row_of, "first")).state == "live"


async def test_it_gives_the_options_of_a_made_session_to_its_owner_alone(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    await threads.run(change_row, "first", state="created", options_asked={"language": "de-DE"})
    mine, other = Principal("local", label="local"), Principal("user", user_id=1)
    assert await store.created_config("first", mine) == {"language": "de-DE"}
    assert await store.created_config("first", other) is None
    assert await store.created_config("unknown", mine) is None


async def test_a_start_whose_reply_is_lost_is_found_again(store: Store, threads: ScriptedThreads) -> None:
    script(threads, after=[GONE])
    handle = await store.create(new_session("first"))
    assert threads.ran == ["admit", "admit"]
    assert (await threads.run(row_of, "first")).epoch == handle.epoch == 1


async def test_the_same_id_cannot_start_twice(store: Store, handle: SessionHandle) -> None:
    with pytest.raises(SessionTaken):
        await store.create(new_session("first"))


async def test_the_same_id_starts_once_of_two_at_the_same_time(store: Store) -> None:
    results = await asyncio.gather(*(store.create(new_session("first")) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["SessionHandle", "SessionTaken"]


async def test_a_start_that_nobody_waits_for_is_undone(store: Store, threads: ScriptedThreads) -> None:
    held, release = threading.Event(), threading.Event()

    class Late(ScriptedThreads):
        """Its jobs finish, but their results come late."""

        async def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            result = await super().run(function, *args, **kwargs)
            held.set()
            await asyncio.to_thread(release.wait, 30)
            return result

    late = Late()
    other = Store(None, threads=late, max_sessions=10)
    start = asyncio.create_task(other.create(new_session("left")))
    await asyncio.to_thread(held.wait, 30)
    assert (await threads.run(row_of, "left")).state == "live"
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    release.set()
    await other.aclose()
    row = await threads.run(row_of, "left")
    assert (row.state, row.end_reason) == ("failed", "abandoned")
    assert other.held_sessions() == frozenset()
    await late.aclose()


async def test_what_waits_is_stored_before_it_closes(
    store: Store, threads: ScriptedThreads, handle: SessionHandle
) -> None:
    commit = asyncio.create_task(store.commit(step(handle, segment(0))))
    await asyncio.sleep(0)
    await store.aclose()
    await commit
    with pytest.raises(StorageUnavailable):
        await store.commit(step(handle, segment(1)))
    assert len(await threads.run(rows_of, handle)) == 1
