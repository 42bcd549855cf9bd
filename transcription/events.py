"""What happens in a transcription session, as told to whoever holds the connection. Pure values.

Positions are bytes as the client counts them; times are ms of the session's audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transcription.errors import TranscriptionError
from transcription.options import TranscriptionConfig
from transcription.results import FinalResult, InterimResult

WarningCode = Literal[
    "silence", "clipping", "too_fast", "rate_mismatch", "odd_bytes", "wav_header_skipped", "recording_stopped"
]
StopReason = Literal["client", "session_timeout", "operator", "revoked"]


@dataclass(frozen=True, slots=True)
class Started:
    """The recogniser is open. resume_token: takes the session up again; None where that cannot be.

    model: that listens, "" where the recogniser does not say which.
    """

    session_id: str
    config: TranscriptionConfig
    resume_token: str | None = None
    model: str = ""


@dataclass(slots=True, unsafe_hash=True)  # as results are
class Interim:
    """A newer interim of the same segment makes an unsent one worthless."""

    segment: int
    result: InterimResult


@dataclass(frozen=True, slots=True)
class Final:
    """durable: committed. A final told while storage was silent comes again with durable true."""

    segment: int
    result: FinalResult
    durable: bool = True
    tail: bool = False


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """Where the client ended an utterance, in ms: whatever was said before that has been told."""

    end_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session is taken up again: the client sends its audio from audio_offset on, as it counts.

    withdrawn: finals from next_segment on that the client may hold do not count any more. finals: the stored
    ones that it does not hold, in order.
    """

    session_id: str
    config: TranscriptionConfig
    audio_offset: int
    next_segment: int
    withdrawn: bool
    finals: tuple[Final, ...]


@dataclass(slots=True, unsafe_hash=True)  # as results are
class Ack:
    """safe and limit are None where bytes say nothing about time. A newer one replaces an unsent one."""

    received: int
    safe: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class RecogniserStatus:
    state: Literal["reconnecting", "ok", "lagging"]
    lag_ms: int


@dataclass(frozen=True, slots=True)
class AudioWarning:
    code: WarningCode


@dataclass(frozen=True, slots=True)
class Expiring:
    in_ms: int
    reason: Literal["session_timeout", "idle_timeout", "draining"]
    resume_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """The session is complete: every final came before this. gaps: stretches of lost audio, in ms."""

    reason: StopReason
    audio_ms: int
    received: int
    safe: int | None
    segments: int
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """safe: everything before this byte is settled for good, None where bytes say nothing about time."""

    error: TranscriptionError
    safe: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What a dialect answers a message with, in its own words."""

    texts: Sequence[str]


Event = (
    Started
    | Resumed
    | Interim
    | Final
    | UtteranceEnded
    | Ack
    | RecogniserStatus
    | AudioWarning
    | Expiring
    | Stopped
    | Failed
    | Answered
)
