"""One session that somebody of this process subscribed to. All its subscribers share one picture and one reader.

Final results come from the database alone: they are there before anybody is told. What the process that holds the
session says through the channel layer only makes the reading quicker, and brings interims; it may get lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Set

from transcription.console.live_database import DATABASE_ERRORS, READ_TIMEOUT_S
from transcription.console.live_rows import Row
from transcription.storage.database_threads import DatabaseThreads
from transcription.subscriptions.picture import Picture, StoredSegment, joined
from transcription.subscriptions.stored import News, read_news, read_page

# Without a word from whoever holds the session, and as a check on what they say.
READ_EVERY_S = 1.0
CHECK_EVERY_S = 5.0
READ_AGAIN_S = 1.0


class WatchedSession:
    """`picture` is None until the database was read once. Its owner calls `see`, and `aclose` in the end."""

    def __init__(self, session_id: str, threads: DatabaseThreads) -> None:
        self.session_id = session_id
        self.picture: Picture | None = None
        self.subscribers = 0
        self._threads = threads
        self._row: Row | None = None
        self._pk: int | None = None
        self._changed = asyncio.Event()
        self._read_wanted = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def is_deleted(self) -> bool:
        return self.picture is not None and self.picture.facts is None

    async def changed(self, seen: Picture | None) -> Picture:
        """The picture as soon as it is another one than `seen`."""
        while self.picture is None or self.picture is seen:
            await self._changed.wait()
        return self.picture

    async def page(self, indexes: range) -> tuple[StoredSegment, ...]:
        """Older segments. Raises one of DATABASE_ERRORS."""
        return await self._threads.run(read_page, self.session_id, indexes, timeout_s=READ_TIMEOUT_S)

    def see(self, row: Row | None) -> None:
        """What its holder says of the session now; None: nobody holds it, as far as is known."""
        if _facts(row) != _facts(self._row):
            self._read_wanted.set()
        self._row = row
        if self.picture is not None and self.picture.row != row:
            self._show(Picture(self.picture.facts, self.picture.segments, row))

    def _show(self, picture: Picture) -> None:
        self.picture = picture
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read(self) -> None:
        while not self.is_deleted:
            self._read_wanted.clear()
            from_index = self.picture.unsettled_from if self.picture is not None else 0
            try:
                news = await self._threads.run(read_news, self.session_id, from_index, timeout_s=READ_TIMEOUT_S)
            except DATABASE_ERRORS:
                await asyncio.sleep(READ_AGAIN_S)
                continue
            self._take(news, from_index)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S if self._is_told_of else READ_EVERY_S):
                    await self._read_wanted.wait()

    @property
    def _is_told_of(self) -> bool:
        return self._row is not None and self._row["interim_segment"] is not None

    def _take(self, news: News | None, from_index: int) -> None:
        kept = self.picture.segments if self.picture is not None else ()
        if news is None or self._pk not in (None, news.pk):
            self._show(Picture(None, kept))
            return
        self._pk = news.pk
        picture = Picture(news.facts, joined(kept, news.segments, from_index), self._row)
        if picture != self.picture:
            self._show(picture)


def _facts(row: Row | None) -> tuple[str, str, int] | None:
    """Of what is told, whatever follows from a change in the database."""
    return (row["worker"], row["state"], row["segments"]) if row is not None else None


class WatchedSessions:
    """The sessions of this process that somebody subscribed to."""

    def __init__(self, threads: DatabaseThreads, *, row_of: Callable[[str], Row | None]) -> None:
        self._threads = threads
        self._row_of = row_of
        self._sessions: dict[str, WatchedSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def session_ids(self) -> Set[str]:
        return self._sessions.keys()

    def open(self, session_id: str) -> WatchedSession:
        """Subscribe; close() it in the end."""
        watched = self._sessions.get(session_id)
        if watched is None or watched.is_deleted:
            watched = self._sessions[session_id] = WatchedSession(session_id, self._threads)
            watched.see(self._row_of(session_id))
            watched.start()
        watched.subscribers += 1
        return watched

    async def close(self, watched: WatchedSession) -> None:
        watched.subscribers -= 1
        if not watched.subscribers:
            if self._sessions.get(watched.session_id) is watched:
                del self._sessions[watched.session_id]
            await watched.aclose()

    def see(self, session_ids: set[str]) -> None:
        """Something was said of these sessions, or nothing is said of them any more."""
        for session_id in session_ids & self._sessions.keys():
            self._sessions[session_id].see(self._row_of(session_id))

    async def aclose(self) -> None:
        sessions, self._sessions = self._sessions, {}
        await asyncio.gather(*(watched.aclose() for watched in sessions.values()))
