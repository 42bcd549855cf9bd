"""Deepgram's dialect on the socket, without a server: what takes long in real time."""

from __future__ import annotations

import asyncio
from typing import Any

from transcription.dialects.listen import ListenDialect
from transcription.errors import AtCapacity
from transcription.results import Progress
from transcription.riva.offer import RivaModel
from transcription.tests.fake_recogniser import FakeRecogniser, FakeStream
from transcription.tests.live_session import SECOND, SPEECH, final
from transcription.tests.test_consumers import Connection
from transcription.tests.virtual_time import in_virtual_time


class ListenConnection(Connection):
    dialect_class = ListenDialect
    query = b"encoding=linear16&sample_rate=16000&utterance_end_ms=1000"

    async def speaks(self) -> FakeStream:
        """The first audio, until the recogniser has heard it."""
        self.speak(SPEECH)
        # Nothing is said when a session starts; in virtual time it has after that.
        await asyncio.sleep(0.1)
        stream = self.recogniser.streams[-1]
        await stream.heard(len(SPEECH))
        return stream

    async def message(self, kind: str) -> dict[str, Any]:
        await self.until(lambda: kind in self.kinds)
        return next(event for event in self.events if event["type"] == kind)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def states(self) -> list[str]:
        return [session.ending.state for session in self.store.sessions.values() if session.ending]


async def closed(connection: ListenConnection) -> tuple[int, str]:
    await connection.until(lambda: connection.closes)
    close = connection.sent[-1]
    return close["code"], close.get("reason", "")


@in_virtual_time
async def test_a_session_goes_from_its_first_audio_to_its_metadata() -> None:
    async with ListenConnection(recogniser=FakeRecogniser(last_words=[final("hello")])) as connection:
        await connection.speaks()
        connection.say(type="CloseStream")
        assert await closed(connection) == (1000, "")

    assert connection.kinds == ["Results", "Metadata"]
    assert connection.states == ["completed"]


@in_virtual_time
async def test_a_connection_that_says_nothing_is_closed_and_leaves_no_session() -> None:
    async with ListenConnection() as connection:
        began_s = asyncio.get_running_loop().time()
        assert await closed(connection) == (1011, "NET-0001")
        assert round(asyncio.get_running_loop().time() - began_s) == 10

    assert [event["variant"] for event in connection.events] == ["NET-0001"]
    assert not connection.store.sessions


@in_virtual_time
async def test_a_stream_that_falls_silent_is_closed_after_ten_seconds_and_keeps_its_words() -> None:
    async with ListenConnection() as connection:
        stream = await connection.speaks()
        stream.say(final("hello"))
        await connection.message("Results")
        while not connection.closes:
            for live in list(connection.process.sessions.values()):
                live.tick()
            await asyncio.sleep(0.5)
        assert await closed(connection) == (1011, "NET-0001")

    assert connection.states == ["interrupted"]
    [session] = connection.store.sessions.values()
    assert [segment.text for segment in session.segments] == ["hello"]


@in_virtual_time
async def test_a_keepalive_every_few_seconds_holds_the_stream() -> None:
    async with ListenConnection() as connection:
        for _ in range(20):
            connection.say(type="KeepAlive")
            await asyncio.sleep(5)
        assert connection.closes == []
        await connection.speaks()
        connection.say(type="CloseStream")
        assert await closed(connection) == (1000, "")


@in_virtual_time
async def test_an_utterance_ends_while_nobody_speaks() -> None:
    async with ListenConnection() as connection:
        stream = await connection.speaks()
        stream.say(final("hello", end_ms=800))
        await connection.message("Results")
        connection.speak(bytes(2 * SECOND))
        stream.say(Progress(1900))
        assert (await connection.message("UtteranceEnd"))["last_word_end"] == 0.8
        connection.say(type="CloseStream")
        await closed(connection)

    assert connection.kinds.count("UtteranceEnd") == 1


@in_virtual_time
async def test_a_finalize_in_silence_is_answered() -> None:
    async with ListenConnection() as connection:
        stream = await connection.speaks()
        connection.say(type="Finalize")
        await stream.utterances_ended(1)
        stream.say(Progress(1000))
        assert (await connection.message("Results"))["from_finalize"]
        connection.say(type="CloseStream")
        await closed(connection)


@in_virtual_time
async def test_a_client_that_closes_the_socket_in_order_has_ended_its_session() -> None:
    async with ListenConnection() as connection:
        await connection.speaks()

    assert connection.states == ["completed"]


@in_virtual_time
async def test_a_full_service_asks_to_try_again_later() -> None:
    recogniser = FakeRecogniser()
    recogniser.refusal = AtCapacity("All places are taken.")
    async with ListenConnection(recogniser=recogniser) as connection:
        connection.speak(SPEECH)
        assert await closed(connection) == (1013, "at_capacity")

    assert connection.kinds == ["Error"]


@in_virtual_time
async def test_a_language_that_the_recogniser_does_not_have_is_refused_before_any_audio() -> None:
    recogniser = FakeRecogniser()
    recogniser.models = [RivaModel("tiny-de", ("de-DE",))]
    async with ListenConnection(recogniser=recogniser) as connection:
        assert await closed(connection) == (1008, "unknown_language")

    assert not connection.store.sessions


@in_virtual_time
async def test_a_bad_query_is_refused_and_audio_of_another_kind_too() -> None:
    class BadQuery(ListenConnection):
        query = b"encoding=speex"

    async with BadQuery() as refused:
        # This server side cannot deny a handshake, so the connection is accepted, told and closed.
        assert await closed(refused) == (1008, "bad_config")
    async with ListenConnection() as connection:
        connection.speak(b"fLaC" + bytes(2000))
        assert await closed(connection) == (1008, "DATA-0000")
