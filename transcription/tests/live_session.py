"""One live transcription for tests: fakes around it, its events in a list, time that the test's loop makes pass."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from transcription.engine import end as ends
from transcription.engine.live import LiveTranscription
from transcription.events import Event, Failed, Final, Started, Stopped
from transcription.recording.tape import Tape
from transcription.results import FinalResult, InterimResult, Word
from transcription.storage.steps import Ending
from transcription.tests.fake_recogniser import FakeRecogniser, FakeStream
from transcription.tests.memory_store import MemorySession, MemoryStore
from transcription.tests.sessions import new_session

TICK_S = 0.25
PATIENCE_S = 3600.0
SECOND = 32000
SPEECH = np.tile(np.array([8000, -8000], dtype="<i2"), SECOND // 4).tobytes()

E = TypeVar("E", bound=Event)


def interim(text: str, *, start_ms: int = 0, end_ms: int = 500) -> InterimResult:
    return InterimResult(text, start_ms, end_ms, words=(Word(text, start_ms, end_ms),), audio_processed_ms=end_ms)


def final(text: str, *, start_ms: int = 0, end_ms: int = 1000) -> FinalResult:
    words = (Word(text, start_ms, end_ms, 0.9),)
    return FinalResult(text, start_ms, end_ms, 0.9, words, audio_processed_ms=end_ms)


class LiveSession:
    """`async with LiveSession(...) as session:` runs it and ticks; at the end it must have ended by itself."""

    def __init__(
        self,
        *,
        recogniser: FakeRecogniser | None = None,
        store: MemoryStore | None = None,
        session_timeout_s: float = 1800.0,
        idle_timeout_s: float = 60.0,
        resume_window_s: float = 600.0,
        chunk_ms: int = 0,
        public_id: str = "my-id",
        tape: Tape | None = None,
        **config: Any,
    ) -> None:
        self.recogniser = recogniser or FakeRecogniser()
        self.store = store or MemoryStore()
        self.events: list[Event] = []
        self.told_at_s: list[float] = []
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.live = LiveTranscription(
            new_session(public_id, **config),
            recogniser=self.recogniser,
            store=self.store,
            emit=self._on_event,
            session_timeout_s=session_timeout_s,
            idle_timeout_s=idle_timeout_s,
            resume_window_s=resume_window_s,
            resume_token="token",
            chunk_ms=chunk_ms,
            tape=tape,
            clock=loop.time,
            jitter=lambda: 0.5,
        )
        self._loop = loop

    async def __aenter__(self) -> Self:
        self.running = asyncio.create_task(self.live.run())
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.finished()
        finally:
            self.running.cancel()
            self._ticking.cancel()
            await asyncio.gather(self.running, self._ticking, return_exceptions=True)

    # What the test waits for

    async def ended(self) -> Ending:
        """How the session ended, as it is stored."""
        await self.finished()
        ending = self.row.ending
        assert ending is not None
        return ending

    async def finished(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.shield(self.running)

    async def until(self, kind: type[E], count: int = 1) -> E:
        """The count-th event of a kind, as soon as it was told."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)[count - 1]

    async def opened(self) -> FakeStream:
        await self.until(Started)
        return self.stream

    async def speak(self, seconds: float, audio: bytes = SPEECH) -> None:
        """Audio at the pace of speech."""
        for _ in range(round(seconds / TICK_S)):
            self.live.feed(audio[: round(SECOND * TICK_S)])
            await asyncio.sleep(TICK_S)

    # What happened

    @property
    def stream(self) -> FakeStream:
        return self.recogniser.streams[-1]

    @property
    def row(self) -> MemorySession:
        return self.store.sessions[self.live.public_id]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def texts(self) -> list[str]:
        """Of all that is stored, the tails at the end."""
        return [segment.text for segment in [*self.row.segments, *self.row.tails]]

    @property
    def finals(self) -> list[Final]:
        return self.of(Final)

    @property
    def ends_told(self) -> list[Event]:
        """What was told of the end, in order, which nothing else may follow."""
        told: list[Event] = [event for event in self.events if isinstance(event, Stopped | Failed)]
        assert self.events[len(self.events) - len(told) :] == told
        return told

    def stop(self) -> None:
        self.live.end(ends.client_stop())

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self.told_at_s.append(self._loop.time())
        self._changed.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.live.tick()
