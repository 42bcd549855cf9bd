"""Finals of one session on their way: into the store first, and only then to whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from transcription import metrics
from transcription.engine.latency import Latency
from transcription.errors import StorageUnavailable
from transcription.events import Event, Final
from transcription.results import FinalResult
from transcription.storage.steps import NewSegment, SessionHandle, Step

# Silence alone moves the settled point at most this often: each move is a commit.
SILENCE_COMMIT_EVERY_S = 5.0
DURABLE_PATIENCE_S = 2.0
MAX_PENDING_FINALS = 500


class StepStore(Protocol):
    async def commit(self, step: Step) -> None: ...


@dataclass(slots=True)
class _Pending:
    """A final that is not committed yet."""

    segment: int
    result: FinalResult
    promoted: bool
    lag_ms: int | None
    added_at_s: float
    is_told: bool = False


def build_segment(index: int, result: FinalResult, *, tail: bool = False, promoted: bool = False) -> NewSegment:
    """A final as it is stored."""
    return NewSegment(
        index=index,
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        text=result.text,
        words=[
            {
                "word": word.word,
                "start_ms": word.start_ms,
                "end_ms": word.end_ms,
                "confidence": word.confidence,
                "speaker": word.speaker,
            }
            for word in result.words
        ],
        alternatives=[{"text": item.text, "confidence": item.confidence} for item in result.alternatives],
        confidence=result.confidence,
        speaker=next((word.speaker for word in result.words if word.speaker), "") or "",
        language=result.language or "",
        channel=result.channel,
        tail=tail,
        promoted=promoted,
    )


class Commits:
    """Numbers finals, stores them together with the settled position and tells them once they are stored.

    A store that takes over DURABLE_PATIENCE_S has its finals told before, with durable false, and again after.
    on_committed: called after each commit with the position that is stored, and now.
    """

    __slots__ = (
        "_clock",
        "_committed_at_s",
        "_emit",
        "_handle",
        "_header_bytes",
        "_latency",
        "_no_more",
        "_on_committed",
        "_pending",
        "_settled_bytes",
        "_store",
        "_wanted",
        "committed_bytes",
        "last_final",
        "next_segment",
        "stored_segments",
    )

    def __init__(
        self,
        store: StepStore,
        *,
        emit: Callable[[Event], None],
        on_committed: Callable[[int, float], None],
        latency: Latency,
        clock: Callable[[], float],
    ) -> None:
        self.committed_bytes = 0
        self.next_segment = 0
        self.stored_segments = 0
        self.last_final: FinalResult | None = None
        self._store = store
        self._emit = emit
        self._on_committed = on_committed
        self._latency = latency
        self._clock = clock
        self._handle: SessionHandle | None = None
        self._pending: list[_Pending] = []
        self._settled_bytes = 0
        self._header_bytes = 0
        self._committed_at_s = clock()
        self._wanted = asyncio.Event()
        self._no_more = False

    def begin(self, handle: SessionHandle) -> None:
        """The session has its row: indexes and the settled position go on from there."""
        self._handle = handle
        self.next_segment = self.stored_segments = handle.next_seq
        self.committed_bytes = self._settled_bytes = handle.committed_bytes

    @property
    def has_pending(self) -> bool:
        """Whether finals wait to be stored and told."""
        return bool(self._pending)

    @property
    def has_room(self) -> bool:
        return len(self._pending) < MAX_PENDING_FINALS

    def add(self, result: FinalResult, *, lag_ms: int | None, promoted: bool = False) -> None:
        """Take a final; it has the next index. Raises StorageUnavailable past MAX_PENDING_FINALS."""
        if not self.has_room:
            raise StorageUnavailable("The database has not stored the transcript for too long.")
        self._pending.append(_Pending(self.next_segment, result, promoted, lag_ms, self._clock()))
        self.next_segment += 1
        self._wanted.set()

    def settle(self, settled_bytes: int, *, header_bytes: int = 0) -> None:
        """Audio before this position is settled; that is stored with the next finals, or by tick().

        header_bytes: of a WAV header that came before the audio.
        """
        self._settled_bytes = max(self._settled_bytes, settled_bytes)
        self._header_bytes = header_bytes

    def tick(self, now_s: float) -> None:
        """Where nobody speaks only the settled position moves; where the store is silent finals go on."""
        self._tell_early([item for item in self._pending if now_s - item.added_at_s >= DURABLE_PATIENCE_S])
        if self._has_news and now_s - self._committed_at_s >= SILENCE_COMMIT_EVERY_S:
            self._wanted.set()

    def finish(self) -> None:
        """Nothing more comes: run() ends once everything is stored."""
        self._no_more = True
        self._wanted.set()

    async def run(self) -> None:
        """Store what is pending, then tell it. Raises what the store raises."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._pending or self._has_news:
                batch = list(self._pending)
                await self._commit(batch, self._settled_bytes)
                del self._pending[: len(batch)]
            if self._no_more and not self._pending and not self._has_news:
                return

    @property
    def _has_news(self) -> bool:
        return self._settled_bytes > self.committed_bytes

    async def _commit(self, batch: list[_Pending], settled_bytes: int) -> None:
        assert self._handle is not None  # noqa: S101 - begun before any result
        step = Step(
            pk=self._handle.pk,
            epoch=self._handle.epoch,
            expected_seq=batch[0].segment if batch else self.next_segment,
            segments=tuple(build_segment(item.segment, item.result, promoted=item.promoted) for item in batch),
            committed_bytes=settled_bytes,
            header_bytes=self._header_bytes,
        )
        patience = asyncio.get_running_loop().call_later(DURABLE_PATIENCE_S, self._tell_early, batch)
        try:
            await self._store.commit(step)
        finally:
            patience.cancel()
        self.committed_bytes, self._committed_at_s = settled_bytes, self._clock()
        for item in batch:
            self._emit(Final(item.segment, item.result))
            self._note_stored(item)
        self._on_committed(self.committed_bytes, self._committed_at_s)

    def _tell_early(self, batch: list[_Pending]) -> None:
        for item in batch:
            if not item.is_told:
                item.is_told = True
                self._emit(Final(item.segment, item.result, durable=False))

    def _note_stored(self, item: _Pending) -> None:
        self.stored_segments, self.last_final = item.segment + 1, item.result
        if item.lag_ms is not None:
            self._latency.add_final_lag(item.lag_ms)
            metrics.FINAL_LAG_SECONDS.observe(item.lag_ms / 1000)
