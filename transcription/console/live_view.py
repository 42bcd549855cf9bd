"""What is seen of live sessions while they happen: one picture per process, conflated frames per viewer.

Snapshot plus numbered deltas: a viewer that was too slow, or missed something, gets a fresh snapshot, so that
every loss is harmless. Where no channel layer reaches all workers, or it is broken, the database is read instead.
Those who subscribed to one session (transcription/subscriptions/) share the picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Set
from typing import Any

import structlog
from channels.layers import get_channel_layer

from transcription import metrics
from transcription.console.live_database import (
    DATABASE_ERRORS,
    READ_TIMEOUT_S,
    read_detached_rows,
    read_failed_rows,
    read_live_rows,
)
from transcription.console.live_publisher import (
    LAYER_ERRORS,
    LAYER_TIMEOUT_S,
    VIEWS_GROUP,
    WATCH_EVERY_S,
)
from transcription.console.live_rows import Row, hide_captions
from transcription.console.numbers import ConsoleNumbers, read_numbers
from transcription.services import CONTROL_GROUP
from transcription.storage.database_threads import DatabaseThreads
from transcription.subscriptions.watched import WatchedSession, WatchedSessions
from transcription.waiting import all_cancelled

log = structlog.get_logger(__name__)

FRAME_EVERY_S = 0.25
POLL_EVERY_S = 1.0
KPIS_EVERY_S = 2.0
# What only the database knows, for whoever looks at the list of all sessions.
NUMBERS_EVERY_S = 15.0
FAILED_EVERY_S = 3.0
WORKER_FORGOTTEN_S = 20.0
MAX_FRAMES_WAITING = 64
# Of all viewers of a process together; of more than these the publishers tell everything.
MAX_IN_SIGHT = 1000


_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class View:
    """One viewer's frames of all live sessions. Past MAX_FRAMES_WAITING they are dropped and a snapshot follows."""

    def __init__(self, *, captions: bool, on_shown: Callable[[], None] = lambda: None) -> None:
        self.captions = captions
        self.needs_snapshot = True
        self.visible: frozenset[str] | None = None
        self._on_shown = on_shown
        # What has come into sight since the last frame.
        self._fresh: frozenset[str] = frozenset()
        self._frames: deque[str] = deque()
        self._wanted = asyncio.Event()
        self._closed = False

    def show(self, session_ids: Collection[str] | None) -> None:
        """What the viewer has in sight; None: everything. Of others it hears when they come, go and change state."""
        visible = None if session_ids is None else frozenset(session_ids)
        if visible is not None and self.visible is not None:
            self._fresh |= visible - self.visible
        elif self.visible is not None:
            self.needs_snapshot = True
        self.visible = visible
        self._on_shown()

    def wants(self, changed: Set[str], states_changed: Set[str]) -> Set[str]:
        """Which sessions the next frame tells of."""
        if self.visible is None:
            return changed
        wanted = (changed & self.visible) | states_changed | self._fresh
        self._fresh = frozenset()
        return wanted

    def put(self, frame: str) -> None:
        if len(self._frames) >= MAX_FRAMES_WAITING:
            self._frames.clear()
            self.needs_snapshot = True
            metrics.VIEWER_FRAMES_CONFLATED_TOTAL.inc()
            return
        self._frames.append(frame)
        self._wanted.set()

    def close(self) -> None:
        self._closed = True
        self._wanted.set()

    async def frames(self) -> AsyncIterator[str]:
        """Frames to send, until the view is closed."""
        while True:
            while self._frames:
                yield self._frames.popleft()
            if self._closed:
                return
            self._wanted.clear()
            await self._wanted.wait()


class LiveViews:
    """All viewers of this process and the picture they share. Works only while somebody watches or is subscribed."""

    def __init__(
        self,
        threads: DatabaseThreads,
        *,
        capacity: int,
        layer_reaches_all: bool = True,
        slow_backlog_ms: int = 2000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = threads
        self._capacity = capacity
        self._layer_reaches_all = layer_reaches_all
        self._slow_backlog_ms = slow_backlog_ms
        self._clock = clock
        self._layer_works = layer_reaches_all
        self._views: set[View] = set()
        self._rows: dict[str, Row] = {}
        self._worker_of: dict[str, str] = {}
        self._worker_seq: dict[str, int] = {}
        self._worker_heard_s: dict[str, float] = {}
        self._detached: set[str] = set()
        self._draining: set[str] = set()
        # Sessions that have failed a moment ago. They are no picture of what is live: who follows one hears its end.
        self._failed: dict[str, Row] = {}
        self._numbers: ConsoleNumbers | None = None
        # Of sessions that ended since the numbers were read, so that no figure falls meanwhile.
        self._ended_audio_ms = 0
        self._changed: set[str] = set()
        self._states_changed: set[str] = set()
        self._ended: set[str] = set()
        self._seq = 0
        # As the publishers know this process.
        self._id = uuid.uuid4().hex
        self._whole_wanted = False
        # There is something to say to the publishers.
        self._word_wanted = asyncio.Event()
        self._poll_wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._watched = WatchedSessions(threads, row_of=self._rows.get)

    def open(self, *, captions: bool) -> View:
        """Watch all live sessions. close() it in the end."""
        view = View(captions=captions, on_shown=self._word_wanted.set)
        self._views.add(view)
        self._word_wanted.set()
        self._start()
        return view

    def subscribe(self, session_id: str) -> WatchedSession:
        """Watch one session, live or not. unsubscribe() in the end."""
        watched = self._watched.open(session_id)
        self._word_wanted.set()
        self._start()
        return watched

    def _start(self) -> None:
        if not self._tasks:
            self._want_whole()
            self._tasks = [asyncio.create_task(work()) for work in self._works]

    @property
    def _works(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        return (self._listen, self._watch, self._draw, self._poll, self._read_numbers, self._read_failed)

    async def close(self, view: View) -> None:
        view.close()
        self._views.discard(view)
        await self._stop_if_unwatched()

    async def unsubscribe(self, watched: WatchedSession) -> None:
        await self._watched.close(watched)
        await self._stop_if_unwatched()

    async def aclose(self) -> None:
        for view in list(self._views):
            view.close()
        self._views.clear()
        await self._watched.aclose()
        await self._stop()

    async def _stop_if_unwatched(self) -> None:
        if not self._views and not self._watched:
            await self._stop()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        await all_cancelled(tasks)
        if not self._tasks:
            self._rows.clear()
            self._detached.clear()
            self._worker_of.clear()
            self._worker_seq.clear()
            self._worker_heard_s.clear()
            self._draining.clear()
            self._failed.clear()
            self._numbers, self._ended_audio_ms = None, 0

    # Hearing

    async def _listen(self) -> None:
        if not self._layer_reaches_all:
            return
        layer: Any = get_channel_layer()
        channel: str | None = None
        try:
            while True:
                try:
                    if channel is None:
                        channel = await layer.new_channel()
                        await layer.group_add(VIEWS_GROUP, channel)
                        self._want_whole()
                    self._hear(json.loads((await layer.receive(channel))["delta"]))
                except LAYER_ERRORS:
                    channel, self._layer_works = None, False
                    await asyncio.sleep(POLL_EVERY_S)
        finally:
            if channel is not None and self._layer_works:
                # Whoever leaves waits for this.
                with contextlib.suppress(*LAYER_ERRORS):
                    async with asyncio.timeout(LAYER_TIMEOUT_S):
                        await layer.group_discard(VIEWS_GROUP, channel)

    async def _watch(self) -> None:
        """Tell the publishers that somebody watches; that also finds out whether the layer works."""
        if not self._layer_reaches_all:
            return
        layer: Any = get_channel_layer()
        while True:
            whole, self._whole_wanted = self._whole_wanted, False
            self._word_wanted.clear()
            in_sight = self._in_sight()
            ids = None if in_sight is None else sorted(in_sight)
            word = {"type": "live.watch", "whole": whole, "viewer": self._id, "in_sight": ids}
            try:
                async with asyncio.timeout(LAYER_TIMEOUT_S):
                    await layer.group_send(CONTROL_GROUP, word)
                self._layer_works = True
            except LAYER_ERRORS:
                self._layer_works = False
                self._want_whole()
            self._forget_silent_workers()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._word_wanted.wait()
                    # However often something is missed or moves, the publishers are asked at most once a frame.
                    await asyncio.sleep(FRAME_EVERY_S)

    def _want_whole(self) -> None:
        self._whole_wanted = True
        self._word_wanted.set()

    def _in_sight(self) -> Set[str] | None:
        """What anybody of this process has in sight; None: everything."""
        found = set(self._watched.session_ids)
        for view in self._views:
            if view.visible is None:
                return None
            found |= view.visible
        return found if len(found) <= MAX_IN_SIGHT else None

    def _hear(self, message: dict[str, Any]) -> None:
        worker, seq = message["worker"], message["seq"]
        self._worker_heard_s[worker] = self._clock()
        (self._draining.add if message.get("draining") else self._draining.discard)(worker)
        if message["whole"]:
            told = {row["session_id"] for row in message["rows"]}
            self._end(sid for sid, holder in list(self._worker_of.items()) if holder == worker and sid not in told)
        elif seq != self._worker_seq.get(worker, seq - 1) + 1:
            self._want_whole()
        self._worker_seq[worker] = seq
        for row in message["rows"]:
            self._worker_of[row["session_id"]] = worker
            self._set(row)
        for change in message.get("changes", ()):
            session_id = change["session_id"]
            if self._worker_of.get(session_id) == worker and session_id in self._rows:
                self._set({**self._rows[session_id], **change})
            else:
                # A change of what nobody here knows.
                self._want_whole()
        if message["ended"]:
            # One that another process has taken meanwhile goes on there.
            self._end(sid for sid in message["ended"] if self._worker_of.get(sid, worker) == worker)
            # It may only wait for its client: known before anybody is shown that it is gone.
            self._poll_wanted.set()

    def _forget_silent_workers(self) -> None:
        """A worker with no changes publishes nothing, so silence alone says nothing: ask for everything first."""
        now_s = self._clock()
        for worker, heard_s in list(self._worker_heard_s.items()):
            if now_s - heard_s > WORKER_FORGOTTEN_S:
                del self._worker_heard_s[worker]
                self._draining.discard(worker)
                self._end([sid for sid, holder in self._worker_of.items() if holder == worker])
            elif now_s - heard_s > WORKER_FORGOTTEN_S / 2:
                self._want_whole()

    def _set(self, row: Row) -> None:
        session_id = row["session_id"]
        old = self._rows.get(session_id)
        if old != row:
            self._rows[session_id] = row
            self._changed.add(session_id)
            self._ended.discard(session_id)
            if old is None or self._looks(old) != self._looks(row):
                self._states_changed.add(session_id)

    def _looks(self, row: Row) -> tuple[str, bool]:
        """What a page counts a session among."""
        return row["state"], (row["backlog_ms"] or 0) > self._slow_backlog_ms

    def _end(self, session_ids: Any) -> None:
        for session_id in list(session_ids):
            row = self._rows.pop(session_id, None)
            if row is not None:
                self._ended.add(session_id)
                self._ended_audio_ms += self._numbers.audio_of_today_ms(row) if self._numbers else 0
            self._worker_of.pop(session_id, None)

    # Reading the database instead

    async def _poll(self) -> None:
        """Read what no process tells of: detached sessions, and all of them where the layer does not work."""
        while True:
            self._poll_wanted.clear()
            layer_works = self._layer_works
            read = read_detached_rows if layer_works else read_live_rows
            with contextlib.suppress(*DATABASE_ERRORS):
                rows = await self._threads.run(read, timeout_s=READ_TIMEOUT_S)
                if layer_works:
                    self._take_detached(rows)
                else:
                    self._take_all(rows)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY_S):
                    await self._poll_wanted.wait()

    def _take_all(self, rows: dict[str, Row]) -> None:
        self._end([sid for sid in self._rows if sid not in rows])
        for row in rows.values():
            self._set(row)
        self._detached = {sid for sid, row in rows.items() if row["state"] == "detached"}
        self._changed.update(rows)

    def _take_detached(self, rows: dict[str, Row]) -> None:
        """What a process tells of a session counts: it may have been taken up since the database was read."""
        free = rows.keys() - self._worker_of.keys()
        self._end(self._detached - free - self._worker_of.keys())
        for session_id in free:
            self._set(rows[session_id])
        self._detached = free

    # Reading what only the database knows, while somebody looks at the whole list

    async def _read_numbers(self) -> None:
        while True:
            if self._views:
                with contextlib.suppress(*DATABASE_ERRORS):
                    self._numbers = await self._threads.run(read_numbers, timeout_s=READ_TIMEOUT_S)
                    self._ended_audio_ms = 0
            await asyncio.sleep(NUMBERS_EVERY_S)

    async def _read_failed(self) -> None:
        while True:
            if self._views:
                with contextlib.suppress(*DATABASE_ERRORS):
                    self._take_failed(await self._threads.run(read_failed_rows, timeout_s=READ_TIMEOUT_S))
            await asyncio.sleep(FAILED_EVERY_S)

    def _take_failed(self, rows: dict[str, Row]) -> None:
        gone, come = self._failed.keys() - rows.keys(), rows.keys() - self._failed.keys()
        self._failed = rows
        self._ended |= gone - self._rows.keys()
        self._changed |= come
        self._states_changed |= come

    # Telling

    async def _draw(self) -> None:
        """Every FRAME_EVERY_S one frame to each viewer, if something changed."""
        kpis_at_s = 0.0
        while True:
            changed, self._changed = self._changed, set()
            states_changed, self._states_changed = self._states_changed, set()
            ended, self._ended = self._ended, set()
            self._seq += 1
            self._watched.see(changed | ended)
            self._draw_lists(changed, states_changed, ended)
            if self._clock() >= kpis_at_s:
                kpis_at_s = self._clock() + KPIS_EVERY_S
                frame = _encode({"event": "kpis", "kpis": self._all_kpis()})
                for view in self._views:
                    view.put(frame)
            await asyncio.sleep(FRAME_EVERY_S)

    def _draw_lists(self, changed: set[str], states_changed: set[str], ended: set[str]) -> None:
        rows: dict[tuple[str, bool], str] = {}

        def frame(event: str, session_ids: Iterable[str], captions: bool) -> str:
            """Each row is made into text once, however many see it."""
            texts = []
            for session_id in session_ids:
                text = rows.get((session_id, captions))
                row = self._rows.get(session_id) or self._failed.get(session_id)
                if text is None and row is not None:
                    text = rows[session_id, captions] = _encode(row if captions else hide_captions(row))
                if text is not None:
                    texts.append(text)
            return f'{{"event":"{event}","seq":{self._seq},"sessions":[{",".join(texts)}],{last}}}'

        last = f'"ended":{_encode(sorted(ended))},"kpis":{_encode(self._kpis())}'
        for view in self._views:
            wanted = view.wants(changed, states_changed)
            if view.needs_snapshot:
                view.needs_snapshot = False
                view.put(frame("snapshot", self._rows.keys() | self._failed.keys(), view.captions))
            elif wanted or ended:
                view.put(frame("delta", wanted, view.captions))

    def _all_kpis(self) -> dict[str, Any]:
        """draining: how many sessions are held by processes that end; null where none does."""
        numbers = (
            self._numbers.figures(self._rows.values(), ended_audio_ms=self._ended_audio_ms) if self._numbers else {}
        )
        held = sum(worker in self._draining for worker in self._worker_of.values())
        return {**self._kpis(), "draining": held if self._draining else None, **numbers}

    def _kpis(self) -> dict[str, int]:
        # A session that waits for its client holds no place.
        return {"live": len(self._rows.keys() - self._detached), "capacity": self._capacity}
