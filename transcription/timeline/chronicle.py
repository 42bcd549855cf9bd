"""Notes what happens to one live session, in memory, until somebody takes them to the database. Pure.

It stands between those parts of a session that speak seldom and its client. What comes with every message passes it by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from transcription.events import AudioWarning, Event, Expiring, RecogniserStatus

MAX_NOTES = 100
MAX_NAME_CHARACTERS = 255
# The same warning again within this time says nothing new.
SAME_WARNING_S = 60.0

# Why a stream is ended that works.
PLANNED = frozenset({"rotation", "cut"})


@dataclass(frozen=True, slots=True)
class Note:
    """kind: one of SessionEvent.Kind. audio_ms: audio received by then, None where bytes do not tell."""

    at: datetime
    kind: str
    audio_ms: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


class Chronicle:
    """tell() is `emit` for those who speak seldom. What is not taken away in time is dropped past MAX_NOTES.

    audio_ms: how much audio has come. clock: seconds, for what is told too often. now: the time of day.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        audio_ms: Callable[[], int | None],
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._emit = emit
        self._audio_ms = audio_ms
        self._clock = clock
        self._now = now
        self._notes: list[Note] = []
        self._left_at_s: float | None = None
        self._is_paused = False
        self._warned_at_s: dict[str, float] = {}

    def tell(self, event: Event) -> None:
        """Tell the client, and note what belongs into the log."""
        match event:
            case AudioWarning(code):
                self._warn(code)
            case Expiring(in_ms, reason):
                self._add("expiring", reason=reason, in_ms=in_ms)
            case RecogniserStatus("lagging", lag_ms):
                self._warn("lagging", kind="lagging", lag_ms=lag_ms)
        self._emit(event)

    def opens(self, recogniser: str, model: str) -> None:
        """The first stream is open; model: "" where the recogniser does not say which."""
        self._add("opened", recogniser=recogniser[:MAX_NAME_CHARACTERS], model=model[:MAX_NAME_CHARACTERS])

    def leaves(self, reason: str) -> None:
        """A stream of the recogniser is over and another one follows. reason: a stable word."""
        if reason not in PLANNED and self._left_at_s is None:
            self._left_at_s = self._clock()
        self._add("reopening", reason=reason)

    def pauses(self) -> None:
        """No audio comes, and the recogniser was let go."""
        self._is_paused = True
        self._add("paused")

    def listens(self) -> None:
        """The recogniser is open again."""
        if self._left_at_s is not None:
            self._add("reopened", away_ms=round((self._clock() - self._left_at_s) * 1000))
        elif self._is_paused:
            self._add("continued")
        self._left_at_s, self._is_paused = None, False

    def take(self) -> list[Note]:
        """What was noted since the last time."""
        notes, self._notes = self._notes, []
        return notes

    def _warn(self, code: str, *, kind: str = "warned", **detail: Any) -> None:
        now_s = self._clock()
        if now_s - self._warned_at_s.get(code, -SAME_WARNING_S) >= SAME_WARNING_S:
            self._warned_at_s[code] = now_s
            self._add(kind, code=code, **detail)

    def _add(self, kind: str, **detail: Any) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(Note(self._now(), kind, self._audio_ms(), detail))
