"""What a stream has to tell its client, in order, with a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from .listening import HeardSegment

# Past this many the stream stops hearing (and so reading) until the client reads its results.
MAX_WAITING = 6


@dataclass(frozen=True, slots=True)
class Final:
    """A finished segment whose text is on its way."""

    segment: HeardSegment
    text: asyncio.Future[str]


@dataclass(frozen=True, slots=True)
class Interim:
    """What an open segment says so far."""

    segment: HeardSegment
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything before settled_s is done with, without words."""

    settled_s: float


Message = Final | Interim | Progress


class Outbox:
    """Filled by the listening task, emptied by the writing one, both on one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False
        self._error: BaseException | None = None

    def put(self, message: Message) -> None:
        """Add a message. Progress and interims replace one of their kind that still waits last."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and not isinstance(message, Final) and type(last) is type(message):
            self._waiting.pop()
        self._waiting.append(message)
        if len(self._waiting) >= MAX_WAITING:
            self._has_room.clear()
        self._changed.set()

    async def wait_for_room(self) -> None:
        """Return once there is room for what the next piece of audio may bring."""
        await self._has_room.wait()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing follows. With an error, what waits is dropped and `get` raises it."""
        self._is_closed, self._error = True, error
        self._changed.set()

    async def get(self) -> Message | None:
        """The next message; None at the end. Raises the error the outbox was closed with."""
        while not self._waiting or self._error is not None:
            if self._error is not None:
                raise self._error
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._waiting.popleft()
        if len(self._waiting) < MAX_WAITING:
            self._has_room.set()
        return message

    def cancel(self) -> None:
        """Give up the work that waiting finals stand for."""
        for message in self._waiting:
            if isinstance(message, Final):
                message.text.cancel()
        self._waiting.clear()
