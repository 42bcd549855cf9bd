"""Every message of the subscription to one session, as models: a snapshot, then numbered deltas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from transcription.dialects.native_messages import CLOSE_CODE, NATURAL, PROTOCOL, SHARE, WordItem
from transcription.rest.schemas import SessionAnswer

State = Literal["created", "live", "detached", "completed", "interrupted", "failed", "deleted"]
Activity = Literal["opening", "live", "slow", "paused", "reconnecting", "finishing"]

Seq = Annotated[
    int,
    Field(
        description="number of this message on this connection: 0 for the first, each one more than the last",
        json_schema_extra=NATURAL,
    ),
]
StateField = Annotated[
    State,
    Field(
        description="as in [`read_session`](http-api.md#read_session), or `deleted`. `detached`: the speaker's "
        "connection was lost, and may come back"
    ),
]
ActivityField = Annotated[
    Activity | None,
    Field(
        description="of a live session: `opening` the recogniser, `live`, `slow` (over 5 s behind), `paused` (no audio "
        "for a while), `reconnecting` to the recogniser, `finishing`. null where no worker tells of it"
    ),
]


class SegmentItem(BaseModel):
    """One stored final result."""

    segment: int = Field(description="index, from 0, without gaps", json_schema_extra=NATURAL)
    start_ms: int = Field(description="from the beginning of the session's audio", json_schema_extra=NATURAL)
    end_ms: int = Field(description="from the beginning of the session's audio", json_schema_extra=NATURAL)
    text: str = Field(description="what was said, as corrected by people where they have")
    asr_text: str = Field(description="as recognised")
    confidence: float | None = Field(description="null where the recogniser gives none", json_schema_extra=SHARE)
    speaker: str | None = Field(description="the speaker's number, with `diarization`")
    language: str | None = Field(description="the language that was recognised")
    channel: int | None = Field(description="the channel as the recogniser numbers it, from 1")
    tail: bool = Field(
        description="true for words that were cut off because the connection or the recogniser was lost; they may be "
        "withdrawn by `revised`"
    )
    words: list[WordItem] | None = Field(description="the words with their times, with `words=true`; null without")


class InterimItem(BaseModel):
    """What is being said and may change."""

    segment: int = Field(description="the index that its final result will have", json_schema_extra=NATURAL)
    text: str = Field(
        description="the whole text of the segment so far; it replaces the interim before. Empty: nobody is speaking"
    )


class ProgressItem(BaseModel):
    """How far a live session is."""

    audio_ms: int = Field(description="audio received", json_schema_extra=NATURAL)
    level: float | None = Field(
        description="loudness of the last audio, as a share of full scale", json_schema_extra=SHARE
    )
    backlog_ms: int | None = Field(description="audio the recogniser has not answered yet", json_schema_extra=NATURAL)
    latency_ms: int | None = Field(
        description="from the arrival of audio to the last interim result about it", json_schema_extra=NATURAL
    )


class _Numbered(BaseModel):
    """Its fields come first, wherever a message has those of an item as well."""

    seq: Seq
    event: str


class Snapshot(_Numbered):
    """The first message. Should another one come, it counts in place of what came before."""

    event: Literal["snapshot"] = "snapshot"
    protocol: Annotated[Literal["speech.v1"], Field(description="the version of these messages")] = PROTOCOL
    session: SessionAnswer = Field(description="the facts of the session, as of `GET /api/v1/sessions/{session_id}`")
    state: StateField
    activity: ActivityField
    segment_count: int = Field(description="how many segments are stored", json_schema_extra=NATURAL)
    from_segment: int = Field(
        description="what follows is everything from this index on: drop what you hold from it on. Over 0 without "
        "`after`: earlier ones are in the transcript, or come with `after=-1`",
        json_schema_extra=NATURAL,
    )
    segments: list[SegmentItem] = Field(
        description="in order, 100 at most; where there are more they follow as `segment`"
    )
    interim: InterimItem | None = Field(description="what is being said now")
    progress: ProgressItem | None = Field(description="of a live session, with `progress=true`")


class SegmentStored(SegmentItem, _Numbered):
    """A final result was stored. One of an index that came before replaces it (its `tail` is no longer true)."""

    event: Literal["segment"] = "segment"


class InterimChanged(InterimItem, _Numbered):
    """Something is being said. Interims that nobody had time to read are left out: the newest one counts."""

    event: Literal["interim"] = "interim"


class SegmentsRevised(_Numbered):
    """The speaker came back after a lost connection, and the words that were cut off come again. Drop the interim."""

    event: Literal["revised"] = "revised"
    from_segment: int = Field(
        description="segments with this index and later do not count any more", json_schema_extra=NATURAL
    )


class StatusChanged(_Numbered):
    """The session does something else than before."""

    event: Literal["status"] = "status"
    state: StateField
    activity: ActivityField


class ProgressChanged(ProgressItem, _Numbered):
    """Up to four times a second while audio flows, with `progress=true`."""

    event: Literal["progress"] = "progress"


class SessionEnded(_Numbered):
    """The session is over, and every segment was told. The service closes with 1000."""

    event: Literal["ended"] = "ended"
    state: Annotated[
        Literal["completed", "interrupted", "failed", "deleted"],
        Field(description="how; see [how sessions end](websocket-api.md#how-sessions-end)"),
    ]
    end_reason: str = Field(description="a stable word, such as `client` or `session_timeout`")
    end_message: str = Field(description="a sentence for people, where there was an error")
    session: SessionAnswer | None = Field(description="the facts of the session now; null where it was deleted")


class SubscriptionError(BaseModel):
    """The subscription ends with this close code. The session itself goes on."""

    event: Literal["error"] = "error"
    code: int = Field(description="the close code that follows", json_schema_extra=CLOSE_CODE)
    reason: str = Field(description="a stable word for programs")
    message: str = Field(description="a sentence for people")
    retryable: bool = Field(description="whether subscribing again may work")
    retry_after_ms: int | None = Field(description="when, where that is known")
    field: str | None = Field(description="the query parameter that is wrong, if one is")
    request_id: str = Field(description="stands on every line of the service's log about this connection")


Delta = SegmentStored | InterimChanged | SegmentsRevised | StatusChanged | ProgressChanged | SessionEnded

SubscriptionMessage = Annotated[Snapshot | Delta | SubscriptionError, Field(discriminator="event")]
