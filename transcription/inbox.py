"""A connection's incoming messages, in order, also while something that takes long is waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from transcription.waiting import cancelled

DISCONNECTED = "websocket.disconnect"
# Beyond it a client waits: no dialect wants more before its answer.
MAX_WAITING_MESSAGES = 64

Message = dict[str, Any]
T = TypeVar("T")


class Disconnected(Exception):
    """The client went while something was done for it; what was done is cancelled."""


class Inbox:
    """receive: of the ASGI server. One task reads."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._waiting: deque[Message] = deque()
        self._receiving: asyncio.Task[Message] | None = None
        # Whether everything that came was taken, and `next` waits for more.
        self.is_waiting = False

    async def next(self) -> Message:
        if self._waiting:
            return self._waiting.popleft()
        self.is_waiting = True
        try:
            # Straight from the server: a task for each message of audio would cost as much as the rest of its way.
            return await (self._receive() if self._receiving is None else self._next_received())
        finally:
            self.is_waiting = False

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work for the client. Raises Disconnected, and cancels it, as soon as the client has gone.

        Otherwise a connection that is given up could still take a session away from the one that came after it.
        """
        working = asyncio.ensure_future(work)
        try:
            while not working.done() and len(self._waiting) < MAX_WAITING_MESSAGES:
                receiving = self._start_receiving()
                waiting: set[asyncio.Future[Any]] = {working, receiving}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    self._waiting.append(await self._next_received())
                    if self._waiting[-1]["type"] == DISCONNECTED and not working.done():
                        raise Disconnected
            return await working
        finally:
            await cancelled(working)

    async def aclose(self) -> None:
        if self._receiving is not None:
            await cancelled(self._receiving)

    async def _next_received(self) -> Message:
        receiving = self._start_receiving()
        message = await receiving
        self._receiving = None
        return message

    def _start_receiving(self) -> asyncio.Task[Message]:
        """The one call of the server's receive that is under way: to cancel it could lose a message."""
        if self._receiving is None:
            self._receiving = asyncio.create_task(self._call_receive())
        return self._receiving

    async def _call_receive(self) -> Message:
        return await self._receive()
