"""Taking sessions up again: the same rules in the database and in the store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from transcription.errors import (
    AtCapacity,
    BadMessage,
    InternalError,
    NothingToResume,
    SessionOver,
    SessionTaken,
    StoppedByOperator,
    TooFast,
)
from transcription.identity.principals import LOCAL, Principal
from transcription.storage.steps import Ending, Fenced, NewSegment
from transcription.tests.benches import Bench, DatabaseBench, MemoryBench, resume
from transcription.tests.sessions import ScriptedThreads, segment, step

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

MakeBench = Callable[..., Bench]
ANNA = Principal("user", user_id=1, label="anna")
BERT = Principal("user", user_id=2, label="bert")


@pytest.fixture(params=["database", "memory"])
async def make_bench(request: pytest.FixtureRequest, transactional_db: None) -> AsyncIterator[MakeBench]:
    threads = ScriptedThreads()
    benches: list[DatabaseBench] = []

    def make(max_sessions: int = 10, max_sessions_per_owner: int = 0) -> Bench:
        if request.param == "memory":
            return MemoryBench(max_sessions=max_sessions, max_sessions_per_owner=max_sessions_per_owner)
        bench = DatabaseBench(threads, max_sessions=max_sessions, max_sessions_per_owner=max_sessions_per_owner)
        benches.append(bench)
        return bench

    for who in (ANNA, BERT):
        await threads.run(get_user_model().objects.create_user, who.label, pk=who.user_id)
    yield make
    for bench in benches:
        await bench.database_store.aclose()
    await threads.aclose()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()


def tail(index: int, text: str = "cut off") -> NewSegment:
    return segment(index, text, tail=True)


def detached(*tails: NewSegment, audio_bytes: int = 6000, **changes: Any) -> Ending:
    values: dict[str, Any] = {"audio_bytes": audio_bytes, "tails": tails, "resume_within_s": 600.0} | changes
    return Ending("detached", "client_lost", **values)


async def test_a_detached_session_is_taken_with_the_next_epoch(bench: Bench) -> None:
    handle = await bench.start(language="de-DE")
    await bench.store.commit(step(handle, segment(0), committed_bytes=3200))
    await bench.store.finish(handle, detached())
    assert (await bench.facts()).state == "detached"
    taken = await bench.store.take(resume())
    assert (taken.handle.pk, taken.handle.epoch, taken.handle.next_seq) == (handle.pk, handle.epoch + 1, 1)
    assert (taken.handle.committed_bytes, taken.audio_bytes, taken.gaps) == (3200, 6000, ())
    assert (taken.asked, taken.applied["language"], taken.withdrawn) == ({"language": "de-DE"}, "de-DE", False)
    assert [(part.index, part.text) for part in taken.segments] == [(0, "hello world")]
    assert 0 <= taken.age_s < 60
    facts = await bench.facts()
    assert (facts.state, facts.reason, facts.epoch) == ("live", "", handle.epoch + 1)
    await bench.store.commit(step(taken.handle, segment(1), committed_bytes=6400))
    await bench.store.finish(taken.handle, Ending("completed", "client"))
    assert (await bench.facts()).state == "completed"


async def test_it_gives_the_segments_that_the_client_does_not_hold(bench: Bench) -> None:
    words = [{"word": "a", "start_ms": 0, "end_ms": 9}]
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), segment(1, "a", words=words), segment(2, "b c")))
    taken = await bench.store.take(resume(received_segments=1))
    assert [(part.index, part.text, part.words) for part in taken.segments] == [(1, "a", words), (2, "b c", [])]
    taken = await bench.store.take(resume(received_segments=None))
    assert [part.index for part in taken.segments] == [0, 1, 2]


async def test_tails_stand_until_the_session_is_taken_and_then_are_withdrawn(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), committed_bytes=3200))
    await bench.store.finish(handle, detached(tail(1), tail(2, "again"), flushed_bytes=6000))
    facts = await bench.facts()
    assert facts.segments == ((0, "hello world", False), (1, "cut off", True), (2, "again", True))
    assert (facts.committed_bytes, facts.flushed_bytes) == (3200, 6000)
    taken = await bench.store.take(resume(received_segments=1))
    assert (taken.withdrawn, taken.segments, taken.handle.next_seq) == (True, (), 1)
    facts = await bench.facts()
    assert (facts.segments, facts.flushed_bytes) == (((0, "hello world", False),), 0)
    await bench.store.commit(step(taken.handle, segment(1, "whole"), committed_bytes=6400))
    assert (await bench.facts()).segments == ((0, "hello world", False), (1, "whole", False))


async def test_finals_that_only_the_client_has_are_withdrawn(bench: Bench) -> None:
    """It was told them with durable false, and they were never stored."""
    await bench.start()
    assert (await bench.store.take(resume(received_segments=2))).withdrawn
    assert not (await bench.store.take(resume(received_segments=0))).withdrawn


async def test_an_end_with_tails_stored_twice_is_stored_once(bench: Bench) -> None:
    handle = await bench.start()
    ending = detached(tail(0), flushed_bytes=6000)
    for _ in range(2):
        await bench.store.finish(handle, ending)
    assert (await bench.facts()).segments == ((0, "cut off", True),)


async def test_tails_that_do_not_follow_are_left_out(bench: Bench) -> None:
    """The finals before them could not be stored: their audio comes again."""
    handle = await bench.start()
    await bench.store.finish(handle, detached(tail(3), flushed_bytes=6000))
    facts = await bench.facts()
    assert (facts.state, facts.segments, facts.flushed_bytes) == ("detached", (), 0)


def test_only_cut_off_ends_have_tails() -> None:
    with pytest.raises(ValueError, match="completed"):
        Ending("completed", "client", tails=(tail(0),))
    with pytest.raises(ValueError, match="tails"):
        Ending("detached", "client_lost", tails=(segment(0),))
    with pytest.raises(ValueError, match="segment 2"):
        Ending("detached", "client_lost", tails=(tail(0), tail(2)))


@pytest.mark.parametrize(
    ("held_from", "header", "gap"),
    [
        (3200, 0, None),
        (100, 0, None),
        (5000, 0, (3200, 5000)),
        (5001, 0, (3200, 5002)),
        (3244, 44, None),
        (5045, 44, (3200, 5002)),
    ],
)
async def test_audio_that_the_client_has_no_more_is_a_gap(
    bench: Bench, held_from: int, header: int, gap: tuple[int, int] | None
) -> None:
    handle = await bench.start()
    await bench.store.commit(replace(step(handle, committed_bytes=3200), header_bytes=header))
    taken = await bench.store.take(resume(held_from=held_from))
    assert (taken.gaps, taken.header_bytes) == ((gap,) if gap else (), header)
    assert taken.handle.committed_bytes == (gap[1] if gap else 3200)
    facts = await bench.facts()
    assert (facts.gaps, facts.committed_bytes) == (taken.gaps, taken.handle.committed_bytes)


async def test_tails_whose_audio_the_client_has_no_more_stand_for_good(bench: Bench) -> None:
    """16 kHz: 32 bytes a millisecond. Tails end at 1.9 s and 2.9 s; the flush had heard 3.5 s."""
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), committed_bytes=32_000))
    ending = detached(tail(1), tail(2, "again"), audio_bytes=112_000, flushed_bytes=112_000)
    await bench.store.finish(handle, ending)
    taken = await bench.store.take(resume(received_segments=3, held_from=128_000))
    assert (taken.withdrawn, taken.handle.next_seq, taken.gaps) == (False, 3, ((112_000, 128_000),))
    facts = await bench.facts()
    assert facts.segments == ((0, "hello world", False), (1, "cut off", False), (2, "again", False))
    assert facts.committed_bytes == 128_000


async def test_tails_that_can_be_said_again_are_withdrawn_all_the_same(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), committed_bytes=32_000))
    ending = detached(tail(1), tail(2, "again"), audio_bytes=112_000, flushed_bytes=112_000)
    await bench.store.finish(handle, ending)
    taken = await bench.store.take(resume(received_segments=3, held_from=64_000))
    assert (taken.withdrawn, taken.handle.next_seq) == (True, 2)
    assert taken.gaps == ((60_800, 64_000),), "from the end of the tail that stands"
    assert (await bench.facts()).segments == ((0, "hello world", False), (1, "cut off", False))


async def test_gaps_that_touch_are_one(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.commit(step(handle, committed_bytes=3200))
    await bench.store.take(resume(held_from=5000))
    taken = await bench.store.take(resume(held_from=6000))
    assert taken.gaps == ((3200, 6000),)
    await bench.store.commit(step(taken.handle, committed_bytes=8000))
    assert (await bench.store.take(resume(held_from=9000))).gaps == ((3200, 6000), (8000, 9000))


async def test_a_gap_cannot_be_longer_than_a_session(bench: Bench) -> None:
    await bench.start()
    with pytest.raises(BadMessage) as refused:
        await bench.store.take(resume(held_from=2**62))
    assert refused.value.field == "held_from"
    assert (await bench.facts()).epoch == 1


async def test_row_57_a_live_session_is_taken_from_its_older_connection(bench: Bench) -> None:
    older = await bench.start()
    await bench.store.commit(step(older, segment(0), committed_bytes=3200))
    taken = await bench.store.take(resume())
    with pytest.raises(Fenced) as fenced:
        await bench.store.commit(step(older, segment(1), committed_bytes=6400))
    assert (fenced.value.code, fenced.value.retryable) == (4409, False)
    with pytest.raises(Fenced):
        await bench.store.finish(older, detached(tail(1)))
    await bench.store.commit(step(taken.handle, segment(1, "newer"), committed_bytes=6400))
    assert (await bench.facts()).segments == ((0, "hello world", False), (1, "newer", False))


@pytest.mark.parametrize(
    "changes",
    [{"public_id": "unknown"}, {"token_digest": "0" * 64}, {"token_digest": ""}, {"principal": BERT}],
    ids=["unknown", "wrong token", "no token", "somebody else's"],
)
async def test_row_58_what_is_not_ones_own_is_not_there(bench: Bench, changes: dict[str, Any]) -> None:
    await bench.start(principal=ANNA)
    with pytest.raises(NothingToResume) as refused:
        await bench.store.take(resume(**({"principal": ANNA} | changes)))
    assert str(refused.value) == str(_nothing())
    assert (await bench.facts()).epoch == 1


def _nothing() -> NothingToResume:
    return NothingToResume("There is nothing to resume.")


async def test_a_start_token_takes_up_its_own_session_alone(bench: Bench) -> None:
    await bench.start(principal=ANNA)
    token = Principal("token", user_id=ANNA.user_id, session_id="another")
    with pytest.raises(NothingToResume):
        await bench.store.take(resume(principal=token))
    await bench.store.take(resume(principal=replace(token, session_id="first")))


@pytest.mark.parametrize("encoding", ["FLAC", "OGGOPUS"])
async def test_encodings_that_cannot_be_cut_are_not_resumed(bench: Bench, encoding: str) -> None:
    await bench.start(encoding=encoding)
    with pytest.raises(NothingToResume):
        await bench.store.take(resume())
    await bench.lose_worker()
    assert (await bench.facts()).state == "interrupted"


async def test_a_session_without_a_token_is_not_resumed(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.finish(handle, Ending("failed", "recogniser_failed"))
    with pytest.raises(NothingToResume):
        await bench.store.take(resume())


async def test_a_lost_workers_session_is_detached_and_taken_up(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), committed_bytes=3200))
    await bench.lose_worker()
    facts = await bench.facts()
    assert (facts.state, facts.reason, facts.epoch) == ("detached", "worker_lost", handle.epoch)
    assert (await bench.store.take(resume())).audio_bytes == 3200


async def test_a_process_that_was_silent_is_told_that_its_client_may_resume(bench: Bench) -> None:
    """Nobody else has the session; its holder was stopped for so long that a reaper let go of it."""
    handle = await bench.start()
    await bench.lose_worker()
    with pytest.raises(InternalError) as refused:
        await bench.store.commit(step(handle, segment(0)))
    assert (refused.value.reason, refused.value.retryable) == ("detached", True)
    assert (await bench.store.lost([handle]))[handle].retryable
    await bench.store.finish(handle, detached(tail(0), flushed_bytes=6000))
    facts = await bench.facts()
    assert (facts.state, facts.reason, facts.segments) == ("detached", "client_lost", ((0, "cut off", True),))


async def test_it_says_which_holders_have_lost_their_session(bench: Bench) -> None:
    first, second, gone = [await bench.start(name) for name in ("first", "second", "gone")]
    assert await bench.store.lost([first, second]) == {}
    taken = await bench.store.take(resume())
    await bench.store.finish(gone, Ending("completed", "client"))
    lost = await bench.store.lost([first, second, gone, taken.handle])
    assert {handle.public_id: error.code for handle, error in lost.items()} == {"first": 4409, "gone": 4409}
    assert taken.handle not in lost


async def test_the_resume_window_ends_whether_or_not_somebody_has_reaped(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.finish(handle, detached(tail(0), flushed_bytes=6000))
    await bench.pass_time(599)
    await bench.expire()
    assert (await bench.facts()).state == "detached"
    await bench.pass_time(2)
    for _ in range(2):
        with pytest.raises(SessionOver) as over:
            await bench.store.take(resume())
        assert over.value.reason == "resume_window_over"
        await bench.expire()
    facts = await bench.facts()
    assert (facts.state, facts.reason, len(facts.segments)) == ("interrupted", "client_lost", 1)


async def test_a_session_is_not_resumed_past_its_own_time(bench: Bench) -> None:
    handle = await bench.start()
    await bench.pass_time(1799)
    await bench.store.finish(handle, detached())
    await bench.pass_time(2)
    with pytest.raises(SessionOver) as over:
        await bench.store.take(resume())
    assert over.value.reason == "resume_window_over"


@pytest.mark.parametrize(
    ("reason", "error"), [("session_timeout", SessionOver), ("operator", StoppedByOperator), ("revoked", SessionOver)]
)
async def test_a_completed_session_says_why_it_is_over(bench: Bench, reason: str, error: type[Exception]) -> None:
    handle = await bench.start()
    await bench.store.finish(handle, Ending("completed", reason))
    with pytest.raises(error):
        await bench.store.take(resume())


async def test_a_client_that_missed_its_own_stop_hears_it_again(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.commit(step(handle, segment(0), segment(1), committed_bytes=3200))
    await bench.store.finish(handle, Ending("completed", "client", audio_bytes=3200, audio_ms=100))
    taken = await bench.store.take(resume(received_segments=1))
    assert taken.ended is not None
    assert (taken.ended.reason, taken.ended.audio_ms, taken.ended.audio_bytes, taken.ended.segments) == (
        "client",
        100,
        3200,
        2,
    )
    assert [part.index for part in taken.segments] == [1]
    facts = await bench.facts()
    assert (facts.state, facts.epoch) == ("completed", handle.epoch)


async def test_an_operators_stop_of_a_detached_session_completes_it_at_once(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.finish(handle, detached(tail(0), flushed_bytes=6000))
    await bench.stop(reason="Enough")
    facts = await bench.facts()
    assert (facts.state, facts.reason, facts.segments) == ("completed", "operator", ((0, "cut off", True),))
    with pytest.raises(StoppedByOperator, match="Enough"):
        await bench.store.take(resume())


@pytest.mark.parametrize("is_worker_lost", [True, False])
async def test_a_session_asked_to_stop_is_complete_however_it_is_let_go(bench: Bench, is_worker_lost: bool) -> None:
    handle = await bench.start()
    await bench.stop()
    if is_worker_lost:
        await bench.lose_worker()
    else:
        for _ in range(2):
            await bench.store.finish(handle, detached(tail(0)))
    facts = await bench.facts()
    assert (facts.state, facts.reason) == ("completed", "operator")


async def test_a_detached_session_holds_no_place_and_needs_one_again(make_bench: MakeBench) -> None:
    bench = make_bench(max_sessions=1)
    handle = await bench.start()
    await bench.store.finish(handle, detached())
    second = await bench.start("second")
    with pytest.raises(AtCapacity):
        await bench.store.take(resume())
    assert (await bench.facts()).state == "detached"
    await bench.store.finish(second, Ending("completed", "client"))
    await bench.store.take(resume())
    await bench.store.take(resume())  # from the live one: no other place


async def test_row_60_an_owner_has_a_share_of_the_places(make_bench: MakeBench) -> None:
    bench = make_bench(max_sessions_per_owner=2)
    first = await bench.start("first", ANNA)
    await bench.start("second", ANNA)
    with pytest.raises(TooFast) as refused:
        await bench.start("third", ANNA)
    assert (refused.value.code, refused.value.reason) == (4429, "too_many_sessions")
    assert refused.value.retry_after_ms is not None
    await bench.start("third", BERT)
    await bench.store.finish(first, detached())
    await bench.start("fourth", ANNA)
    with pytest.raises(TooFast):
        await bench.store.take(resume(principal=ANNA))
    await bench.store.take(resume("fourth", ANNA))


async def test_nobody_in_particular_has_no_share(make_bench: MakeBench) -> None:
    bench = make_bench(max_sessions_per_owner=1)
    for name in ("first", "second", "third"):
        await bench.start(name, LOCAL)


async def test_a_detached_sessions_id_cannot_be_started_again(bench: Bench) -> None:
    handle = await bench.start()
    await bench.store.finish(handle, detached())
    with pytest.raises(SessionTaken):
        await bench.start()
