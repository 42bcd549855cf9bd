"""A connection's incoming messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from transcription.inbox import DISCONNECTED, MAX_WAITING_MESSAGES, Disconnected, Inbox


class Server:
    """The ASGI server's side: messages as the test puts them."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.inbox = Inbox(self.messages.get)

    def put(self, text: str) -> None:
        self.messages.put_nowait({"type": "websocket.receive", "text": text})

    def disconnect(self) -> None:
        self.messages.put_nowait({"type": DISCONNECTED})

    async def texts(self, count: int) -> list[str]:
        return [(await self.inbox.next())["text"] for _ in range(count)]


async def test_messages_that_come_meanwhile_wait_their_turn() -> None:
    server, gate = Server(), asyncio.Event()

    async def work() -> str:
        await gate.wait()
        return "done"

    working = asyncio.create_task(server.inbox.while_connected(work()))
    server.put("a")
    server.put("b")
    await asyncio.sleep(0)
    gate.set()
    assert await working == "done"
    server.put("c")
    assert await server.texts(3) == ["a", "b", "c"]
    await server.inbox.aclose()


async def test_what_is_done_for_a_client_that_goes_is_cancelled() -> None:
    server, was_cancelled = Server(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    server.put("a")
    server.disconnect()
    with pytest.raises(Disconnected):
        await server.inbox.while_connected(work())
    assert was_cancelled.is_set()
    assert await server.texts(1) == ["a"]
    assert (await server.inbox.next())["type"] == DISCONNECTED


async def test_an_error_of_the_work_is_raised() -> None:
    server = Server()

    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await server.inbox.while_connected(work())
    server.put("a")
    assert await server.texts(1) == ["a"], "the call of receive that was under way is not lost"


async def test_what_waits_meanwhile_is_bounded() -> None:
    server, gate = Server(), asyncio.Event()

    async def work() -> None:
        await gate.wait()

    for number in range(2 * MAX_WAITING_MESSAGES):
        server.put(str(number))
    working = asyncio.create_task(server.inbox.while_connected(work()))
    for _ in range(10 * MAX_WAITING_MESSAGES):  # turns of the loop, in which it could take all of them
        await asyncio.sleep(0)
    assert server.messages.qsize() == MAX_WAITING_MESSAGES
    gate.set()
    await working
    assert await server.texts(2 * MAX_WAITING_MESSAGES) == [str(number) for number in range(2 * MAX_WAITING_MESSAGES)]
