"""How a session is told to NVIDIA's client: interims as they are, finals one by one, and at the end the whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from transcription.dialects.realtime_errors import error_object
from transcription.dialects.realtime_messages import Messages, words_info
from transcription.errors import TranscriptionError
from transcription.events import Final, Interim, Stopped


class NvidiaTeller:
    """An item is a segment. The client commits after every chunk, which ends nothing: the recogniser does."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._texts: list[str] = []
        self._item = 0
        self._open = False
        self._is_told = False

    def opened(self, _session: object) -> Sequence[str]:
        conversation = {"id": self._messages.conversation_id, "object": "realtime.conversation"}
        return [self._messages.event("conversation.created", conversation=conversation)]

    def committed(self, _position_ms: int) -> Sequence[str]:
        return [self._messages.committed(self._item_id(self._item), self._previous)]

    def cleared(self, _position_ms: int | None) -> Sequence[str]:
        return [self._messages.event("input_audio_buffer.cleared")]

    def interim(self, event: Interim) -> Sequence[str]:
        self._item, self._open = event.segment, bool(event.result.text)
        return [self._messages.delta(self._item_id(event.segment), event.result.text)] if event.result.text else ()

    def final(self, event: Final) -> Sequence[str]:
        if event.segment < len(self._texts):
            # Told before it was stored, and now it is.
            return ()
        self._texts.append(event.result.text)
        self._item, self._open = event.segment + 1, False
        result = event.result
        return [
            self._messages.completed(
                self._item_id(event.segment),
                result.text,
                duration_ms=result.end_ms - result.start_ms,
                words_info=words_info(result.words),
                is_last_result=False,
            )
        ]

    def utterance_ended(self) -> Sequence[str]:
        return ()

    def stopped(self, event: Stopped) -> Sequence[str]:
        """The whole text; its words were told with each final."""
        self._is_told, self._open = True, False
        return [
            self._messages.completed(
                self._item_id(self._item),
                " ".join(self._texts),
                duration_ms=event.audio_ms,
                words_info=words_info(()),
                is_last_result=True,
            )
        ]

    def failed(self, error: TranscriptionError) -> Sequence[str]:
        told = error_object(error)
        ended = [self._messages.failed(self._item_id(self._item), told)] if self._open and not self._is_told else []
        self._open = False
        return [*ended, self._messages.event("error", error=told)]

    def _item_id(self, number: int) -> str:
        return self._messages.item_id(number)

    @property
    def _previous(self) -> str | None:
        return self._item_id(self._item - 1) if self._item else None
