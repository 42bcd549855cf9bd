"""What an application does with its connection without receive() and send()."""

from __future__ import annotations

import asyncio

from speechsite.tests.test_websocket_flow import Connection
from speechsite.tests.websocket_client import masked
from speechsite.websocket.direct import DirectConnection, direct_connection
from speechsite.websocket.frames import BINARY, TEXT


class Taken:
    """Takes everything."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def __call__(self, data: bytes) -> bool:
        self.messages.append(data)
        return True


def direct(connection: Connection) -> DirectConnection:
    found = direct_connection(connection.scope)
    assert found is not None
    return found


async def test_binary_messages_are_handed_over_while_the_application_waits_for_more() -> None:
    async with await Connection.open() as connection:
        taken = Taken()
        direct(connection).take_binary(taken)
        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)

        connection.hear(masked(BINARY, b"one") + masked(BINARY, b"two") + masked(TEXT, b"end"))

        assert taken.messages == [b"one", b"two"]
        assert await receiving == {"type": "websocket.receive", "text": "end"}


async def test_nothing_is_handed_over_before_what_came_earlier_was_received() -> None:
    async with await Connection.open() as connection:
        taken = Taken()
        direct(connection).take_binary(taken)
        connection.hear(masked(BINARY, b"nobody waits"))
        assert await connection.receive() == {"type": "websocket.receive", "bytes": b"nobody waits"}

        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.hear(masked(TEXT, b"first") + masked(BINARY, b"second"))
        connection.hear(masked(BINARY, b"third"))

        assert await receiving == {"type": "websocket.receive", "text": "first"}
        assert await connection.receive() == {"type": "websocket.receive", "bytes": b"second"}
        assert await connection.receive() == {"type": "websocket.receive", "bytes": b"third"}
        assert taken.messages == []


async def test_what_is_not_taken_is_received() -> None:
    async with await Connection.open() as connection:
        direct(connection).take_binary(lambda _data: False)
        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)

        connection.hear(masked(BINARY, b"audio"))

        assert await receiving == {"type": "websocket.receive", "bytes": b"audio"}


async def test_text_is_sent_directly_while_the_client_takes_it() -> None:
    async with await Connection.open() as connection:
        assert direct(connection).can_send
        direct(connection).send_text("answer")
        assert connection.transport.written == [b"\x81\x06answer"]

        connection.protocol.pause_writing()
        assert not direct(connection).can_send
        connection.protocol.resume_writing()
        assert direct(connection).can_send


async def test_nothing_is_sent_directly_once_the_connection_has_ended() -> None:
    async with await Connection.open() as connection:
        connection.protocol.connection_lost(None)

        assert not direct(connection).can_send
        assert (await connection.receive())["type"] == "websocket.disconnect"


def test_a_server_without_the_extension_offers_no_connection() -> None:
    assert direct_connection({"type": "websocket"}) is None
    assert direct_connection({"type": "websocket", "extensions": {"websocket.http.response": {}}}) is None
