"""One clock at which all sessions write together."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Writer(Protocol):
    """Whoever has something to write."""

    def write(self) -> None: ...


def write_at_once(writer: Writer) -> None:
    """A tick for one alone."""
    writer.write()


class WriteTick:
    """Has writers write: at once where the process was quiet, otherwise all of them together.

    Many streams share a connection to the recogniser, a thread of gRPC and the calls into the system: what they write
    in the same moment is carried together. interval_s: how long a writer may wait; 0.0: nobody waits.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due: set[Writer] = set()
        self._last_s = 0.0
        self._next: asyncio.Handle | None = None

    def wake(self, writer: Writer) -> None:
        """Have it write within interval_s. Writing earlier does no harm."""
        if not self._interval_s:
            writer.write()
            return
        self._due.add(writer)
        if self._next is None:
            loop = asyncio.get_running_loop()
            at_s = self._last_s + self._interval_s
            self._next = loop.call_soon(self._write_all) if at_s <= loop.time() else loop.call_at(at_s, self._write_all)

    def _write_all(self) -> None:
        self._next = None
        self._last_s = asyncio.get_running_loop().time()
        due, self._due = self._due, set()
        for writer in due:
            try:
                writer.write()
            except Exception:
                # A bug with one session's audio must not hold up that of all others.
                log.exception("write_failed")
