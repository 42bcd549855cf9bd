"""Draining on request, by SIGUSR1 or `POST /drain`: no new sessions here, the live ones are handed over.

The processes stay, and answer everything else, until they are ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

from speechsite.supervisor import DRAIN_ALL
from transcription.process import Process, get_process

log = structlog.stdlib.get_logger(__name__)


class Drain:
    """The drain of this process; of all workers where `serve` is the parent."""

    def __init__(self, process_of: Callable[[], Process] = get_process) -> None:
        self._process_of = process_of
        self._parent_fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = False

    def attach(self) -> None:
        """The running loop is the one that serves. Begins a drain that was asked for before."""
        self._loop = asyncio.get_running_loop()
        if self._wanted:
            self.begin()

    def has_parent(self, parent_fd: int) -> None:
        """A parent reads from parent_fd and tells every worker with SIGUSR1, this one among them."""
        self._parent_fd = parent_fd

    def request(self) -> None:
        """Drain everything that is served together with this process. In the serving loop only."""
        if self._parent_fd is not None:
            try:
                os.write(self._parent_fd, DRAIN_ALL)
            except BrokenPipeError:
                log.warning("the parent is gone: only this process drains")
            else:
                return
        self.begin()

    def begin(self) -> None:
        """Drain this process, once. In the serving loop only."""
        self._wanted = True
        process = self._process_of()
        if not process.draining:
            log.info("draining", live_sessions=process.live_session_count)
            self._task = asyncio.create_task(process.drain())

    async def begun(self) -> None:
        """Wait until a drain that has begun is over."""
        if self._task is not None:
            await self._task

    def listen(self) -> None:
        """Begin at SIGUSR1. Only a main thread can hear it: `runserver` with its reloader serves in another."""
        try:
            signal.signal(signal.SIGUSR1, lambda *_: self._on_signal())
        except ValueError:
            log.debug("not in the main thread: no drain by signal")

    def _on_signal(self) -> None:
        self._wanted = True
        # Between two instructions of whatever runs: the loop does the rest, or attach() once there is one.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.begin)


drain = Drain()
