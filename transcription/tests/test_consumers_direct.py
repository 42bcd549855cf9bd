"""The transcription socket on a server that offers its connection directly."""

from __future__ import annotations

import json
from typing import Any

from speechsite.websocket.direct import EXTENSION, Taker
from transcription.engine.intake import CREDIT_S
from transcription.limits.connection_limits import COUNTED_BELOW_BYTES
from transcription.tests.live_session import SECOND, SPEECH, final, interim
from transcription.tests.test_consumers import Connection


class DirectlyConnected(Connection):
    """A Connection that is a DirectConnection too; `direct_texts` went that way. `takes`: what it answers a client's
    binary message with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.extensions = {EXTENSION: {"connection": self}}
        self.direct_texts: list[str] = []
        self.takes: Taker = lambda _data: False

    def take_binary(self, taker: Taker) -> None:
        self.takes = taker

    @property
    def can_send(self) -> bool:
        return self.reads.is_set()

    def send_text(self, text: str) -> None:
        self.direct_texts.append(text)
        self.sent.append({"type": "websocket.send", "text": text})
        self._changed.set()

    @property
    def told(self) -> list[str]:
        """The texts of the transcript events that were sent directly."""
        return [said["text"] for said in map(json.loads, self.direct_texts) if said["event"] == "transcript"]


async def test_audio_is_taken_as_it_is_read_and_results_are_sent_as_they_are_heard() -> None:
    async with DirectlyConnected() as connection:
        stream = await connection.started()
        assert connection.takes(SPEECH[:SECOND])
        await stream.heard(SECOND)

        stream.say(interim("hello"), final("hello there"))
        await connection.until(lambda: len(connection.told) == 2)

        assert connection.told == ["hello", "hello there"]


async def test_what_comes_before_the_session_or_is_small_is_left_to_the_reader() -> None:
    async with DirectlyConnected() as connection:
        assert not connection.takes(SPEECH[:SECOND])
        await connection.started()
        assert not connection.takes(SPEECH[: COUNTED_BELOW_BYTES - 1])


async def test_audio_past_the_credit_is_left_to_the_reader_who_waits() -> None:
    async with DirectlyConnected(max_audio_message_bytes=2 * SECOND) as connection:
        await connection.started()
        taken_s = 0
        while connection.takes(SPEECH[:SECOND]):
            taken_s += 1

        assert taken_s == CREDIT_S


async def test_audio_that_is_too_large_is_left_to_the_reader_who_tells_the_error() -> None:
    async with DirectlyConnected(max_audio_message_bytes=SECOND) as connection:
        await connection.started()

        assert not connection.takes(bytes(SECOND + 2))


async def test_results_wait_for_a_client_that_does_not_read() -> None:
    async with DirectlyConnected() as connection:
        stream = await connection.started()
        connection.takes(SPEECH[:SECOND])
        await stream.heard(SECOND)
        connection.reads.clear()

        stream.say(final("first", end_ms=500), final("second", start_ms=500))
        await connection.store.wait_until("my-id", segments=2)
        assert connection.told == []

        connection.reads.set()
        await connection.until(lambda: [e["text"] for e in connection.events if e["event"] == "transcript"] != [])
        assert [e["text"] for e in connection.events if e["event"] == "transcript"][:1] == ["first"]
