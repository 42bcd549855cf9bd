"""What this process tells the others about its live sessions: one message a tick, and only while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from transcription import metrics
from transcription.console.live_rows import Row, build_row, difference
from transcription.engine.live import LiveTranscription
from transcription.services import CONTROL_GROUP
from transcription.waiting import all_cancelled

log = structlog.get_logger(__name__)

VIEWS_GROUP = "live.views"
# Viewers say that they are there every WATCH_EVERY_S; after WATCHED_S without that nothing is published.
WATCH_EVERY_S = 5.0
WATCHED_S = 15.0
LAYER_TIMEOUT_S = 2.0
LAYER_RETRY_S = 1.0
# Where more sessions are in sight than anybody reads at a time they take turns, each every other tick.
MAX_ROWS_EVERY_TICK = 20
# Sessions that nobody has in sight are told of every so many ticks (2 s), spread over them; a new state at once.
SELDOM_TICKS = 8
# RuntimeError is uvloop's word for a connection that has just been reset.
LAYER_ERRORS = (RedisError, OSError, TimeoutError, ChannelFull, RuntimeError)


class LivePublisher:
    """Publishes rows of this process's sessions; hears stop requests and who watches.

    A publish that is still under way when the next tick comes makes that tick wait: what it would have said is
    said by the one after, so nothing ever queues.
    """

    def __init__(
        self,
        worker_id: uuid.UUID,
        sessions: Mapping[str, LiveTranscription],
        *,
        on_stop_nudge: Callable[[], Awaitable[None]],
        is_draining: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker_id = str(worker_id)
        self._worker_name = f"{socket.gethostname()}/{os.getpid()}"
        self._sessions = sessions
        self._on_stop_nudge = on_stop_nudge
        self._is_draining = is_draining
        self._told_draining = False
        self._clock = clock
        # For each process that watches: until when, and what is in sight there; None: everything.
        self._sights: dict[str, tuple[float, frozenset[str] | None]] = {}
        self._ticks = 0
        self._told: dict[str, Row] = {}
        self._everything_wanted = False
        self._seq = 0
        self._publishing: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def aclose(self) -> None:
        await all_cancelled(task for task in (self._listening, self._publishing) if task is not None)

    def tick(self) -> None:
        """Publish what changed since the last tick."""
        now_s = self._clock()
        self._sights = {viewer: sight for viewer, sight in self._sights.items() if sight[0] >= now_s}
        if not self._sights:
            self._told.clear()
            return
        self._ticks += 1
        if self._publishing is not None and not self._publishing.done():
            metrics.VIEWER_FRAMES_CONFLATED_TOTAL.inc()
            return
        message = self._changes()
        if message is not None:
            self._publishing = asyncio.create_task(self._publish(message))

    def _changes(self) -> dict[str, Any] | None:
        if self._everything_wanted:
            self._told.clear()
        rows, changes = [], []
        current: set[str] = set()
        in_sight = self._in_sight
        seen = len(self._sessions) if in_sight is None else len(in_sight)
        seen_every = 1 if seen <= MAX_ROWS_EVERY_TICK else 2
        for place, live in enumerate(self._sessions.values()):
            current.add(live.public_id)
            told = self._told.get(live.public_id)
            is_seen = in_sight is None or live.public_id in in_sight
            is_due = (place + self._ticks) % (seen_every if is_seen else SELDOM_TICKS) == 0
            if told is not None and not is_due and told["state"] == live.activity:
                continue
            row = build_row(live, self._worker_name)
            if told is None:
                rows.append(row)
            elif told != row:
                changes.append(difference(told, row))
            self._told[live.public_id] = row
        ended = [session_id for session_id in self._told if session_id not in current]
        for session_id in ended:
            del self._told[session_id]
        draining = self._is_draining()
        if not (rows or changes or ended or self._everything_wanted or draining != self._told_draining):
            return None
        self._told_draining = draining
        self._seq += 1
        message = {
            "worker": self._worker_id,
            "seq": self._seq,
            "whole": self._everything_wanted,
            "draining": draining,
            "rows": rows,
            "changes": changes,
            "ended": ended,
        }
        self._everything_wanted = False
        return message

    @property
    def _in_sight(self) -> frozenset[str] | None:
        """What somebody has in sight, in any process; None: everything."""
        found: frozenset[str] = frozenset()
        for _until_s, session_ids in self._sights.values():
            if session_ids is None:
                return None
            found |= session_ids
        return found

    async def _publish(self, message: dict[str, Any]) -> None:
        """The layer gets one text: it would copy or pack values one by one, for each process that watches."""
        layer: Any = get_channel_layer()
        delta = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        try:
            async with asyncio.timeout(LAYER_TIMEOUT_S):
                await layer.group_send(VIEWS_GROUP, {"type": "live.delta", "delta": delta})
        except LAYER_ERRORS:
            metrics.LIVE_PUBLISH_DROPPED_TOTAL.inc()
            self._everything_wanted = True

    async def _listen(self) -> None:
        """Hear the control group for as long as the process lives; a broken layer is tried again."""
        layer: Any = get_channel_layer()
        while True:
            with contextlib.suppress(*LAYER_ERRORS):
                channel = await layer.new_channel()
                await layer.group_add(CONTROL_GROUP, channel)
                while True:
                    await self._on_control(await layer.receive(channel))
            await asyncio.sleep(LAYER_RETRY_S)

    async def _on_control(self, message: dict[str, Any]) -> None:
        if message["type"] == "live.watch":
            session_ids = message.get("in_sight")
            sight = None if session_ids is None else frozenset(session_ids)
            self._sights[message.get("viewer", "")] = (self._clock() + WATCHED_S, sight)
            self._everything_wanted = self._everything_wanted or bool(message.get("whole"))
        elif message["type"] == "live.stop":
            await self._on_stop_nudge()
