"""What the service says on `/v1/realtime`, as JSON texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from transcription.results import Word

TRANSCRIPTION = "conversation.item.input_audio_transcription"

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Messages:
    """Builds one connection's events; each has an id of its own. serial: of the session, without its prefix."""

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self._told = 0

    def item_id(self, number: int) -> str:
        return f"item_{self._serial}_{number}"

    @property
    def conversation_id(self) -> str:
        return f"conv_{self._serial}"

    def event(self, kind: str, **fields: Any) -> str:
        self._told += 1
        return _encode({"event_id": f"event_{self._serial}_{self._told}", "type": kind, **fields})

    def delta(self, item_id: str, text: str) -> str:
        return self.event(f"{TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=text)

    def completed(self, item_id: str, text: str, *, duration_ms: int, **fields: Any) -> str:
        return self.event(
            f"{TRANSCRIPTION}.completed",
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage={"type": "duration", "seconds": duration_ms / 1000},
            **fields,
        )

    def failed(self, item_id: str, error: dict[str, Any]) -> str:
        told = {name: error[name] for name in ("type", "code", "message", "param")}
        return self.event(f"{TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=told)

    def committed(self, item_id: str, previous: str | None) -> str:
        return self.event("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)

    def item(self, kind: str, item_id: str, previous: str | None) -> str:
        """`conversation.item.…` of a committed utterance."""
        return self.event(
            kind,
            previous_item_id=previous,
            item={
                "id": item_id,
                "object": "realtime.item",
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [{"type": "input_audio", "transcript": None}],
            },
        )


def words_info(words: Iterable[Word]) -> dict[str, Any]:
    """NVIDIA's words: times in ms; its client formats every value as a number, so none is null."""
    return {
        "words": [
            {
                "word": word.word,
                "start_time": word.start_ms,
                "end_time": word.end_ms,
                "confidence": word.confidence or 0.0,
                "speaker_tag": int(word.speaker) if word.speaker and word.speaker.isdecimal() else 0,
            }
            for word in words
        ]
    }
