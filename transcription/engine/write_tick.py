"""One clock that wakes the writers of all sessions together."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Writer(Protocol):
    """Whoever waits to write: a Wake."""

    def set(self) -> None: ...


class WriteTick:
    """Wakes whoever has something to write: at once where the process was quiet, otherwise all of them together.

    Many streams share a connection to the recogniser, a thread of gRPC and the calls into the system: what they write
    in the same moment is carried together. interval_s: how long a writer may wait; 0.0: nobody waits.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due: set[Writer] = set()
        self._last_s = 0.0
        self._next: asyncio.Handle | None = None

    def wake(self, writer: Writer) -> None:
        """Wake a writer within interval_s. Waking it earlier does no harm."""
        if not self._interval_s:
            writer.set()
            return
        self._due.add(writer)
        if self._next is None:
            loop = asyncio.get_running_loop()
            at_s = self._last_s + self._interval_s
            self._next = loop.call_soon(self._wake_all) if at_s <= loop.time() else loop.call_at(at_s, self._wake_all)

    def _wake_all(self) -> None:
        self._next = None
        self._last_s = asyncio.get_running_loop().time()
        due, self._due = self._due, set()
        for writer in due:
            writer.set()
