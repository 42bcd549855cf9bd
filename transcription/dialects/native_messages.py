"""Every message of the native protocol `speech.v1`, as models: what clients may send, what the server says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from transcription.events import StopReason, WarningCode
from transcription.options import TranscriptionConfig

# Bounds of what the service says: told in documents, not checked each time it says it. The unit is told where it does
# not stand in the name.
NATURAL: dict[str, JsonValue] = {"minimum": 0}
SHARE: dict[str, JsonValue] = {"minimum": 0, "maximum": 1}
BYTES: dict[str, JsonValue] = {"minimum": 0, "x-unit": "bytes"}
CLOSE_CODE: dict[str, JsonValue] = {"minimum": 4400, "maximum": 4599}

PROTOCOL: Literal["speech.v1"] = "speech.v1"


class _FromClient(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StartTranscription(_FromClient):
    """Opens the recogniser; once per session. `config`: the options, all optional."""

    type: Literal["start_transcription"]
    config: Annotated[dict[str, Any], Field(description="the options, see [`config`](#config)")] = {}


class AudioMessage(_FromClient):
    """Audio for clients that cannot send binary messages. `audio`: base64 of the declared encoding."""

    type: Literal["audio"]
    audio: str = Field(description="base64 of the bytes, with padding; up to `max_audio_bytes` decoded")


class Finalize(_FromClient):
    """End the current utterance now; the stream stays open."""

    type: Literal["finalize"]


class KeepAlive(_FromClient):
    """ "I am muted, not gone": restarts the idle timer."""

    type: Literal["keepalive"]


class ResumeTranscription(_FromClient):
    """Takes a session up again on a new connection."""

    type: Literal["resume_transcription"]
    resume_token: str = Field(max_length=200, description="the token of `transcription_started`")
    received_segments: Annotated[
        Annotated[int, Field(ge=0)] | None,
        Field(description="how many final results the client holds; null or 0: none"),
    ] = None
    held_from: Annotated[
        Annotated[int, Field(ge=0, json_schema_extra=BYTES)] | None,
        Field(description="the first byte the client can still send; null: everything from `safe` on"),
    ] = None


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
    session_id: str = Field(description="as in the address")
    protocol: Annotated[Literal["speech.v1"], Field(description="the version of these messages")] = PROTOCOL
    limits: Limits = Field(description="every limit that applies, see [Limits](#limits)")


class TranscriptionStarted(BaseModel):
    """The recogniser is open."""

    event: Literal["transcription_started"] = "transcription_started"
    session_id: str = Field(description="as in the address")
    config: TranscriptionConfig = Field(description="the options as applied, every field of [`config`](#config)")
    resume_token: str | None = Field(
        description="takes the session up again on another connection; a secret. null where that cannot be"
    )
    resumable: bool = Field(
        description="whether it can: `false` for `FLAC` and `OGGOPUS`, which cannot be cut at a byte"
    )
    audio_offset: Annotated[
        int, Field(description="0: the position of the next byte the client sends", json_schema_extra=BYTES)
    ] = 0


class TranscriptionResumed(BaseModel):
    """The session goes on: send audio again from the byte `audio_offset`. Stored finals that you lack follow."""

    event: Literal["transcription_resumed"] = "transcription_resumed"
    session_id: str = Field(description="as in the address")
    audio_offset: int = Field(
        description="the position of the next byte the client sends; audio before it is forgotten",
        json_schema_extra=BYTES,
    )
    next_segment: int = Field(description="index of the next final result", json_schema_extra=NATURAL)


class Revised(BaseModel):
    """Finals with this index and later do not count any more: they were cut off, and come again."""

    event: Literal["revised"] = "revised"
    from_segment: int = Field(
        description="finals with this index and later do not count any more", json_schema_extra=NATURAL
    )


class WordItem(BaseModel):
    word: str = Field(description="with its punctuation")
    start_ms: int = Field(
        description="from the beginning of the session's audio. The embedded recogniser estimates it",
        json_schema_extra=NATURAL,
    )
    end_ms: int = Field(description="likewise", json_schema_extra=NATURAL)
    confidence: float | None = Field(description="null where the recogniser gives none", json_schema_extra=SHARE)
    speaker: str | None = Field(description="the speaker's number, with `diarization`")


class AlternativeItem(BaseModel):
    text: str = Field(description="one hypothesis")
    confidence: float | None = Field(description="null where the recogniser gives none", json_schema_extra=SHARE)


class Transcript(BaseModel):
    """An interim or a final result. An interim replaces the earlier interim of the same `segment`."""

    event: Literal["transcript"] = "transcript"
    segment: int = Field(
        description="index from 0. Final results have every index once, in order. An interim has the index that its "
        "final result will have",
        json_schema_extra=NATURAL,
    )
    is_final: bool = Field(
        description="false: may change. An interim replaces the interim before it, a final replaces them all and does "
        "not change"
    )
    text: str = Field(description="what was said; an interim is the whole text of the segment so far")
    start_ms: int = Field(description="from the beginning of the session's audio", json_schema_extra=NATURAL)
    end_ms: int = Field(description="likewise", json_schema_extra=NATURAL)
    confidence: float | None = Field(
        description="of a final; null where the recogniser gives none", json_schema_extra=SHARE
    )
    stability: float | None = Field(
        description="of an interim; null where the recogniser gives none", json_schema_extra=SHARE
    )
    words: list[WordItem] = Field(description="see below; empty in interims unless `words_in_interims` is set")
    alternatives: list[AlternativeItem] = Field(description="see below, best first; the first is `text`")
    channel: int | None = Field(description="the channel as the recogniser numbers it, from 1")
    language: str | None = Field(description="the language that was recognised")
    durable: Annotated[
        bool | None,
        Field(
            description="of a final: true once it is stored. If storing takes over 2 s the final is sent with false "
            "first, and again with true. null in interims"
        ),
    ] = None
    tail: Annotated[
        bool | None,
        Field(
            description="of a final: true for words that were cut off because the connection or the recogniser was "
            "lost; a resume withdraws them. null in interims"
        ),
    ] = None


class AudioAck(BaseModel):
    """How far the service is."""

    event: Literal["audio_ack"] = "audio_ack"
    received: int = Field(description="what the service holds or has used", json_schema_extra=BYTES)
    safe: int | None = Field(
        description="everything before it is settled and stored: the client may forget it",
        json_schema_extra=BYTES,
    )
    limit: int | None = Field(description="do not send past it yet, see [Credit](#credit)", json_schema_extra=BYTES)


class RecogniserStatusMessage(BaseModel):
    """How the recogniser is."""

    event: Literal["recogniser_status"] = "recogniser_status"
    state: Literal["reconnecting", "ok", "lagging"] = Field(
        description="`reconnecting`: the recogniser is not there; audio is held, and heard again once it is. `ok` "
        "after it: it is back. `lagging`: it is over 5 s behind. `ok`: it is less than 2 s behind again"
    )
    lag_ms: int = Field(description="how far it is behind", json_schema_extra=NATURAL)


class AudioWarningMessage(BaseModel):
    """Something is wrong with the audio; the session goes on."""

    event: Literal["audio_warning"] = "audio_warning"
    code: WarningCode = Field(description="what is wrong, see below")


class SessionExpiring(BaseModel):
    """The session will be ended, or go on elsewhere."""

    event: Literal["session_expiring"] = "session_expiring"
    in_ms: int = Field(description="how soon", json_schema_extra=NATURAL)
    reason: Literal["session_timeout", "idle_timeout", "draining"] = Field(
        description="`session_timeout`: 60 s before the longest duration, or at half of it where it is under 2 min. "
        "`idle_timeout`: at three quarters of the idle time; audio or a `keepalive` averts it. `draining`: this server "
        "is being updated; the last words are flushed, and 4503 follows"
    )
    resume_elsewhere: bool = Field(description="with `draining`: the session can be resumed at once, on another server")


class GapItem(BaseModel):
    start_ms: int = Field(description="from the beginning of the session's audio", json_schema_extra=NATURAL)
    end_ms: int = Field(description="likewise", json_schema_extra=NATURAL)


class TranscriptionStopped(BaseModel):
    """The session is complete; every final result came before. Where the service ended it, an `error` follows."""

    event: Literal["transcription_stopped"] = "transcription_stopped"
    reason: StopReason = Field(
        description="who or what ended it; `revoked`: its "
        "[credentials](security.md#when-credentials-are-withdrawn) were withdrawn"
    )
    audio_ms: int = Field(description="length of the audio", json_schema_extra=NATURAL)
    received: int = Field(description="as in `audio_ack`", json_schema_extra=BYTES)
    safe: int | None = Field(description="as in `audio_ack`", json_schema_extra=BYTES)
    segments: int = Field(description="how many final results there are", json_schema_extra=NATURAL)
    gaps: Annotated[list[GapItem], Field(description="audio that the client no longer had when it came back")] = []


class ErrorMessage(BaseModel):
    """What is wrong. `code` is the close code where the connection is closed."""

    event: Literal["error"] = "error"
    code: int = Field(description="the [close code](#close-codes) of this error", json_schema_extra=CLOSE_CODE)
    reason: str = Field(description="a stable word for programs")
    message: str = Field(description="a sentence for people")
    retryable: bool = Field(description="whether the same may work later, as a new session")
    retry_after_ms: int | None = Field(description="when, where that is known", json_schema_extra=NATURAL)
    field: str | None = Field(description="path of the wrong field")
    request_id: str = Field(description="stands on every line of the service's log about this connection")
    safe: int | None = Field(description="as in `audio_ack`, for errors that end a session", json_schema_extra=BYTES)


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
