"""Taking a session up again, as a client of the socket sees it: two connections, one process, one store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SECOND, SPEECH, final, interim
from transcription.tests.test_consumers import Connection, closed
from transcription.tests.virtual_time import in_virtual_time


def token_of(connection: Connection) -> str:
    [started] = [event for event in connection.events if event["event"] == "transcription_started"]
    assert started["resumable"]
    return str(started["resume_token"])


async def resumed(connection: Connection, token: str, **fields: Any) -> dict[str, Any]:
    connection.say(type="resume_transcription", resume_token=token, **fields)
    await connection.until(lambda: "transcription_resumed" in connection.kinds)
    return next(event for event in connection.events if event["event"] == "transcription_resumed")


async def test_the_limits_say_how_long_a_session_waits() -> None:
    async with Connection(resume_window_seconds=90) as connection:
        await connection.until(lambda: connection.events)
        assert connection.events[0]["limits"]["resume_window_ms"] == 90_000


@in_virtual_time
async def test_a_client_that_comes_back_goes_on_where_its_audio_was_settled() -> None:
    recogniser = FakeRecogniser(last_words=[final("good b", start_ms=1000, end_ms=2000)])
    async with Connection(recogniser=recogniser) as first:
        stream = await first.started()
        first.speak(SPEECH * 2)
        await stream.heard(2 * SECOND)
        stream.say(final("hello"))
        await first.until(lambda: [event for event in first.events if event.get("durable")])
        token = token_of(first)

    recogniser.last_words = [final("good bye", start_ms=1000, end_ms=2000)]
    async with Connection(process=first.process) as second:
        answer = await resumed(second, token, received_segments=1)
        assert (answer["audio_offset"], answer["next_segment"]) == (SECOND, 1)
        second.speak(SPEECH)
        second.say(type="stop_transcription")
        assert await closed(second) == 1000

    # What was cut off by the lost connection is withdrawn, and said again.
    assert second.kinds[1:4] == ["transcription_resumed", "revised", "audio_ack"]
    assert second.events[2]["from_segment"] == 1
    finals = [(event["segment"], event["text"]) for event in second.events if event.get("durable")]
    assert finals == [(1, "good bye")]
    assert second.events[-1]["segments"] == 2
    assert [segment.text for segment in first.store.sessions["my-id"].segments] == ["hello", "good bye"]


@in_virtual_time
async def test_a_client_gets_the_finals_that_it_lacks() -> None:
    async with Connection() as first:
        stream = await first.started()
        first.speak(SPEECH)
        await stream.heard(SECOND)
        stream.say(final("one", end_ms=300), final("two", end_ms=600), final("three", end_ms=900))
        await first.store.wait_until("my-id", segments=3)
        token = token_of(first)

    async with Connection(process=first.process) as second:
        await resumed(second, token, received_segments=1)
        await second.until(lambda: len([event for event in second.events if event.get("durable")]) == 2)
        second.say(type="stop_transcription")
        await closed(second)

    finals = [(event["segment"], event["text"]) for event in second.events if event.get("durable")]
    assert finals == [(1, "two"), (2, "three")]


@in_virtual_time
async def test_a_client_that_comes_back_before_it_was_missed_takes_its_session_over() -> None:
    async with Connection() as first:
        stream = await first.started()
        first.speak(SPEECH)
        await stream.heard(SECOND)
        stream.say(interim("hel"))
        async with Connection(process=first.process) as second:
            answer = await resumed(second, token_of(first))
            assert answer["audio_offset"] == 0
            assert await closed(first) == 4409
            assert first.events[-1]["reason"] == "taken_over"
            second.speak(SPEECH)
            second.say(type="stop_transcription")
            assert await closed(second) == 1000

    assert first.store.sessions["my-id"].state == "completed"


@in_virtual_time
async def test_audio_that_the_client_no_longer_has_is_a_gap() -> None:
    async with Connection() as first:
        stream = await first.started()
        first.speak(SPEECH)
        await stream.heard(SECOND)
        stream.say(final("hi", end_ms=500))
        await first.until(lambda: [event for event in first.events if event.get("safe")])
        token = token_of(first)

    async with Connection(process=first.process) as second:
        answer = await resumed(second, token, held_from=3 * SECOND)
        assert answer["audio_offset"] == 3 * SECOND
        second.speak(SPEECH)
        second.say(type="stop_transcription")
        await closed(second)

    [stopped] = [event for event in second.events if event["event"] == "transcription_stopped"]
    assert stopped["gaps"] == [{"start_ms": 500, "end_ms": 3000}]
    assert (stopped["received"], stopped["audio_ms"]) == (4 * SECOND, 4000)


@in_virtual_time
async def test_a_client_that_had_stopped_hears_of_the_end_again() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hello")])) as first:
        await first.started()
        first.speak(SPEECH)
        token = token_of(first)
        first.say(type="stop_transcription")
        await first.until(lambda: first.store.sessions["my-id"].state == "completed")

    async with Connection(process=first.process) as second:
        await resumed(second, token, received_segments=0)
        assert await closed(second) == 1000

    assert second.kinds[1:] == ["transcription_resumed", "transcript", "transcription_stopped"]
    assert second.events[-1]["received"] == SECOND


@in_virtual_time
async def test_a_wrong_token_and_an_unknown_session_get_the_same_answer() -> None:
    async with Connection() as first:
        await first.started()

    answers = []
    for session_id, token in (("my-id", "wrong"), ("another-id", token_of(first))):
        async with Connection(process=first.process, session_id=session_id) as second:
            second.say(type="resume_transcription", resume_token=token)
            assert await closed(second) == 4404
            answers.append({**second.events[-1], "request_id": ""})
    assert answers[0] == answers[1]


@in_virtual_time
async def test_a_session_waits_no_longer_than_its_window() -> None:
    async with Connection(resume_window_seconds=60) as first:
        await first.started()
    await asyncio.sleep(61)

    async with Connection(process=first.process) as second:
        second.say(type="resume_transcription", resume_token=token_of(first))
        assert await closed(second) == 4410
    assert second.events[-1]["reason"] == "resume_window_over"


@in_virtual_time
async def test_a_drained_client_is_told_before_its_last_words() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hel")])) as connection:
        stream = await connection.started()
        connection.speak(SPEECH)
        await stream.heard(SECOND)
        await connection.process.drain()
        assert await closed(connection) == 4503

    expiring, transcript, error = connection.events[-3:]
    assert (expiring["event"], expiring["reason"], expiring["resume_elsewhere"]) == (
        "session_expiring",
        "draining",
        True,
    )
    assert (transcript["text"], transcript["tail"], transcript["durable"]) == ("hel", True, True)
    assert (error["reason"], error["retryable"]) == ("draining", True)


@pytest.mark.parametrize("encoding", ["FLAC", "OGGOPUS"])
def test_audio_that_cannot_be_cut_cannot_be_resumed(encoding: str) -> None:
    @in_virtual_time
    async def run() -> None:
        async with Connection() as connection:
            connection.say(type="start_transcription", config={"encoding": encoding})
            await connection.until(lambda: "transcription_started" in connection.kinds)
            [started] = [event for event in connection.events if event["event"] == "transcription_started"]
            assert (started["resumable"], started["resume_token"]) == (False, None)

        assert connection.store.sessions["my-id"].state == "interrupted"

    run()


@in_virtual_time
async def test_a_connection_that_is_given_up_takes_no_session_from_the_next_one() -> None:
    """The store is slow: the client has gone when its take-over is about to get through."""
    async with Connection() as first:
        await first.started()
        token = token_of(first)
    gate = asyncio.Event()
    first.store.hold_takes(gate)
    async with Connection(process=first.process) as second:
        second.say(type="resume_transcription", resume_token=token)
        await asyncio.sleep(0.1)
    first.store.hold_takes(None)
    async with Connection(process=first.process) as third:
        await resumed(third, token)
        gate.set()
        await asyncio.sleep(1)
        assert third.closes == []
    assert first.store.sessions["my-id"].epoch == 2
