"""Every message of the native protocol `speech.v1`, as models: what clients may send, what the server says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from transcription.events import StopReason, WarningCode
from transcription.options import TranscriptionConfig

PROTOCOL: Literal["speech.v1"] = "speech.v1"


class _FromClient(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StartTranscription(_FromClient):
    """Opens the recogniser; once per session. `config`: the options, all optional."""

    type: Literal["start_transcription"]
    config: dict[str, Any] = {}


class AudioMessage(_FromClient):
    """Audio for clients that cannot send binary messages. `audio`: base64 of the declared encoding."""

    type: Literal["audio"]
    audio: str


class Finalize(_FromClient):
    """End the current utterance now; the stream stays open."""

    type: Literal["finalize"]


class KeepAlive(_FromClient):
    """ "I am muted, not gone": restarts the idle timer."""

    type: Literal["keepalive"]


class ResumeTranscription(_FromClient):
    """Takes a session up again on a new connection."""

    type: Literal["resume_transcription"]
    resume_token: Annotated[str, Field(max_length=200)]
    received_segments: Annotated[int, Field(ge=0)] | None = None
    held_from: Annotated[int, Field(ge=0)] | None = None


class StopTranscription(_FromClient):
    """No more audio; the last finals still arrive."""

    type: Literal["stop_transcription"]


ClientMessage = Annotated[
    StartTranscription | AudioMessage | Finalize | KeepAlive | ResumeTranscription | StopTranscription,
    Field(discriminator="type"),
]
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


class Limits(BaseModel):
    """Every limit that applies, the unit in the name."""

    max_audio_bytes: int
    max_text_bytes: int
    max_messages_per_second: int
    start_timeout_ms: int
    idle_timeout_ms: int
    session_timeout_ms: int
    resume_window_ms: int
    max_sessions: int


class SessionCreated(BaseModel):
    """On connect."""

    event: Literal["session_created"] = "session_created"
    session_id: str
    protocol: Literal["speech.v1"] = "speech.v1"
    limits: Limits


class TranscriptionStarted(BaseModel):
    """Once the recogniser is open. `config` as applied."""

    event: Literal["transcription_started"] = "transcription_started"
    session_id: str
    config: TranscriptionConfig
    resume_token: str | None
    resumable: bool
    audio_offset: int = 0


class TranscriptionResumed(BaseModel):
    """The session goes on: send audio again from the byte `audio_offset`. Stored finals that you lack follow."""

    event: Literal["transcription_resumed"] = "transcription_resumed"
    session_id: str
    audio_offset: int
    next_segment: int


class Revised(BaseModel):
    """Finals with this index and later do not count any more: they were cut off, and come again."""

    event: Literal["revised"] = "revised"
    from_segment: int


class WordItem(BaseModel):
    word: str
    start_ms: int
    end_ms: int
    confidence: float | None
    speaker: str | None


class AlternativeItem(BaseModel):
    text: str
    confidence: float | None


class Transcript(BaseModel):
    """An interim or a final result. An interim replaces the earlier interim of the same `segment`."""

    event: Literal["transcript"] = "transcript"
    segment: int
    is_final: bool
    text: str
    start_ms: int
    end_ms: int
    confidence: float | None
    stability: float | None
    words: list[WordItem]
    alternatives: list[AlternativeItem]
    channel: int | None
    language: str | None
    durable: bool | None = None
    tail: bool | None = None


class AudioAck(BaseModel):
    """`received`: bytes held; `safe`: everything before it is settled for good; `limit`: do not send past it yet."""

    event: Literal["audio_ack"] = "audio_ack"
    received: int
    safe: int | None
    limit: int | None


class RecogniserStatusMessage(BaseModel):
    event: Literal["recogniser_status"] = "recogniser_status"
    state: Literal["reconnecting", "ok", "lagging"]
    lag_ms: int


class AudioWarningMessage(BaseModel):
    event: Literal["audio_warning"] = "audio_warning"
    code: WarningCode


class SessionExpiring(BaseModel):
    event: Literal["session_expiring"] = "session_expiring"
    in_ms: int
    reason: Literal["session_timeout", "idle_timeout", "draining"]
    resume_elsewhere: bool


class GapItem(BaseModel):
    start_ms: int
    end_ms: int


class TranscriptionStopped(BaseModel):
    """The session is complete. Where the service ended it, an `error` follows."""

    event: Literal["transcription_stopped"] = "transcription_stopped"
    reason: StopReason
    audio_ms: int
    received: int
    safe: int | None
    segments: int
    gaps: list[GapItem] = []


class ErrorMessage(BaseModel):
    """`code` is the close code where the connection is closed; `safe` as in `audio_ack`."""

    event: Literal["error"] = "error"
    code: int
    reason: str
    message: str
    retryable: bool
    retry_after_ms: int | None
    field: str | None
    request_id: str
    safe: int | None


ServerMessage = Annotated[
    SessionCreated
    | TranscriptionStarted
    | TranscriptionResumed
    | Revised
    | Transcript
    | AudioAck
    | RecogniserStatusMessage
    | AudioWarningMessage
    | SessionExpiring
    | TranscriptionStopped
    | ErrorMessage,
    Field(discriminator="event"),
]

CLIENT_MESSAGE_TYPES = (
    "start_transcription",
    "audio",
    "finalize",
    "keepalive",
    "resume_transcription",
    "stop_transcription",
)
