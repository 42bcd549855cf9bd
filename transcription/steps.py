"""What the live path hands to the store: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from transcription.errors import SessionTaken
from transcription.options import TranscriptionConfig
from transcription.principals import Principal


class Fenced(SessionTaken):
    """The session is no longer this holder's: another connection took it, it has ended, or it was deleted.

    The holder stops at once and writes nothing more.
    """

    default_reason = "taken_over"


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that wants to start. asked: the options as the client gave them; applied: with every default."""

    public_id: str
    principal: Principal
    client_address: str | None
    user_agent: str
    dialect: str
    asked: dict[str, Any]
    applied: TranscriptionConfig


@dataclass(frozen=True, slots=True)
class SessionHandle:
    """The right to write a session, good for one epoch."""

    pk: int
    public_id: str
    epoch: int
    next_seq: int
    committed_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A final result to store. text is clean (options.clean_text); words and alternatives are JSON objects."""

    index: int
    start_ms: int
    end_ms: int
    text: str
    words: list[dict[str, Any]] = field(default_factory=list)
    alternatives: list[dict[str, Any]] = field(default_factory=list)
    confidence: float | None = None
    speaker: str = ""
    language: str = ""
    channel: int | None = None
    tail: bool = False
    promoted: bool = False

    @property
    def word_count(self) -> int:
        return len(self.words) or len(self.text.split())


@dataclass(frozen=True, slots=True)
class Step:
    """Segments and the watermark that move together. segments may be empty: silence moves the watermark too.

    The segments' indexes run from expected_seq without a hole. committed_bytes never moves back.
    """

    pk: int
    epoch: int
    expected_seq: int
    segments: tuple[NewSegment, ...]
    committed_bytes: int

    def __post_init__(self) -> None:
        for offset, segment in enumerate(self.segments):
            if segment.index != self.expected_seq + offset:
                raise ValueError(f"segment {segment.index} where {self.expected_seq + offset} was expected")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended. reason: a stable word, at most 40 characters; message: a sentence for people."""

    state: Literal["completed", "interrupted", "failed"]
    reason: str
    message: str = ""
    audio_bytes: int = 0
    audio_ms: int = 0
    first_interim_ms: int | None = None
    final_lag_p50_ms: int | None = None
    final_lag_p95_ms: int | None = None
