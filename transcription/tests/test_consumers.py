"""The transcription socket without a server: what takes long in real time, and what no client can provoke."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self, cast

import pytest

from speechsite.config import Config
from transcription.consumers import TranscriptionConsumer
from transcription.dialects.base import Dialect
from transcription.engine import end as ends
from transcription.engine.outbox import MAX_EVENTS, STUCK_S
from transcription.errors import StorageUnavailable
from transcription.limits.connection_limits import CONTROL_MESSAGES_BURST
from transcription.storage.steps import Ending, NewSession, SessionHandle
from transcription.tests.fake_recogniser import FakeRecogniser, FakeStream
from transcription.tests.live_session import SECOND, SPEECH, final, interim
from transcription.tests.memory_store import MemoryStore
from transcription.tests.old_tokens import expired_token
from transcription.tests.still_process import StillProcess
from transcription.tests.virtual_time import in_virtual_time

HEADERS = [(b"host", b"localhost")]


class BuggyStore(MemoryStore):
    async def create(self, new: NewSession) -> SessionHandle:
        raise ZeroDivisionError


class Connection:
    """The ASGI server's side of one connection. While `reads` is not set, sending to the client waits."""

    consumer_class = TranscriptionConsumer
    # None: that of the consumer's class.
    dialect_class: type[Dialect] | None = None
    query = b""

    def __init__(
        self,
        *,
        store: MemoryStore | None = None,
        recogniser: FakeRecogniser | None = None,
        token: str = "",
        process: StillProcess | None = None,
        session_id: str = "my-id",
        **settings: Any,
    ) -> None:
        """process: that of an earlier connection, with its store and recogniser."""
        if process is None:
            store = store or MemoryStore(clock=asyncio.get_running_loop().time)
            process = StillProcess(Config(**settings), recogniser=recogniser or FakeRecogniser(), store=store)
        self.process = process
        self.store = cast(MemoryStore, process.store)
        self.recogniser = cast(FakeRecogniser, process.recogniser)
        self._session_id = session_id
        self.extensions: dict[str, Any] = {}
        self.offered = ["speech.v1", f"speech.token.{token}"] if token else []
        self.sent: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        scope = {
            "type": "websocket",
            "extensions": self.extensions,
            "path": f"/api/v1/transcribe/{self._session_id}",
            "scheme": "ws",
            "url_route": {"kwargs": {"session_id": self._session_id}},
            "client": ("127.0.0.1", 1),
            "headers": HEADERS,
            "query_string": self.query,
            "subprotocols": self.offered,
        }
        consumer = self.consumer_class(
            dialect_class=self.dialect_class, process_of=lambda: self.process, clock=asyncio.get_running_loop().time
        )
        self.running = asyncio.create_task(consumer(scope, self._received.get, self._send))
        self.put({"type": "websocket.connect"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.put({"type": "websocket.disconnect", "code": 1000})
            await asyncio.wait_for(asyncio.shield(self.running), 60)
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def put(self, message: dict[str, Any]) -> None:
        self._received.put_nowait(message)

    def say(self, **message: Any) -> None:
        self.put({"type": "websocket.receive", "text": json.dumps(message)})

    def speak(self, chunk: bytes) -> None:
        self.put({"type": "websocket.receive", "bytes": chunk})

    async def started(self) -> FakeStream:
        self.say(type="start_transcription")
        await self.until(lambda: "transcription_started" in self.kinds)
        return self.recogniser.streams[-1]

    async def until(self, is_so: Any) -> None:
        async with asyncio.timeout(600):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.sent.append(message)
        self._changed.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def closes(self) -> list[int]:
        return [message["code"] for message in self.sent if message["type"] == "websocket.close"]

    @property
    def ending(self) -> Ending | None:
        return self.store.sessions["my-id"].ending


async def closed(connection: Connection) -> int:
    await connection.until(lambda: connection.closes)
    [code] = connection.closes
    return code


@in_virtual_time
async def test_a_session_goes_from_handshake_to_close() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hello")])) as connection:
        stream = await connection.started()
        connection.speak(SPEECH)
        connection.say(type="stop_transcription")
        assert await closed(connection) == 1000

    assert stream.audio == SPEECH
    assert connection.sent[0]["type"] == "websocket.accept"
    assert connection.kinds[0] == "session_created"
    assert connection.kinds[-1] == "transcription_stopped"
    assert connection.process.live_session_count == 0


@in_virtual_time
async def test_a_slow_reader_gets_the_newest_interim_and_every_final() -> None:
    async with Connection() as connection:
        stream = await connection.started()
        await asyncio.sleep(0)
        connection.reads.clear()
        for number in range(2000):
            stream.say(interim(f"interim {number}"))
            if number % 100 == 0:
                stream.say(final(f"final {number}"))
        await asyncio.sleep(5)
        connection.reads.set()
        connection.say(type="stop_transcription")
        assert await closed(connection) == 1000

    texts = [event["text"] for event in connection.events if event["event"] == "transcript" and event["is_final"]]
    assert texts[:20] == [f"final {number}" for number in range(0, 2000, 100)]
    interims = [event for event in connection.events if event["event"] == "transcript" and not event["is_final"]]
    assert interims[-1]["text"] == "interim 1999"
    assert len(interims) <= 3


@in_virtual_time
async def test_a_client_that_reads_nothing_is_given_up_and_its_words_are_kept() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("last")])) as connection:
        stream = await connection.started()
        connection.reads.clear()
        started_at_s = asyncio.get_running_loop().time()
        stream.say(final("hello"))
        await asyncio.wait_for(asyncio.shield(connection.running), 600)
        took_s = asyncio.get_running_loop().time() - started_at_s

    assert STUCK_S <= took_s <= STUCK_S + 2
    assert [segment.text for segment in connection.store.sessions["my-id"].segments] == ["hello"]
    assert [segment.text for segment in connection.store.sessions["my-id"].tails] == ["last"]
    assert connection.ending is not None
    assert (connection.ending.state, connection.ending.reason) == ("detached", "slow_reader")
    assert stream.is_cancelled


@in_virtual_time
async def test_what_waits_for_a_client_that_reads_nothing_is_bounded() -> None:
    async with Connection() as connection:
        stream = await connection.started()
        connection.reads.clear()
        sent = len(connection.sent)
        stream.say(*(final(f"final {number}") for number in range(MAX_EVENTS + 50)))
        await asyncio.wait_for(asyncio.shield(connection.running), STUCK_S / 2)
        connection.reads.set()

    assert len(connection.sent) - sent <= 1
    assert len(connection.store.sessions["my-id"].segments) == MAX_EVENTS + 50


@in_virtual_time
async def test_a_client_that_never_starts_is_timed_out_after_ten_seconds() -> None:
    async with Connection() as connection:
        connection.say(type="keepalive")
        assert await closed(connection) == 4408
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)

    assert connection.events[-1]["reason"] == "start_timeout"
    assert connection.store.sessions == {}


@in_virtual_time
async def test_a_bug_while_starting_is_told_as_our_fault() -> None:
    async with Connection(store=BuggyStore()) as connection:
        connection.say(type="start_transcription")
        assert await closed(connection) == 4500

    assert connection.events[-1]["code"] == 4500
    assert connection.process.live_session_count == 0


@in_virtual_time
async def test_a_bug_while_transcribing_is_told_as_our_fault() -> None:
    async with Connection() as connection:
        stream = await connection.started()
        stream.fail(ZeroDivisionError())
        assert await closed(connection) == 4500

    assert [event["code"] for event in connection.events if event["event"] == "error"] == [4500]
    assert connection.ending is not None
    assert connection.ending.state == "detached"


@in_virtual_time
async def test_an_early_bad_message_does_not_name_a_later_close() -> None:
    async with Connection() as connection:
        await connection.started()
        connection.say(type="nonsense")
        connection.say(type="stop_transcription")
        assert await closed(connection) == 1000


@in_virtual_time
async def test_bad_messages_after_the_stop_do_not_name_the_close() -> None:
    async with Connection(recogniser=FakeRecogniser(ends=False)) as connection:
        stream = await connection.started()
        connection.say(type="stop_transcription")
        await stream.half_closed()
        for _ in range(5):
            connection.say(type="nonsense")
        await asyncio.sleep(1)
        stream.end_ok()
        assert await closed(connection) == 1000

    assert connection.kinds[-1] == "transcription_stopped"


@in_virtual_time
async def test_a_disconnect_stores_the_last_words_and_releases_everything() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hello")])) as connection:
        stream = await connection.started()
        connection.speak(SPEECH)
        await stream.heard(SECOND)
        await asyncio.sleep(1)
        told = len(connection.sent)
        connection.put({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(asyncio.shield(connection.running), 60)

    assert len(connection.sent) == told, "nobody is there to be told"
    assert connection.ending is not None
    assert (connection.ending.state, connection.ending.reason) == ("detached", "client_lost")
    assert connection.closes == []
    assert stream.is_cancelled
    assert connection.process.sessions == {}


@in_virtual_time
async def test_a_connection_that_is_cancelled_still_stores_the_end_of_its_session() -> None:
    """As daphne does when it is told to end."""
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hello")])) as connection:
        await connection.started()
        connection.running.cancel()
        await asyncio.gather(connection.running, return_exceptions=True)
        connection.running = asyncio.create_task(asyncio.sleep(0))

    assert connection.ending is not None
    assert connection.ending.reason == "client_lost"


@in_virtual_time
async def test_a_server_that_drains_refuses_new_sessions() -> None:
    async with Connection() as connection:
        connection.process.draining = True
        connection.say(type="start_transcription")
        assert await closed(connection) == 4503

    assert connection.events[-1]["reason"] == "draining"
    assert connection.store.sessions == {}


@in_virtual_time
async def test_a_drain_ends_sessions_with_their_last_words() -> None:
    async with Connection(recogniser=FakeRecogniser(last_words=[final("hello")])) as connection:
        await connection.started()
        await connection.process.drain(10)
        assert connection.process.sessions == {}
        assert await closed(connection) == 4503

    assert "hello" in [event.get("text") for event in connection.events]


@in_virtual_time
async def test_a_session_that_slips_into_a_drain_is_drained_too() -> None:
    async with Connection() as connection:
        process = connection.process
        connection.say(type="start_transcription")
        new = await process.new_session(
            session_id="late",
            principal=(await _principal(connection)),
            options={},
            client_address=None,
            user_agent="",
            dialect="native",
        )
        late = process.transcribe(new, emit=lambda _event: None)
        await process.drain(10)
        await process.run(late)
        assert await closed(connection) == 4503

    assert late.closing_error is not None
    assert late.closing_error.reason == "draining"


async def _principal(connection: Connection) -> Any:
    await connection.until(lambda: "transcription_started" in connection.kinds)
    return connection.store.sessions["my-id"].principal


@in_virtual_time
async def test_an_operator_stops_the_session_of_this_process() -> None:
    async with Connection() as connection:
        await connection.started()
        [live] = connection.process.sessions.values()
        live.end(ends.operator_stop("Quiet please"))
        assert await closed(connection) == 4490

    assert connection.kinds[-2:] == ["transcription_stopped", "error"]


@in_virtual_time
async def test_a_store_that_gives_up_closes_the_connection() -> None:
    store = MemoryStore(fail_commits=[StorageUnavailable("The database does not answer.")])
    async with Connection(store=store) as connection:
        stream = await connection.started()
        stream.say(final("hello"))
        assert await closed(connection) == 4507

    assert connection.events[-1]["retryable"] is True


@in_virtual_time
async def test_control_messages_at_a_permitted_pace_are_let_through() -> None:
    async with Connection() as connection:
        await connection.started()
        for _ in range(10 * CONTROL_MESSAGES_BURST):
            connection.say(type="keepalive")
            await asyncio.sleep(0.1)
        connection.say(type="stop_transcription")
        assert await closed(connection) == 1000


@in_virtual_time
async def test_a_start_token_that_has_expired_starts_nothing() -> None:
    async with Connection(token=expired_token("my-id")) as connection:
        connection.say(type="start_transcription")
        assert await closed(connection) == 4401
    assert connection.events[-1]["reason"] == "token_expired"
    assert connection.store.sessions == {}


@in_virtual_time
async def test_a_start_token_that_has_expired_takes_up_its_session_and_no_other() -> None:
    async with Connection() as first:
        await first.started()
    resume_token = next(event["resume_token"] for event in first.events if event["event"] == "transcription_started")
    async with Connection(store=first.store, token=expired_token("another")) as stranger:
        stranger.say(type="resume_transcription", resume_token=resume_token)
        assert await closed(stranger) == 4404
    async with Connection(store=first.store, token=expired_token("my-id")) as second:
        second.say(type="resume_transcription", resume_token=resume_token)
        await second.until(lambda: "transcription_resumed" in second.kinds)
