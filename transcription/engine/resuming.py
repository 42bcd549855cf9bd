"""Taking a session up again: its token, and what the client that comes back is told. Pure."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from transcription.engine.intake import Intake
from transcription.events import Event, Final, Resumed, Stopped
from transcription.options import TranscriptionConfig
from transcription.results import Alternative, FinalResult, Word
from transcription.storage.steps import StoredSegment, Taken

TOKEN_BYTES = 32


def make_resume_token() -> str:
    """256 random bits; only their digest is stored."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> str:
    """SHA-256 in hex: the token has so many random bits that no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def stored_config(applied: dict[str, Any]) -> TranscriptionConfig:
    """The options of a session as they were stored, perhaps by another version that had options of its own."""
    return TranscriptionConfig.model_validate(
        {name: value for name, value in applied.items() if name in TranscriptionConfig.model_fields}
    )


def build_resumed(public_id: str, config: TranscriptionConfig, taken: Taken, intake: Intake) -> Resumed:
    """What the client is told first: from where to send again, and the finals it does not have."""
    return Resumed(
        session_id=public_id,
        config=config,
        audio_offset=intake.on_wire(taken.audio_offset),
        next_segment=taken.handle.next_seq,
        withdrawn=taken.withdrawn,
        finals=_finals(taken),
    )


def build_ended(public_id: str, taken: Taken) -> list[Event]:
    """What a client hears that comes back to a session it had completed: its end once more."""
    assert taken.ended is not None  # noqa: S101 - the caller looked
    config = stored_config(taken.applied)
    end = taken.ended
    received = end.audio_bytes + taken.header_bytes
    to_ms = config.audio_format.bytes_to_ms
    return [
        Resumed(
            session_id=public_id,
            config=config,
            audio_offset=received,
            next_segment=end.segments,
            withdrawn=False,
            finals=_finals(taken),
        ),
        Stopped(
            reason="client",
            audio_ms=end.audio_ms,
            received=received,
            safe=received,
            segments=end.segments,
            gaps=tuple((to_ms(start), to_ms(stop)) for start, stop in taken.gaps),
        ),
    ]


def _finals(taken: Taken) -> tuple[Final, ...]:
    return tuple(Final(segment.index, build_final(segment)) for segment in taken.segments)


def build_final(segment: StoredSegment) -> FinalResult:
    """A stored segment as the final that it was."""
    return FinalResult(
        text=segment.text,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        confidence=segment.confidence,
        words=tuple(
            Word(word["word"], word["start_ms"], word["end_ms"], word.get("confidence"), word.get("speaker"))
            for word in segment.words
        ),
        alternatives=tuple(Alternative(item["text"], item.get("confidence")) for item in segment.alternatives),
        channel=segment.channel,
        language=segment.language or None,
    )
