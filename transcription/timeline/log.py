"""Takes what the live sessions of this process noted to the database, together and off their path."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

import structlog

from transcription.console.live_database import DATABASE_ERRORS
from transcription.engine.live import LiveTranscription
from transcription.storage.database_threads import DatabaseThreads
from transcription.timeline.chronicle import Note
from transcription.timeline.rows import write_chronicles

WRITE_EVERY_S = 2.0
WRITE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
# Sessions with notes that wait for a database that does not answer. Beyond that the oldest are given up.
MAX_WAITING = 2000
# Sessions of one write.
MAX_AT_ONCE = 200

log = structlog.get_logger(__name__)


class TimelineLog:
    """Nothing is written while nothing happens. What a process that is killed had noted in its last seconds is lost."""

    def __init__(self, threads: DatabaseThreads, sessions: Mapping[str, LiveTranscription]) -> None:
        self._threads = threads
        self._sessions = sessions
        self._waiting: deque[tuple[int, list[Note]]] = deque(maxlen=MAX_WAITING)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            self._gather()
            await self._write(WRITE_TIMEOUT_S)

    async def aclose(self) -> None:
        """Write what is left, if the database answers in time."""
        self._gather()
        await self._write(CLOSE_TIMEOUT_S)

    def leave(self, live: LiveTranscription) -> None:
        """A session ends here; its last notes are written with the others."""
        notes = live.chronicle.take()
        if notes and live.handle is not None:
            self._waiting.append((live.handle.pk, notes))

    def _gather(self) -> None:
        for live in self._sessions.values():
            if live.handle is not None:
                self.leave(live)

    async def _write(self, timeout_s: float) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MAX_AT_ONCE, len(self._waiting)))]
            try:
                await self._threads.run(write_chronicles, batch, timeout_s=timeout_s)
            except DATABASE_ERRORS as error:
                # A write that was only slow may be repeated by this, and is then listed twice: better than not at all.
                self._waiting.extendleft(reversed(batch[: MAX_WAITING - len(self._waiting)]))
                log.warning("timeline_not_written", error=type(error).__name__, sessions=len(self._waiting))
                return
