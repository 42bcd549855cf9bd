"""How a session is told to OpenAI's clients: items, and text that only grows. Pure; times are ms of the audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from transcription.dialects.realtime_deltas import Deltas
from transcription.dialects.realtime_errors import error_object
from transcription.dialects.realtime_messages import Messages
from transcription.errors import TranscriptionError
from transcription.events import Final, Interim, Stopped
from transcription.results import FinalResult, InterimResult


@dataclass(slots=True)
class Item:
    """One utterance, or what a client commits as one.

    until_ms: where its client committed or cleared it; None while it goes on. is_cleared: its text is not told.
    """

    id: str
    start_ms: int
    texts: list[str] = field(default_factory=list)
    until_ms: int | None = None
    is_cleared: bool = False
    has_deltas: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.texts)


class OpenAiTeller:
    """turn_detection: the service ends items where the recogniser hears an utterance end; otherwise only the client
    does, and then its items may hold several finals. is_beta: the events before the general release.
    """

    def __init__(self, messages: Messages, *, turn_detection: bool, is_beta: bool) -> None:
        self.turn_detection = turn_detection
        self._messages = messages
        self._is_beta = is_beta
        self._open: Item | None = None
        # Ended by the client, and not completed yet: the recogniser may still speak of them.
        self._ended: deque[Item] = deque()
        self._deltas = Deltas()
        self._items = 0
        self._segments = 0
        self._ends_at_ms = 0
        self._last_committed: str | None = None

    def opened(self, session: dict[str, Any]) -> Sequence[str]:
        kind = "transcription_session.created" if self._is_beta else "session.created"
        return [self._messages.event(kind, session=session)]

    # What the client ends

    def committed(self, position_ms: int) -> Sequence[str]:
        return self._commit(self._end_open(position_ms))

    def cleared(self, position_ms: int | None) -> Sequence[str]:
        """position_ms: None where there was nothing to clear."""
        if position_ms is not None:
            self._end_open(position_ms).is_cleared = True
        return [self._messages.event("input_audio_buffer.cleared")]

    def _end_open(self, position_ms: int) -> Item:
        item = self._open or self._new_item(self._ends_at_ms)
        item.until_ms = self._ends_at_ms = position_ms
        self._open = None
        self._ended.append(item)
        return item

    def utterance_ended(self) -> Sequence[str]:
        """Everything before the place where the client ended an item was told."""
        return self._complete(self._ended.popleft()) if self._ended else ()

    # What the recogniser says

    def interim(self, event: Interim) -> Sequence[str]:
        result = event.result
        if event.segment < self._segments or not result.text:
            return ()
        told, item = self._item_of(result)
        return [*told, *self._delta(item, self._deltas.on_interim(result.text))]

    def final(self, event: Final) -> Sequence[str]:
        if event.segment < self._segments:
            # Told before it was stored, and now it is.
            return ()
        self._segments = event.segment + 1
        result = event.result
        told, item = self._item_of(result)
        words = self._deltas.on_final(result.text)
        item.texts.append(result.text)
        if item.until_ms is not None or not self.turn_detection:
            return [*told, *self._delta(item, words)]
        self._open, self._ends_at_ms = None, result.end_ms
        item.until_ms = result.end_ms
        kind = "input_audio_buffer.speech_stopped"
        stopped = self._messages.event(kind, audio_end_ms=result.end_ms, item_id=item.id)
        return [*told, stopped, *self._commit(item), *self._delta(item, words), *self._complete(item)]

    def _item_of(self, result: InterimResult | FinalResult) -> tuple[Sequence[str], Item]:
        """The item that a result belongs to, and what is told of it if it is a new one."""
        middle_ms = (result.start_ms + result.end_ms) // 2
        for ended in self._ended:
            if ended.until_ms is not None and middle_ms < ended.until_ms:
                return (), ended
        if self._open is not None:
            return (), self._open
        self._open = item = self._new_item(result.start_ms)
        if not self.turn_detection:
            return (), item
        kind = "input_audio_buffer.speech_started"
        return [self._messages.event(kind, audio_start_ms=result.start_ms, item_id=item.id)], item

    # The end

    def stopped(self, event: Stopped) -> Sequence[str]:
        """What was open ends here, committed or not."""
        told: list[str] = []
        while self._ended:
            told += self._complete(self._ended.popleft())
        if self._open is not None and self._open.texts:
            item = self._end_open(event.audio_ms)
            told += [*self._commit(item), *self._complete(self._ended.popleft())]
        self._open = None
        return told

    def failed(self, error: TranscriptionError) -> Sequence[str]:
        """The session ends by an error: what it was still to say is lost with it."""
        told = error_object(error)
        lost = [item for item in (*self._ended, self._open) if item is not None and not item.is_cleared]
        self._ended.clear()
        self._open = None
        return [*(self._messages.failed(item.id, told) for item in lost), self._messages.event("error", error=told)]

    # Items

    def _new_item(self, start_ms: int) -> Item:
        self._items += 1
        return Item(self._messages.item_id(self._items - 1), start_ms)

    def _commit(self, item: Item) -> Sequence[str]:
        previous, self._last_committed = self._last_committed, item.id
        kinds = ("created",) if self._is_beta else ("added", "done")
        return [
            self._messages.committed(item.id, previous),
            *(self._messages.item(f"conversation.item.{kind}", item.id, previous) for kind in kinds),
        ]

    def _complete(self, item: Item) -> Sequence[str]:
        if item.is_cleared:
            return ()
        duration_ms = max(0, (item.until_ms or item.start_ms) - item.start_ms)
        return [self._messages.completed(item.id, item.text, duration_ms=duration_ms)]

    def _delta(self, item: Item, words: str) -> Sequence[str]:
        if not words or item.is_cleared:
            return ()
        is_first = not item.has_deltas
        item.has_deltas = True
        return [self._messages.delta(item.id, words if is_first else f" {words}")]
