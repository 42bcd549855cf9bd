"""Every message of `/v1/listen`, as models: Deepgram's names and shapes. Times are seconds of the session's audio."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# Deepgram's own number of the channel, and of how many: channels are mixed into one.
ONLY_CHANNEL = [0, 1]


class _FromClient(BaseModel):
    """Fields that are not known are let pass: newer clients send more than is needed."""

    model_config = ConfigDict(extra="allow", strict=True)


class KeepAlive(_FromClient):
    """ "I am muted, not gone": restarts the idle timer."""

    type: Literal["KeepAlive"]


class Finalize(_FromClient):
    """End the current utterance now; answered by a `Results` with `from_finalize` true."""

    type: Literal["Finalize"]


class CloseStream(_FromClient):
    """No more audio; the last `Results` and `Metadata` still arrive. An empty binary message says the same."""

    type: Literal["CloseStream"]


class Configure(_FromClient):
    """Other key terms in the middle of a stream; always answered by a `ConfigureFailure`."""

    type: Literal["Configure"]


ClientMessage = Annotated[KeepAlive | Finalize | CloseStream | Configure, Field(discriminator="type")]
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
CLIENT_MESSAGE_TYPES = ("KeepAlive", "Finalize", "CloseStream", "Configure")


class WordItem(BaseModel):
    """`word`: small letters, no marks. `punctuated_word`: as written, where punctuation was asked for.
    `confidence`: 0.0 where the recogniser sets none. `speaker`: where diarization was asked for and is done.
    """

    word: str
    start: float
    end: float
    confidence: float
    punctuated_word: str | None = None
    speaker: int | None = None


class AlternativeItem(BaseModel):
    transcript: str
    confidence: float
    words: list[WordItem]


class Channel(BaseModel):
    alternatives: list[AlternativeItem]


class ModelInfo(BaseModel):
    name: str
    version: str
    arch: str


class ResultsMetadata(BaseModel):
    """`request_id`: the id of the transcription session."""

    request_id: str
    model_info: ModelInfo
    model_uuid: str


class Results(BaseModel):
    """A hypothesis of the open utterance, or, with `is_final`, what will not change any more.

    `speech_final`: a pause ended the utterance. `from_finalize`: it answers a `Finalize`; empty if nothing was open.
    """

    type: Literal["Results"] = "Results"
    channel_index: list[int] = ONLY_CHANNEL
    duration: float
    start: float
    is_final: bool
    speech_final: bool
    channel: Channel
    metadata: ResultsMetadata
    from_finalize: bool


class UtteranceEnd(BaseModel):
    """No word was heard for `utterance_end_ms`."""

    type: Literal["UtteranceEnd"] = "UtteranceEnd"
    channel: list[int] = ONLY_CHANNEL
    last_word_end: float


class SpeechStarted(BaseModel):
    type: Literal["SpeechStarted"] = "SpeechStarted"
    channel: list[int] = ONLY_CHANNEL
    timestamp: float


class Warning(BaseModel):
    """A parameter of the query that is ignored or changed, and why."""

    parameter: str
    message: str


class Metadata(BaseModel):
    """The last message of a stream that was closed. `sha256`: of the bytes that came; `duration`: seconds of audio."""

    type: Literal["Metadata"] = "Metadata"
    transaction_key: Literal["deprecated"] = "deprecated"
    request_id: str
    sha256: str
    created: str
    duration: float
    channels: int
    models: list[str]
    model_info: dict[str, ModelInfo]
    tags: list[str] | None = None
    extra: dict[str, str] | None = None
    warnings: list[Warning] | None = None


class ErrorMessage(BaseModel):
    """`variant`: a stable word; `SchemaError` for a text message that cannot be read, which `message` then repeats."""

    type: Literal["Error"] = "Error"
    variant: str
    description: str
    message: str | None = None


class ConfigureFailure(BaseModel):
    type: Literal["ConfigureFailure"] = "ConfigureFailure"
    request_id: str
    code: Literal["CONFIGURE_KEYTERMS_NOT_SUPPORTED"] = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
    description: str


class HttpError(BaseModel):
    """What a refused handshake and a refused file are answered with."""

    err_code: str
    err_msg: str
    request_id: str


def build_text(model: BaseModel) -> str:
    return model.model_dump_json(exclude_none=True)


def build_object(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)
