"""Pings of all WebSockets of one server, by one timer: a timer each would cost memory while nothing happens."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.server import ServerState

MAX_SWEEP_S = 1.0
# Of the shorter of interval and timeout: how late a ping or its timeout may be.
SWEEP_SHARE = 0.25


class Pinged(Protocol):
    # Whether anything has come since the last ping; set by the connection, taken back here.
    heard: bool
    # Whether the connection is not reading on purpose: what the client answers waits unread.
    reading_paused: bool

    def ping(self) -> None: ...

    def end_in_silence(self) -> None:
        """The last ping was not answered in time. Takes itself out of the Keepalive."""


class Keepalive:
    """interval_s: between the pings of a connection. timeout_s: for an answer, None for any time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float, timeout_s: float | None) -> None:
        self._loop = loop
        self._interval_s = interval_s
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._sweep_s = min(MAX_SWEEP_S, SWEEP_SHARE * min(self._interval_s, self._timeout_s))
        self._pinged_at_s: dict[Pinged, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Pinged) -> None:
        """One that has just been heard."""
        connection.heard = True
        self._pinged_at_s[connection] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._sweep_s, self._sweep)

    def discard(self, connection: Pinged) -> None:
        self._pinged_at_s.pop(connection, None)

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(self._sweep_s, self._sweep) if self._pinged_at_s else None
        now_s = self._loop.time()
        for connection, pinged_at_s in list(self._pinged_at_s.items()):
            # Any data says as much as a pong, which may be queued behind data of minutes.
            lives = connection.heard or connection.reading_paused
            if not lives and now_s - pinged_at_s >= self._timeout_s:
                connection.end_in_silence()
            elif (lives or self._timeout_s == math.inf) and now_s - pinged_at_s >= self._interval_s:
                self._pinged_at_s[connection] = now_s
                connection.heard = False
                connection.ping()


_keepalives: WeakKeyDictionary[ServerState, Keepalive] = WeakKeyDictionary()


def find_keepalive(server_state: ServerState, config: Config, loop: asyncio.AbstractEventLoop) -> Keepalive | None:
    """The one of a server; None where it sends no pings."""
    if not config.ws_ping_interval:
        return None
    if server_state not in _keepalives:
        _keepalives[server_state] = Keepalive(loop, config.ws_ping_interval, config.ws_ping_timeout)
    return _keepalives[server_state]
