"""A process that speaks and one that watches, joined by a channel layer in memory, above a database in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from transcription.console.live_publisher import LivePublisher
from transcription.console.live_view import LiveViews
from transcription.console.numbers import ConsoleNumbers
from transcription.engine.live import LiveTranscription
from transcription.rest.schemas import SessionAnswer
from transcription.storage.database_threads import DatabaseThreads
from transcription.subscriptions.messages import SegmentItem
from transcription.subscriptions.picture import MAX_KEPT_SEGMENTS, StoredSegment
from transcription.subscriptions.stored import News
from transcription.tests.live_session import TICK_S, LiveSession

Row = dict[str, Any]
SEGMENT_MS = 1000


def facts(state: str = "live", **fields: Any) -> SessionAnswer:
    """A session's facts."""
    names = SessionAnswer.model_fields
    values: dict[str, Any] = dict.fromkeys(names) | {
        name: "" for name, field in names.items() if field.annotation is str
    }
    values |= {name: 0 for name, field in names.items() if field.annotation is int}
    values |= {"session_id": "my-id", "metadata": {}, "config": {}, "created_at": datetime(2026, 1, 2, tzinfo=UTC)}
    return SessionAnswer.model_validate(values | {"state": state} | fields)


def segment(index: int, text: str = "", *, epoch: int = 1, tail: bool = False) -> StoredSegment:
    text = text or f"segment {index}"
    item = SegmentItem(
        segment=index,
        start_ms=index * SEGMENT_MS,
        end_ms=(index + 1) * SEGMENT_MS,
        text=text,
        asr_text=text,
        confidence=0.9,
        speaker=None,
        language="en-US",
        channel=1,
        tail=tail,
        words=[],
    )
    return StoredSegment(epoch, item)


def database_row(session_id: str, text: str, state: str = "live", **fields: Any) -> Row:
    return {
        "session_id": session_id,
        "state": state,
        "started_at": "2026-01-02T10:00:00+00:00",
        "worker": "",
        "final": text,
        "interim": "",
        "interim_segment": None,
        "captions_hidden": False,
        "segments": 1,
        "audio_ms": 0,
        "level": None,
        "backlog_ms": None,
        "latency_ms": None,
        **fields,
    }


def numbers(**figures: Any) -> ConsoleNumbers:
    """What the database knows of today: nothing, unless told otherwise."""
    counts = ("sessions_today", "audio_today_ms", "audio_lost_today_ms", "failed_last_hour", "interrupted_last_hour")
    values: dict[str, Any] = dict.fromkeys(counts, 0)
    values |= {"midnight": datetime(2026, 1, 2, tzinfo=UTC), "first_interims_ms": (), "final_lags_ms": ()}
    return ConsoleNumbers(**(values | figures))


class MemoryDatabase(DatabaseThreads):
    """Answers the live view's questions from memory, without threads. fails: raised by the next questions."""

    def __init__(self) -> None:
        super().__init__(size=1)
        self.rows: dict[str, Row] = {}
        self.failed: dict[str, Row] = {}
        self.numbers = numbers()
        self.facts: dict[str, SessionAnswer] = {}
        self.segments: dict[str, list[StoredSegment]] = {}
        self.pk = 1
        self.asked: list[str] = []
        self.fails: list[Exception] = []

    async def run(self, function: Callable[..., Any], *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        self.asked.append(function.__name__)
        if self.fails:
            raise self.fails.pop()
        match function.__name__, args:
            case "read_live_rows", ():
                return dict(self.rows)
            case "read_detached_rows", ():
                return {session_id: row for session_id, row in self.rows.items() if row["state"] == "detached"}
            case "read_failed_rows", ():
                return dict(self.failed)
            case "read_numbers", ():
                return self.numbers
            case "read_news", (session_id, from_index):
                return self._news(session_id, from_index)
            case "read_page", (session_id, indexes):
                return tuple(each for each in self.segments.get(session_id, []) if each.index in indexes)
        raise AssertionError(function)

    def _news(self, session_id: str, from_index: int) -> News | None:
        if session_id not in self.facts:
            return None
        found = [each for each in self.segments.get(session_id, []) if each.index >= from_index]
        return News(self.pk, self.facts[session_id], tuple(found[-MAX_KEPT_SEGMENTS:]))


class Site:
    """Both processes, and the database."""

    def __init__(self, *, layer_reaches_all: bool = True) -> None:
        clock = asyncio.get_running_loop().time
        self.nudges = 0
        self.sessions: dict[str, LiveTranscription] = {}
        self.database = MemoryDatabase()
        self.is_draining = False
        self.publisher = LivePublisher(
            uuid.uuid4(),
            self.sessions,
            on_stop_nudge=self._on_nudge,
            is_draining=lambda: self.is_draining,
            clock=clock,
        )
        self.views = LiveViews(self.database, capacity=10, layer_reaches_all=layer_reaches_all, clock=clock)

    async def __aenter__(self) -> Self:
        await self.publisher.start()
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.fall_silent()
        await self.views.aclose()
        await self.publisher.aclose()

    async def fall_silent(self) -> None:
        """The process that speaks says nothing more, as one that was killed."""
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)

    def hold(self, session: LiveSession) -> None:
        self.sessions[session.live.public_id] = session.live
        self.store(session)

    def store(self, session: LiveSession, state: str = "live") -> None:
        """What the database has of a session."""
        public_id = session.live.public_id
        self.database.facts[public_id] = facts(state)
        self.database.segments[public_id] = [
            segment(event.segment, event.result.text, tail=event.tail) for event in session.finals
        ]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.publisher.tick()

    async def _on_nudge(self) -> None:
        self.nudges += 1
