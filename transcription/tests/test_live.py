"""A live transcription from open to closed, with a recogniser and a store in memory and time that jumps."""

from __future__ import annotations

import asyncio

import pytest

from transcription.engine import end as ends
from transcription.engine.commits import DURABLE_PATIENCE_S, MAX_PENDING_FINALS
from transcription.engine.end import LOST_FLUSH_S, STOP_FLUSH_S, End
from transcription.engine.intake import CREDIT_S, RING_S
from transcription.engine.live import ROOM_WAIT_S
from transcription.engine.opening import OPEN_TOTAL_S
from transcription.errors import (
    AtCapacity,
    BadAudio,
    BadMessage,
    RecogniserFailed,
    StorageUnavailable,
    TooFast,
    TranscriptionError,
)
from transcription.events import (
    Ack,
    AudioWarning,
    Event,
    Expiring,
    Failed,
    Final,
    Interim,
    RecogniserStatus,
    Started,
    Stopped,
)
from transcription.results import Progress
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SECOND, SPEECH, LiveSession, final, interim
from transcription.tests.memory_store import MemoryStore
from transcription.tests.recordings import CONTAINERS, wav
from transcription.tests.sessions import new_session
from transcription.tests.virtual_time import in_virtual_time

UNAVAILABLE = RecogniserFailed("The recogniser does not answer.")
REFUSED = RecogniserFailed("No such model.", retryable=False)


def only_error(session: LiveSession) -> TranscriptionError:
    [failed] = [event for event in session.ends_told if isinstance(event, Failed)]
    assert session.live.closing_error is failed.error
    return failed.error


# The ordinary way


@in_virtual_time
async def test_a_session_from_start_to_stop() -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("bye", start_ms=1000, end_ms=2000)])) as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        session.live.feed(SPEECH)
        await stream.heard(2 * SECOND)
        stream.say(interim("hel"), final("hello"))
        await session.until(Final)
        session.stop()
        ending = await session.ended()

    assert stream.audio == SPEECH * 2
    assert session.texts == ["hello", "bye"]
    assert [(event.segment, event.durable, event.tail) for event in session.finals] == [
        (0, True, False),
        (1, True, False),
    ]
    assert session.of(Interim)[0].segment == 0
    assert session.ends_told == [Stopped("client", 2000, 2 * SECOND, 2 * SECOND, 2)]
    assert (ending.state, ending.reason, ending.message) == ("completed", "client", "")
    assert (ending.audio_bytes, ending.audio_ms) == (2 * SECOND, 2000)
    assert session.row.committed_bytes == 2 * SECOND
    assert stream.is_cancelled
    assert session.live.closing_error is None


@in_virtual_time
async def test_the_row_says_who_recognises_and_what_is_applied() -> None:
    async with LiveSession(language="de-DE") as session:
        await session.opened()
        session.stop()

    assert (session.row.recogniser, session.row.model) == ("fake:1", "fake-model")
    assert session.row.applied["language"] == "de-DE"
    assert session.of(Started) == [Started("my-id", session.stream.config, "token", model="fake-model")]


@in_virtual_time
async def test_credit_is_announced_with_the_start() -> None:
    async with LiveSession() as session:
        await session.opened()
        assert session.of(Ack) == [Ack(0, 0, CREDIT_S * SECOND)]
        session.stop()


@in_virtual_time
async def test_an_empty_session_is_completed_with_nothing() -> None:
    async with LiveSession() as session:
        session.stop()

    assert session.ends_told == [Stopped("client", 0, 0, 0, 0)]
    assert session.row.state == "completed"
    assert isinstance(session.events[0], Started)


@in_virtual_time
async def test_a_stop_before_the_recogniser_is_open_waits_for_it() -> None:
    gate = asyncio.Event()
    recogniser = FakeRecogniser(gate=gate, last_words=[final("hello")])
    async with LiveSession(recogniser=recogniser) as session:
        session.live.feed(SPEECH)
        session.stop()
        await asyncio.sleep(1)
        assert session.of(Started) == []
        gate.set()

    assert session.texts == ["hello"]
    assert session.stream.audio == SPEECH


@in_virtual_time
async def test_audio_that_came_while_opening_is_not_lost() -> None:
    gate = asyncio.Event()
    async with LiveSession(recogniser=FakeRecogniser(gate=gate)) as session:
        await session.speak(3)
        gate.set()
        stream = await session.opened()
        await stream.heard(3 * SECOND)
        session.stop()

    assert stream.audio == SPEECH * 3


@in_virtual_time
async def test_finalize_ends_the_utterance_after_the_audio_before_it() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        session.live.finalize()
        await stream.utterances_ended(1)
        assert stream.audio == SPEECH
        session.live.feed(SPEECH)
        await stream.heard(2 * SECOND)
        session.stop()

    assert stream.ended_utterances == 1
    assert session.row.state == "completed"


@in_virtual_time
async def test_interims_are_not_told_where_they_were_not_asked_for() -> None:
    async with LiveSession(enable_interim_results=False) as session:
        stream = await session.opened()
        stream.say(interim("hel"), final("hello"))
        await session.until(Final)
        session.stop()

    assert session.of(Interim) == []
    assert session.texts == ["hello"]


@in_virtual_time
async def test_the_interim_of_the_next_segment_has_the_next_index() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.say(interim("a"), final("a"), interim("b"), interim("b c"), final("b c"), interim("d"), final("d"))
        await session.until(Final, 3)
        session.stop()

    assert [event.segment for event in session.of(Interim)] == [0, 1, 1, 2]
    assert [event.segment for event in session.finals] == [0, 1, 2]


# Stored before told


@in_virtual_time
async def test_it_stores_a_final_result_before_telling_it() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        stream.say(final("hello"))
        await asyncio.sleep(1)
        assert session.finals == []
        assert session.texts == []
        gate.set()
        told = await session.until(Final)
        assert session.texts == ["hello"]
        session.stop()

    assert told.durable


@in_virtual_time
async def test_safe_moves_only_with_a_commit() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        await session.speak(2)
        stream.say(final("hello"))
        await session.speak(3)
        assert {ack.safe for ack in session.of(Ack)} == {0}
        gate.set()
        await session.speak(1)
        assert session.of(Ack)[-1].safe == SECOND
        session.stop()


@in_virtual_time
async def test_a_commit_is_acknowledged_at_once() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        stream.say(final("hello"))
        told = await session.until(Final)
        await asyncio.sleep(0)
        session.stop()

    after = session.events[session.events.index(told) + 1]
    assert after == Ack(SECOND, SECOND, (CREDIT_S + 1) * SECOND)


@in_virtual_time
async def test_a_slow_store_has_finals_told_early_and_again_once_they_are_stored() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        said_at_s = asyncio.get_running_loop().time()
        stream.say(final("hello"))
        first = await session.until(Final)
        assert asyncio.get_running_loop().time() - said_at_s == DURABLE_PATIENCE_S
        assert (first.durable, session.texts) == (False, [])
        gate.set()
        second = await session.until(Final, 2)
        session.stop()

    assert (second.segment, second.durable) == (0, True)
    assert len(session.finals) == 2
    assert session.live.segments == 1


@in_virtual_time
async def test_while_the_store_is_silent_every_final_is_told_early() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(final("one"))
        await session.until(Final)
        await session.speak(1)
        stream.say(final("two", start_ms=1000, end_ms=2000))
        await session.until(Final, 2)
        assert [(event.segment, event.durable) for event in session.finals] == [(0, False), (1, False)]
        gate.set()
        await session.until(Final, 4)
        session.stop()

    assert [(event.segment, event.durable) for event in session.finals[2:]] == [(0, True), (1, True)]


@in_virtual_time
async def test_a_store_that_gives_up_ends_the_session() -> None:
    store = MemoryStore(fail_commits=[StorageUnavailable("The database does not answer.")])
    async with LiveSession(store=store) as session:
        stream = await session.opened()
        stream.say(final("hello"))
        ending = await session.ended()

    assert only_error(session).code == 4507
    assert session.finals == []
    assert (ending.state, ending.reason) == ("detached", "storage_unavailable")
    assert stream.is_cancelled


@in_virtual_time
async def test_finals_do_not_pile_up_without_end() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        stream.say(final("first"))
        await asyncio.sleep(1)
        stream.say(*(final(f"number {number}") for number in range(MAX_PENDING_FINALS)))
        await asyncio.sleep(1)
        gate.set()
        await session.ended()

    assert only_error(session).code == 4507
    assert len(session.texts) == MAX_PENDING_FINALS


@in_virtual_time
async def test_a_session_that_was_taken_away_stops_at_once() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.store.take_away("my-id")
        stream.say(final("hello"))

    assert only_error(session).code == 4409
    assert session.texts == []


@in_virtual_time
async def test_an_end_that_cannot_be_stored_is_told_as_an_error() -> None:
    """The words are stored, only the end is not: the reaper will note it."""
    store = MemoryStore(fail_finishes=[StorageUnavailable("The database does not answer.")])
    async with LiveSession(store=store) as session:
        stream = await session.opened()
        stream.say(final("hello"))
        await session.until(Final)
        session.stop()

    assert only_error(session).code == 4507
    assert session.of(Stopped) == []
    assert session.row.state == "live"


@in_virtual_time
async def test_in_silence_only_the_settled_position_is_stored_and_not_often() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        for second in range(1, 16):
            await session.speak(1, bytes(SECOND))
            stream.say(Progress(second * 1000))
        await asyncio.sleep(0)
        session.stop()

    moves = [step.committed_bytes for step in session.store.steps if not step.segments]
    assert moves[-1] == 15 * SECOND
    assert 3 <= len(moves) <= 4


@in_virtual_time
async def test_segment_indexes_never_skip() -> None:
    gate = asyncio.Event()
    async with LiveSession(store=MemoryStore(gate=gate)) as session:
        stream = await session.opened()
        stream.say(*(final(f"a{number}") for number in range(5)))
        await asyncio.sleep(3)
        stream.say(*(final(f"b{number}") for number in range(5)))
        gate.set()
        await asyncio.sleep(1)
        stream.say(final("c"), interim("d"))
        session.stop()

    assert [segment.index for segment in session.row.segments] == list(range(12))
    assert [event.segment for event in session.finals if event.durable] == list(range(12))
    assert session.texts == [f"a{n}" for n in range(5)] + [f"b{n}" for n in range(5)] + ["c", "d"]


# The recogniser fails


@in_virtual_time
async def test_a_recogniser_that_falls_behind_is_told() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        for _ in range(8):
            await session.speak(1)
            stream.say(interim("slow", end_ms=500))
        assert [status.state for status in session.of(RecogniserStatus)] == ["lagging"]
        stream.say(interim("quick", end_ms=8000))
        await session.until(RecogniserStatus, 2)
        session.stop()

    assert [status.state for status in session.of(RecogniserStatus)] == ["lagging", "ok"]


@in_virtual_time
async def test_opening_is_tried_again() -> None:
    recogniser = FakeRecogniser(failures=[UNAVAILABLE, UNAVAILABLE, None])
    async with LiveSession(recogniser=recogniser) as session:
        await session.opened()
        session.stop()

    assert recogniser.openings == 3
    assert session.of(RecogniserStatus) == [RecogniserStatus("reconnecting", 0)] * 2
    assert session.row.state == "completed"


@in_virtual_time
async def test_a_recogniser_that_cannot_be_opened_is_given_up_after_ten_seconds() -> None:
    recogniser = FakeRecogniser(failures=[UNAVAILABLE] * 50)
    async with LiveSession(recogniser=recogniser) as session:
        ending = await session.ended()
        took_s = asyncio.get_running_loop().time()

    assert only_error(session) is UNAVAILABLE
    assert OPEN_TOTAL_S - 0.5 < took_s <= OPEN_TOTAL_S + 0.5
    assert (ending.state, ending.reason) == ("failed", "recogniser_failed")
    assert session.of(Started) == []


@in_virtual_time
async def test_a_refusal_is_not_tried_again() -> None:
    recogniser = FakeRecogniser(failures=[REFUSED])
    async with LiveSession(recogniser=recogniser) as session:
        await session.ended()

    assert recogniser.openings == 1
    assert only_error(session) is REFUSED


@in_virtual_time
async def test_a_client_that_goes_while_the_recogniser_is_opened_leaves_nothing_behind() -> None:
    async with LiveSession(recogniser=FakeRecogniser(gate=asyncio.Event())) as session:
        session.live.feed(SPEECH)
        await asyncio.sleep(1)
        session.live.end(ends.client_lost())
        ending = await session.ended()

    assert (ending.state, ending.reason) == ("failed", "client_lost")
    assert session.recogniser.streams == []


@in_virtual_time
async def test_a_client_that_had_sent_nothing_before_it_went_may_start_again() -> None:
    recogniser = FakeRecogniser(gate=asyncio.Event())
    async with LiveSession(recogniser=recogniser) as session:
        await asyncio.sleep(1)
        session.live.end(ends.draining())
        ending = await session.ended()

    assert (ending.state, ending.reason) == ("failed", "draining")
    assert only_error(session).retryable
    await session.store.create(new_session("my-id"))


@in_virtual_time
async def test_a_store_that_fails_while_opening_releases_the_recogniser() -> None:
    store = MemoryStore(fail_opened=[StorageUnavailable("The database does not answer.")])
    async with LiveSession(store=store) as session:
        ending = await session.ended()

    assert only_error(session).code == 4507
    assert ending.state == "failed"
    assert session.stream.is_cancelled


# Not started


@in_virtual_time
async def test_a_full_service_makes_no_row_and_says_when_to_come_again() -> None:
    store = MemoryStore(max_sessions=1)
    await store.create(new_session("other"))
    session = LiveSession(store=store)
    await session.live.run()

    assert session.events == [Failed(session.live.closing_error or BadMessage(""))]
    error = session.live.closing_error
    assert isinstance(error, AtCapacity)
    assert (error.code, error.retry_after_ms) == (4503, 5000)
    assert set(store.sessions) == {"other"}
    assert session.recogniser.openings == 0


@in_virtual_time
async def test_a_database_that_does_not_answer_at_the_start_is_lack_of_capacity() -> None:
    session = LiveSession(store=MemoryStore(fail_creates=[StorageUnavailable("No.")]))
    await session.live.run()

    error = session.live.closing_error
    assert error is not None
    assert (error.code, error.reason, error.retryable) == (4503, "storage_unavailable", True)


# Ends


@in_virtual_time
async def test_last_words_that_do_not_come_in_time_fail_the_session() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        stream = await session.opened()
        stream.say(interim("good b"))
        await session.until(Interim)
        stopped_at_s = asyncio.get_running_loop().time()
        session.stop()
        ending = await session.ended()
        took_s = asyncio.get_running_loop().time() - stopped_at_s

    assert took_s == pytest.approx(STOP_FLUSH_S, abs=0.01)
    assert only_error(session).code == 4504
    assert session.of(Stopped) == []
    assert ending.state == "detached"
    assert session.texts == ["good b"]


@in_virtual_time
async def test_a_file_that_was_sent_ahead_has_all_the_time_its_recognition_takes() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        stream = await session.opened()
        for _ in range(60):
            session.live.feed(SPEECH)
        await stream.heard(60 * SECOND)
        session.stop()
        await stream.half_closed()
        for number in range(10):
            await asyncio.sleep(STOP_FLUSH_S * 0.6)
            stream.say(final(f"part {number}", end_ms=(number + 1) * 6000))
        stream.end_ok()

    assert session.row.state == "completed"
    assert len(session.texts) == 10
    assert session.row.committed_bytes == 60 * SECOND


@pytest.mark.parametrize(
    ("end", "told", "code", "state", "reason"),
    [
        (ends.operator_stop("Not allowed here"), "operator", 4490, "completed", "operator"),
        (ends.session_timeout(), "session_timeout", 4410, "completed", "session_timeout"),
    ],
)
@in_virtual_time
async def test_an_orderly_end_by_the_service_has_last_words_then_stopped_then_the_error(
    end: End, told: str, code: int, state: str, reason: str
) -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("bye")])) as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        session.live.end(end)
        ending = await session.ended()

    stopped, failed = session.ends_told
    assert isinstance(stopped, Stopped)
    assert isinstance(failed, Failed)
    assert (stopped.reason, stopped.segments, failed.error.code) == (told, 1, code)
    assert (ending.state, ending.reason) == (state, reason)
    assert session.texts == ["bye"]
    assert not session.row.segments[0].tail


@in_virtual_time
async def test_an_operators_reason_is_told() -> None:
    async with LiveSession() as session:
        await session.opened()
        session.live.end(ends.operator_stop("Maintenance"))

    assert "Maintenance" in only_error(session).message


@in_virtual_time
async def test_the_maximum_length_is_warned_of_and_ends_the_session() -> None:
    async with LiveSession(session_timeout_s=120.0) as session:
        stream = await session.opened()
        for second in range(1, 121):
            await session.speak(1, bytes(SECOND))
            stream.say(Progress(second * 1000))
        ending = await session.ended()

    [warning] = session.of(Expiring)
    assert (warning.reason, warning.in_ms) == ("session_timeout", 60_000)
    assert only_error(session).code == 4410
    assert ending.reason == "session_timeout"


@in_virtual_time
async def test_a_client_that_falls_silent_is_warned_and_then_ended() -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("hel")])) as session:
        await session.opened()
        await session.speak(1)
        ending = await session.ended()
        ended_at_s = asyncio.get_running_loop().time()

    [warning] = session.of(Expiring)
    assert (warning.reason, warning.in_ms) == ("idle_timeout", 15_000)
    assert only_error(session).code == 4408
    assert 60.5 <= ended_at_s <= 61.5
    assert (ending.state, ending.reason) == ("detached", "idle_timeout")
    assert session.row.tails[0].tail


@in_virtual_time
async def test_keepalives_keep_a_muted_client() -> None:
    async with LiveSession() as session:
        await session.opened()
        for _ in range(20):
            await asyncio.sleep(15)
            session.live.keep_alive()
        session.stop()

    assert session.row.state == "completed"
    assert session.of(Expiring) == []


@in_virtual_time
async def test_empty_audio_is_no_sign_of_life() -> None:
    async with LiveSession() as session:
        await session.opened()
        for _ in range(10):
            await asyncio.sleep(10)
            session.live.feed(b"")
        await session.ended()

    assert only_error(session).code == 4408


@in_virtual_time
async def test_a_lost_client_leaves_its_last_words_as_a_tail() -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("good b", end_ms=2000)])) as session:
        stream = await session.opened()
        session.live.feed(SPEECH * 2)
        await stream.heard(2 * SECOND)
        stream.say(final("hello"))
        await session.until(Final)
        session.live.end(ends.client_lost())
        ending = await session.ended()

    assert session.texts == ["hello", "good b"]
    assert [event.tail for event in session.finals] == [False, True]
    assert session.row.committed_bytes == SECOND, "a tail was cut off: it settles nothing"
    assert (ending.state, ending.reason) == ("detached", "client_lost")
    assert session.ends_told == []
    assert stream.is_cancelled


@in_virtual_time
async def test_the_tail_of_a_lost_client_is_waited_for_five_seconds() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        stream = await session.opened()
        stream.say(interim("good b"))
        await session.until(Interim)
        lost_at_s = asyncio.get_running_loop().time()
        session.live.end(ends.client_lost())
        ending = await session.ended()
        took_s = asyncio.get_running_loop().time() - lost_at_s

    assert took_s == pytest.approx(LOST_FLUSH_S, abs=0.01)
    assert session.texts == ["good b"]
    assert ending.reason == "client_lost"


@in_virtual_time
async def test_a_drained_session_keeps_its_words_and_is_sent_elsewhere() -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("bye")])) as session:
        await session.opened()
        session.live.end(ends.draining())
        ending = await session.ended()

    error = only_error(session)
    assert (error.code, error.reason, error.retry_after_ms) == (4503, "draining", 2000)
    assert ending.reason == "draining"
    assert session.texts == ["bye"]


@in_virtual_time
async def test_the_first_reason_to_end_counts() -> None:
    async with LiveSession() as session:
        await session.opened()
        session.stop()
        session.live.end(ends.draining())
        session.live.end(ends.client_lost())

    assert session.ends_told == [Stopped("client", 0, 0, 0, 0)]


@in_virtual_time
async def test_a_client_that_breaks_the_protocol_keeps_what_it_said() -> None:
    async with LiveSession(recogniser=FakeRecogniser(last_words=[final("hello")])) as session:
        await session.opened()
        session.live.end(ends.client_fault(BadMessage("Third.", reason="unknown_type")))
        ending = await session.ended()

    assert only_error(session).code == 4400
    assert (ending.state, ending.reason) == ("detached", "unknown_type")
    assert session.texts == ["hello"]


@in_virtual_time
async def test_audio_after_the_end_is_ignored() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.stop()
        session.live.feed(SPEECH)

    assert stream.audio == b""
    assert session.ends_told == [Stopped("client", 0, 0, 0, 0)]


@in_virtual_time
async def test_a_bug_is_told_as_our_fault_and_raised() -> None:
    session = LiveSession()
    running = asyncio.create_task(session.live.run())
    stream = await session.opened()
    stream.say(final("hello"))
    await session.until(Final)
    stream.fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await running

    assert only_error(session).code == 4500
    assert (session.row.state, session.texts) == ("detached", ["hello"])
    assert stream.is_cancelled


# Audio


@in_virtual_time
async def test_an_odd_byte_at_the_end_is_dropped_with_a_warning() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(SPEECH + b"\x01")
        session.stop()

    assert stream.audio == SPEECH
    assert AudioWarning("odd_bytes") in session.events
    [stopped] = session.of(Stopped)
    assert (stopped.received, stopped.audio_ms) == (SECOND + 1, 1000)


@in_virtual_time
async def test_a_wav_header_is_skipped_with_a_warning_and_counted_for_the_client() -> None:
    recording = wav(SPEECH)
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(recording)
        await stream.heard(SECOND)
        stream.say(final("hello"))
        await session.until(Final)
        session.stop()

    assert stream.audio == SPEECH
    assert AudioWarning("wav_header_skipped") in session.events
    [stopped] = session.of(Stopped)
    assert (stopped.received, stopped.safe) == (len(recording), len(recording))


@in_virtual_time
async def test_a_container_sent_as_raw_audio_is_bad_audio() -> None:
    async with LiveSession() as session:
        await session.opened()
        with pytest.raises(BadAudio):
            session.live.feed(CONTAINERS["WebM"])
        session.live.end(ends.client_fault(BadAudio("WebM.")))
        ending = await session.ended()

    assert only_error(session).code == 4415
    assert ending.reason == "bad_audio"
    assert session.stream.audio == b""


@in_virtual_time
async def test_a_container_that_was_declared_has_no_positions() -> None:
    async with LiveSession(encoding="FLAC") as session:
        stream = await session.opened()
        session.live.feed(CONTAINERS["FLAC"])
        await stream.heard(len(CONTAINERS["FLAC"]))
        stream.say(final("hello"))
        await session.until(Final)
        session.stop()

    assert all((ack.safe, ack.limit) == (None, None) for ack in session.of(Ack))
    [stopped] = session.of(Stopped)
    assert (stopped.safe, stopped.received, stopped.audio_ms) == (None, len(CONTAINERS["FLAC"]), 1000)


# Credit


@in_virtual_time
async def test_audio_is_acknowledged_each_second_and_each_64_kib() -> None:
    async with LiveSession() as session:
        await session.opened()
        session.live.feed(SPEECH[:16000])
        assert len(session.of(Ack)) == 1
        await asyncio.sleep(1.3)
        assert session.of(Ack)[-1].received == 16000

        for _ in range(4):
            session.live.feed(SPEECH)
        assert session.of(Ack)[-1].received > 16000 + SECOND
        session.stop()


@in_virtual_time
async def test_a_client_that_waits_at_its_limit_hears_that_it_moved() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        for _ in range(CREDIT_S):
            session.live.feed(SPEECH)
        await stream.heard(CREDIT_S * SECOND)
        await asyncio.sleep(2)
        stream.say(Progress(20_000))
        await asyncio.sleep(1.5)
        # No commit and no audio came since: the limit alone is news.
        assert session.of(Ack)[-1].limit == (CREDIT_S + 20) * SECOND
        stream.say(Progress(40_000))
        await asyncio.sleep(1.5)
        assert session.of(Ack)[-1].limit == (CREDIT_S + 40) * SECOND
        session.stop()


@in_virtual_time
async def test_a_recogniser_that_is_mute_in_silence_does_not_stop_its_client() -> None:
    async with LiveSession() as session:
        await session.opened()
        await session.speak(3 * CREDIT_S, bytes(SECOND))
        ack = session.of(Ack)[-1]
        assert ack.limit is not None
        assert ack.received < ack.limit
        session.stop()


@in_virtual_time
async def test_a_client_past_its_limit_waits_for_room_and_gets_it() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.takes_audio.clear()
        for _ in range(CREDIT_S):
            session.live.feed(SPEECH)
        waiting = asyncio.create_task(session.live.wait_for_room(SECOND))
        await asyncio.sleep(1)
        assert not waiting.done()
        assert AudioWarning("too_fast") in session.events
        stream.takes_audio.set()
        await stream.heard(CREDIT_S * SECOND)
        stream.say(Progress(10_000))
        await asyncio.wait_for(waiting, 1)
        session.live.feed(SPEECH)
        session.stop()

    assert session.row.state == "completed"


@in_virtual_time
async def test_a_client_that_gets_no_room_is_too_fast() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.takes_audio.clear()
        for _ in range(CREDIT_S):
            session.live.feed(SPEECH)
        started_at_s = asyncio.get_running_loop().time()
        with pytest.raises(TooFast) as caught:
            await session.live.wait_for_room(1)
        assert asyncio.get_running_loop().time() - started_at_s == ROOM_WAIT_S
        session.live.end(ends.client_fault(caught.value))

    assert only_error(session).code == 4429


@in_virtual_time
async def test_a_client_that_is_told_no_credit_is_slowed_down_without_a_word() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.takes_audio.clear()
        for _ in range(CREDIT_S):
            session.live.feed(SPEECH)
        waiting = asyncio.create_task(session.live.wait_for_room(SECOND, has_credit=False))
        await asyncio.sleep(ROOM_WAIT_S + 1)
        assert not waiting.done()
        assert AudioWarning("too_fast") not in session.events
        stream.takes_audio.set()
        await stream.heard(CREDIT_S * SECOND)
        stream.say(Progress(10_000))
        await asyncio.wait_for(waiting, 1)
        session.stop()

    assert session.row.state == "completed"


@in_virtual_time
async def test_a_wait_for_room_ends_with_the_session() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.takes_audio.clear()
        for _ in range(CREDIT_S):
            session.live.feed(SPEECH)
        waiting = asyncio.create_task(session.live.wait_for_room(1))
        await asyncio.sleep(1)
        session.live.end(ends.client_lost())
        await asyncio.wait_for(waiting, 1)


@in_virtual_time
async def test_audio_the_recogniser_does_not_take_is_held_within_bounds() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        stream.takes_audio.clear()
        for _ in range(RING_S):
            session.live.feed(SPEECH)
        with pytest.raises(TooFast):
            session.live.feed(SPEECH)
        session.live.end(ends.client_fault(TooFast("x")))

    assert session.live.intake.received == RING_S * SECOND


# Figures


@in_virtual_time
async def test_latency_is_measured_from_the_arrival_of_the_audio() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(interim("hel", end_ms=1000))
        await session.until(Interim)
        await asyncio.sleep(0.5)
        stream.say(final("hello", end_ms=1000))
        await session.until(Final)
        session.stop()
        ending = await session.ended()

    assert ending.first_interim_ms == 1000
    assert ending.final_lag_p50_ms == ending.final_lag_p95_ms == 750


@in_virtual_time
async def test_an_interim_without_text_is_not_the_first_one() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(interim("", end_ms=1000))
        await session.speak(1)
        stream.say(interim("hello", end_ms=2000))
        await session.until(Interim)
        session.stop()
        ending = await session.ended()

    assert ending.first_interim_ms == 2000
    assert [event.result.text for event in session.events if isinstance(event, Interim)] == ["hello"]


@in_virtual_time
async def test_those_who_watch_see_how_much_is_stored_and_what_is_being_said() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        assert (session.live.segments, session.live.last_final) == (0, None)
        stream.say(final("hello"), final("world"), interim("and"))
        await session.until(Final, 2)
        assert (session.live.segments, session.live.next_segment) == (2, 2)
        assert session.live.interim is not None
        session.stop()


@in_virtual_time
async def test_an_event_is_never_told_after_the_last_one() -> None:
    def kinds(events: list[Event]) -> list[type[Event]]:
        return [type(event) for event in events]

    async with LiveSession() as session:
        await session.opened()
        await session.speak(2)
        session.stop()
        await session.ended()
        told = kinds(session.events)
        await asyncio.sleep(120)
        assert kinds(session.events) == told


@in_virtual_time
async def test_a_session_that_is_abandoned_waits_for_no_last_words() -> None:
    """Not even where its audio was over already; the first reason counts."""
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        stream = await session.opened()
        await session.speak(1.0)
        session.stop()
        await stream.half_closed()
        session.live.abandon(ends.cancelled())
        session.live.abandon(ends.client_lost())

    ending = await session.ended()
    assert (ending.state, ending.reason) == ("interrupted", "cancelled")
    assert stream.is_cancelled
