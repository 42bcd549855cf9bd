"""A bug of ours, wherever it is, costs its session a connection and nothing else: row 34 of the fault matrix."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from transcription import commands
from transcription.consumers import TranscriptionConsumer
from transcription.dialects.native import NativeDialect
from transcription.events import Ack, Event
from transcription.storage.steps import Step
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SECOND, SPEECH, final
from transcription.tests.memory_store import MemoryStore
from transcription.tests.test_consumers import Connection, closed
from transcription.tests.virtual_time import in_virtual_time


class Bug(Exception):
    """What no code expects."""


class BuggyWhenHearing(NativeDialect):
    def on_binary(self, chunk: bytes) -> Sequence[commands.Command]:
        raise Bug


class BuggyWhenReading(NativeDialect):
    def on_text(self, text: str) -> Sequence[commands.Command]:
        if "finalize" in text:
            raise Bug
        return super().on_text(text)


class BuggyWhenTelling(NativeDialect):
    def render(self, event: Event) -> Sequence[str]:
        if isinstance(event, Ack) and event.received:
            raise Bug
        return super().render(event)


class BuggyStore(MemoryStore):
    """Fails over the second commit."""

    has_failed = False

    def _store(self, step: Step) -> None:
        if self.steps and not self.has_failed:
            self.has_failed = True
            raise Bug
        super()._store(step)


def connection_of(dialect: type[NativeDialect], **options: Any) -> Connection:
    class BuggyConsumer(TranscriptionConsumer):
        dialect_class = dialect

    class BuggyConnection(Connection):
        consumer_class = BuggyConsumer

    return BuggyConnection(**options)


async def hear(connection: Connection) -> None:
    for _ in range(3):
        connection.speak(SPEECH)


async def read(connection: Connection) -> None:
    connection.say(type="finalize")


async def listen(connection: Connection) -> None:
    connection.recogniser.streams[-1].fail(Bug())


async def store_more(connection: Connection) -> None:
    connection.recogniser.streams[-1].say(final("two", start_ms=1000, end_ms=2000))


@pytest.mark.parametrize(
    ("dialect", "store_class", "provoke"),
    [
        (BuggyWhenHearing, MemoryStore, hear),
        (BuggyWhenReading, MemoryStore, read),
        (BuggyWhenTelling, MemoryStore, hear),
        (NativeDialect, MemoryStore, listen),
        (NativeDialect, BuggyStore, store_more),
    ],
    ids=["audio", "text", "telling", "recogniser", "store"],
)
@in_virtual_time
async def test_row_34_after_a_bug_the_session_is_taken_up_again_without_loss(
    dialect: type[NativeDialect], store_class: type[MemoryStore], provoke: Any
) -> None:
    recogniser = FakeRecogniser()
    async with connection_of(dialect, store=store_class(), recogniser=recogniser) as broken:
        stream = await broken.started()
        token = resume_token(broken)
        if provoke is not hear:
            broken.speak(SPEECH)
            await stream.heard(SECOND)
        stream.say(final("one"))
        await broken.until(lambda: "transcript" in broken.kinds)
        await provoke(broken)
        assert await closed(broken) == 4500
        await asyncio.sleep(1)
        assert stream.is_cancelled

    assert [event["code"] for event in broken.events if event["event"] == "error"] == [4500]
    assert broken.ending is not None
    assert broken.ending.state == "detached"
    await goes_on(broken.store, token)


def resume_token(connection: Connection) -> str:
    [event] = [event for event in connection.events if event["event"] == "transcription_started"]
    return str(event["resume_token"])


async def goes_on(store: MemoryStore, token: str) -> None:
    async with Connection(store=store, recogniser=FakeRecogniser(last_words=[final("three")])) as connection:
        connection.say(type="resume_transcription", resume_token=token, received_segments=1)
        await connection.until(lambda: "transcription_resumed" in connection.kinds)
        connection.speak(SPEECH)
        connection.say(type="stop_transcription")
        assert await closed(connection) == 1000

    assert store.sessions["my-id"].segments[0].text == "one"
    assert connection.events[-1]["event"] == "transcription_stopped"
