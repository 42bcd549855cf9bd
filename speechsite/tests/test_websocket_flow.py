"""What the WebSocket class does step by step, on a transport that only notes what it is told."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest
import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from speechsite.tests.websocket_client import HEADERS, closing, masked
from speechsite.websocket.frames import BINARY, CLOSE, FIN, PING, PONG, TEXT
from speechsite.websocket.protocol import MAX_WAITING_BYTES, WebSocketProtocol

MAX_QUEUE = 8
REQUEST = b"GET /here HTTP/1.1\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in HEADERS) + b"\r\n"


class NotingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reads = True
        self.ended = False
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Connection:
    """An open WebSocket: what the transport calls on one side, what an application calls on the other."""

    receive: Any
    send: Any

    def __init__(self, root_path: str = "") -> None:
        self.transport = NotingTransport()
        self.scope: dict[str, Any] = {}
        self._called = asyncio.Event()
        self.state: Any = ServerState()
        config = uvicorn.Config(
            self._application, interface="asgi3", lifespan="off", ws_max_queue=MAX_QUEUE, root_path=root_path
        )
        config.load()
        self.protocol = WebSocketProtocol(config, self.state, {"of": "the lifespan"})

    @classmethod
    async def ask(cls, **options: Any) -> Self:
        connection = cls(**options)
        connection.protocol.connection_made(connection.transport)
        connection.protocol.data_received(REQUEST)
        await connection._called.wait()
        assert (await connection.receive())["type"] == "websocket.connect"
        return connection

    @classmethod
    async def open(cls) -> Self:
        connection = await cls.ask()
        await connection.send({"type": "websocket.accept"})
        connection.transport.written.clear()
        return connection

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self._called.set()
        await asyncio.get_running_loop().create_future()

    def hear(self, data: bytes) -> None:
        self.protocol.data_received(data)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.protocol in self.state.connections:
            self.protocol.connection_lost(None)
        for task in list(self.state.tasks):
            task.cancel()
            await asyncio.wait([task])


def at_once(coroutine: Any) -> Any:
    """The result of a coroutine that does not suspend."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


async def test_a_message_that_is_there_is_received_and_one_is_sent_without_a_turn_of_the_loop() -> None:
    async with await Connection.open() as connection:
        connection.hear(masked(TEXT, b"one") + masked(BINARY, b"two"))

        assert at_once(connection.receive()) == {"type": "websocket.receive", "text": "one"}
        assert at_once(connection.receive()) == {"type": "websocket.receive", "bytes": b"two"}
        at_once(connection.send({"type": "websocket.send", "text": "answer", "bytes": None}))
        assert connection.transport.written == [b"\x81\x06answer"]


async def test_a_scope_has_the_root_path_and_the_state_of_the_lifespan() -> None:
    async with await Connection.ask(root_path="/below") as connection:
        assert connection.scope["path"] == "/below/here"
        assert connection.scope["raw_path"] == b"/below/here"
        assert connection.scope["root_path"] == "/below"
        assert connection.scope["state"] == {"of": "the lifespan"}
        assert connection.protocol in connection.state.connections


async def test_reading_pauses_above_its_bound_and_goes_on_when_all_is_taken() -> None:
    async with await Connection.open() as connection:
        connection.hear(masked(BINARY, b"x" * MAX_WAITING_BYTES))
        assert connection.transport.reads
        connection.hear(masked(BINARY, b"y"))
        assert not connection.transport.reads

        await connection.receive()
        assert not connection.transport.reads
        await connection.receive()
        assert connection.transport.reads


async def test_messages_beyond_the_bound_wait_as_bytes_and_keep_their_order() -> None:
    async with await Connection.open() as connection:
        texts = [str(number) for number in range(3 * MAX_QUEUE)]
        connection.hear(b"".join(masked(TEXT, text.encode()) for text in texts) + masked(PING, b"last"))
        assert not connection.transport.reads
        assert connection.transport.written == []

        assert [(await connection.receive())["text"] for _ in texts] == texts
        assert connection.transport.reads
        assert connection.transport.written == [b"\x8a\x04last"]


async def test_what_came_before_the_connection_was_lost_is_still_told() -> None:
    async with await Connection.open() as connection:
        count = 2 * MAX_QUEUE
        connection.hear(masked(BINARY, b"x") * count + closing(4000, b"bye"))
        connection.transport.closed = True
        connection.protocol.connection_lost(ConnectionResetError())

        heard = [(await connection.receive())["type"] for _ in range(count)]

        assert heard == ["websocket.receive"] * count
        assert await connection.receive() == {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
        with pytest.raises(ClientDisconnected):
            await connection.send({"type": "websocket.send", "text": "too late"})


async def test_nothing_is_heard_between_the_connect_and_the_acceptance() -> None:
    async with await Connection.ask() as connection:
        connection.hear(masked(BINARY, b"x" * (MAX_WAITING_BYTES + 1)))
        assert not connection.transport.reads
        receiving = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        assert not receiving.done()

        await connection.send({"type": "websocket.accept"})

        assert len((await receiving)["bytes"]) == MAX_WAITING_BYTES + 1
        assert connection.transport.reads


async def test_one_task_receives_and_a_cancelled_one_loses_nothing() -> None:
    async with await Connection.open() as connection:
        first = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two tasks"):
            await connection.receive()

        connection.hear(masked(TEXT, b"kept"))
        first.cancel()
        await asyncio.wait([first])

        assert first.cancelled()
        assert (await connection.receive())["text"] == "kept"


async def test_senders_wait_while_the_client_takes_nothing() -> None:
    async with await Connection.open() as connection:
        connection.protocol.pause_writing()
        senders = [asyncio.ensure_future(connection.send({"type": "websocket.send", "text": t})) for t in "ab"]
        await asyncio.sleep(0)
        connection.hear(masked(PING, b"1") + masked(PING, b"2"))
        assert connection.transport.written == []

        connection.protocol.resume_writing()
        await asyncio.gather(*senders)

        assert sorted(connection.transport.written) == [b"\x81\x01a", b"\x81\x01b", b"\x8a\x012"]


async def test_senders_that_wait_hear_of_the_end() -> None:
    async with await Connection.open() as connection:
        connection.protocol.pause_writing()
        sending = asyncio.ensure_future(connection.send({"type": "websocket.send", "text": "a"}))
        await asyncio.sleep(0)

        connection.protocol.connection_lost(None)

        with pytest.raises(ClientDisconnected):
            await sending


async def test_a_close_waits_for_nobody_and_what_comes_after_it_is_dropped() -> None:
    async with await Connection.open() as connection:
        connection.hear(masked(BINARY, b"x" * (MAX_WAITING_BYTES + 1)))
        connection.protocol.pause_writing()

        at_once(connection.send({"type": "websocket.close", "code": 4001}))

        assert connection.transport.written == [bytes([FIN | CLOSE, 2]) + (4001).to_bytes(2)]
        assert connection.transport.reads
        connection.hear(masked(TEXT, b"crossing"))
        assert (await connection.receive())["type"] == "websocket.receive"
        assert (await connection.receive())["code"] == 4001
        assert not connection.transport.closed
        connection.hear(closing(4001))
        assert connection.transport.closed


async def test_a_broken_protocol_ends_the_stream_and_is_read_to_its_end() -> None:
    async with await Connection.open() as connection:
        connection.hear(masked(TEXT, b"good") + b"\xff\xff")

        assert connection.transport.written[0][:4] == b"\x88\x0f\x03\xea"
        assert connection.transport.ended
        assert connection.transport.reads
        connection.hear(masked(TEXT, b"dropped"))
        assert (await connection.receive())["text"] == "good"
        assert (await connection.receive())["code"] == 1002
        with pytest.raises(ClientDisconnected):
            await connection.send({"type": "websocket.send", "text": "a"})


async def test_no_pong_follows_the_end() -> None:
    async with await Connection.open() as connection:
        connection.protocol.pause_writing()
        connection.hear(masked(PING, b"a") + b"\xff\xff")
        connection.transport.written.clear()

        connection.protocol.resume_writing()

        assert connection.transport.written == []


async def test_an_unasked_pong_is_nothing() -> None:
    async with await Connection.open() as connection:
        connection.hear(masked(PONG, b"a") + masked(TEXT, b"b"))

        assert at_once(connection.receive())["text"] == "b"
        assert connection.transport.written == []
