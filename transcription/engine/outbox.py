"""What waits to be sent to one client. Bounded: a newer interim or acknowledgement replaces an unsent one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from transcription import metrics
from transcription.errors import TimedOutClient
from transcription.events import Ack, Event, Interim

MAX_EVENTS = 256
# Where more waits whoever asks for answers waits too, before reading on.
ROOMY_EVENTS = 64
STUCK_S = 30.0


class Outbox:
    """Events in the order they happened. One task takes them out; `put` never waits."""

    __slots__ = ("_clock", "_closed", "_events", "_room_made", "_sending_since_s", "_wanted", "overflowed")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._events: deque[Event] = deque()
        self._clock = clock
        self._wanted = asyncio.Event()
        self._room_made = asyncio.Event()
        self._closed = False
        self._sending_since_s: float | None = None
        self.overflowed = False

    @property
    def is_idle(self) -> bool:
        """Whether everything is sent, so that the next event may be sent right away."""
        if self._closed or self.overflowed:
            return False
        return not self._events and self._sending_since_s is None

    @property
    def has_room(self) -> bool:
        return len(self._events) < ROOMY_EVENTS or self._closed or self.overflowed

    async def wait_for_room(self) -> None:
        """Wait until has_room: a client that reads nothing is ended by check() meanwhile."""
        while not self.has_room:
            self._room_made.clear()
            await self._room_made.wait()

    def put(self, event: Event) -> None:
        """Add an event. Past MAX_EVENTS the client reads too slowly, see check(), and nothing more is added."""
        if self._closed or self.overflowed:
            return
        if isinstance(event, Interim | Ack):
            self._drop_older(event)
        if len(self._events) >= MAX_EVENTS:
            self.overflowed = True
            self._room_made.set()
            return
        self._events.append(event)
        self._wanted.set()

    def _drop_older(self, event: Interim | Ack) -> None:
        for index in range(len(self._events) - 1, -1, -1):
            if type(self._events[index]) is type(event):
                del self._events[index]
                if isinstance(event, Interim):
                    metrics.OUTBOUND_DROPPED_INTERIMS_TOTAL.inc()
                return

    def close(self) -> None:
        """No event comes after those that are in."""
        self._closed = True
        self._wanted.set()
        self._room_made.set()

    async def events(self) -> AsyncIterator[Event]:
        """Each event; the time until the next one is asked for counts as the time that sending it takes."""
        while True:
            while self._events:
                self._sending_since_s = self._clock()
                event = self._events.popleft()
                self._room_made.set()
                yield event
                self._sending_since_s = None
            if self._closed:
                return
            self._wanted.clear()
            await self._wanted.wait()

    def check(self) -> None:
        """Raises TimedOutClient if the client has not read for STUCK_S or has MAX_EVENTS waiting."""
        stuck = self._sending_since_s is not None and self._clock() - self._sending_since_s >= STUCK_S
        if stuck or self.overflowed:
            raise TimedOutClient("The connection is read too slowly.", reason="slow_reader")
