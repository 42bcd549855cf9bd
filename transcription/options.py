"""What a client may ask for. One model for the WebSocket protocol, the HTTP API and the stored session."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema, field_validator

from transcription.audio.formats import AudioFormat, Encoding
from transcription.errors import BadConfig

SESSION_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
LANGUAGE_PATTERN = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"
MAX_METADATA_PAIRS = 16
MAX_CUSTOM_CONFIGURATION_PAIRS = 32
MAX_SPEECH_CONTEXTS = 32
MAX_PHRASES = 500

# Never, where the session asks for it, and unless it asks not to.
KeepAudio = Literal["off", "ask", "on"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# As JSON schemas can say it: what holds no NUL. Lone surrogates cannot come as UTF-8 anyway.
NO_NUL = r"^[^\x00]*$"
MAX_SHORT_CHARACTERS = 200
_SHORT_TEXT_SCHEMA = {"type": "string", "maxLength": MAX_SHORT_CHARACTERS, "pattern": NO_NUL}
ShortText = Annotated[str, StringConstraints(max_length=MAX_SHORT_CHARACTERS), WithJsonSchema(dict(_SHORT_TEXT_SCHEMA))]


def _pairs_schema(max_pairs: int) -> WithJsonSchema:
    """Said for keys as well, which would otherwise lose their limits."""
    return WithJsonSchema(
        {
            "type": "object",
            "maxProperties": max_pairs,
            "propertyNames": dict(_SHORT_TEXT_SCHEMA),
            "additionalProperties": dict(_SHORT_TEXT_SCHEMA),
        }
    )


Metadata = Annotated[
    dict[ShortText, ShortText], Field(max_length=MAX_METADATA_PAIRS), _pairs_schema(MAX_METADATA_PAIRS)
]
CustomConfiguration = Annotated[
    dict[ShortText, ShortText],
    Field(max_length=MAX_CUSTOM_CONFIGURATION_PAIRS),
    _pairs_schema(MAX_CUSTOM_CONFIGURATION_PAIRS),
]
HistoryMs = Annotated[int, Field(ge=0, le=10_000, json_schema_extra={"x-unit": "ms"})]
Share = Annotated[float, Field(ge=0, le=1)]
LanguageCode = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN, max_length=35)]


def clean_text(text: str) -> str:
    """Replace what a database or a UTF-8 encoder cannot hold: NUL and lone surrogates become U+FFFD."""
    # Most text is neither, and this is asked of each result.
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def has_unstorable(text: str) -> bool:
    """Whether a text holds NUL or a lone surrogate."""
    return bool(_UNSTORABLE.search(text))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_whole(cls, value: Any) -> Any:
        """JSON has one kind of number: 16000.0 is an integer."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class SpeechContext(_Strict):
    """Phrases the recogniser should expect. boost: as Riva takes it, negative to discourage."""

    phrases: Annotated[list[ShortText], Field(min_length=1, max_length=MAX_PHRASES, description="what may be said")]
    boost: Annotated[float, Field(ge=-100, le=100, description="as Riva takes it; negative: discourage")] = 20.0


class Diarization(_Strict):
    """Who speaks when. max_speakers: a hint, 1-32."""

    enable: Annotated[bool, Field(description="number the speakers of words")] = False
    max_speakers: Annotated[int, Field(ge=1, le=32, description="a hint")] = 8


class Endpointing(_Strict):
    """Riva's EndpointingConfig: histories in ms, thresholds as shares of frames, 0.0-1.0."""

    start_history: Annotated[
        HistoryMs | None, Field(description="window in which speech must be heard for an utterance to begin")
    ] = None
    start_threshold: Annotated[Share | None, Field(description="share of that window that must be speech")] = None
    stop_history: Annotated[HistoryMs | None, Field(description="window of silence that ends an utterance")] = None
    stop_threshold: Annotated[Share | None, Field(description="share of that window that must be silence")] = None
    stop_history_eou: Annotated[HistoryMs | None, Field(description="window for an early end of utterance")] = None
    stop_threshold_eou: Annotated[Share | None, Field(description="share of that window that must be silence")] = None


@functools.lru_cache(maxsize=64)
def _audio_format(encoding: Encoding, sample_rate_hz: int, channels: int) -> AudioFormat:
    """Formats are asked for several times for each message of audio, and there are few."""
    return AudioFormat(encoding, sample_rate_hz, channels)


class TranscriptionConfig(_Strict):
    """The `config` of `start_transcription`. The first four names and defaults are settled for good."""

    language: Annotated[
        LanguageCode, Field(description="BCP 47 code; 4422 `unknown_language` where the recogniser does not offer it")
    ] = "en-US"
    enable_automatic_punctuation: Annotated[bool, Field(description="punctuation and capitals")] = True
    enable_interim_results: Annotated[bool, Field(description="send interim results")] = True
    max_alternatives: Annotated[
        int, Field(ge=1, le=10, description="hypotheses of a final result at most; a recogniser may give fewer")
    ] = 1
    # Not strict: its name in JSON is text.
    encoding: Annotated[Encoding, Field(strict=False, description="`LINEAR_PCM` is signed 16-bit little-endian")] = (
        Encoding.LINEAR_PCM
    )
    sample_rate_hertz: Annotated[
        int, Field(ge=8000, le=48000, description="samples a second and channel", json_schema_extra={"x-unit": "Hz"})
    ] = 16000
    audio_channel_count: Annotated[int, Field(ge=1, le=2, description="channels, interleaved")] = 1
    model: Annotated[
        ShortText,
        Field(
            description="a model of the recogniser; empty: its choice. 4422 `unknown_model` where there is none "
            "of that name"
        ),
    ] = ""
    profanity_filter: Annotated[bool, Field(description="mask swear words")] = False
    verbatim_transcripts: Annotated[bool, Field(description="leave numbers and the like as spoken")] = False
    enable_word_time_offsets: Annotated[bool, Field(description="`words` with their times in final results")] = True
    speech_contexts: Annotated[
        list[SpeechContext], Field(max_length=MAX_SPEECH_CONTEXTS, description="phrases to expect, see below")
    ] = []
    diarization: Annotated[Diarization, Field(description="tell speakers apart, see below")] = Diarization()
    endpointing: Annotated[Endpointing, Field(description="when an utterance ends, see below")] = Endpointing()
    custom_configuration: Annotated[CustomConfiguration, Field(description="handed on to Riva as it is")] = {}
    title: Annotated[ShortText, Field(description="a name for people")] = ""
    metadata: Annotated[Metadata, Field(description="yours; stored and returned, never interpreted")] = {}
    keep_audio: Annotated[
        bool | None,
        Field(
            description="whether the [audio is kept](recordings.md); `null`: as the service does it. "
            "`transcription_started` says what was agreed"
        ),
    ] = None
    words_in_interims: Annotated[
        bool, Field(description="`words` in interim results too; costs about 20 % of the service's work for a stream")
    ] = False

    @field_validator("title", "model", "metadata", "custom_configuration", "speech_contexts")
    @classmethod
    def _is_storable(cls, value: Any) -> Any:
        refuse_unstorable(value)
        return value

    @property
    def audio_format(self) -> AudioFormat:
        return _audio_format(self.encoding, self.sample_rate_hertz, self.audio_channel_count)

    def as_applied(self, keep_audio: KeepAudio = "off") -> TranscriptionConfig:
        """These options as the service takes them. keep_audio: what the site says of it."""
        keeps = keep_audio == "on" if self.keep_audio is None else self.keep_audio and keep_audio != "off"
        return self.model_copy(update={"keep_audio": keeps})


def refuse_unstorable(value: Any) -> None:
    """Raise ValueError for what a database or a UTF-8 encoder cannot hold, at any depth."""
    if isinstance(value, str):
        if has_unstorable(value):
            raise ValueError("contains NUL or a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            refuse_unstorable(key)
            refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            refuse_unstorable(item)
    elif isinstance(value, SpeechContext):
        refuse_unstorable(value.phrases)


def parse_config(data: dict[str, Any], *, prefix: str = "config") -> TranscriptionConfig:
    """Validate options given as a JSON object.

    Raises BadConfig naming the first wrong field as a path below prefix (`config.sample_rate_hertz`).
    """
    try:
        return TranscriptionConfig.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join([prefix, *map(str, problem["loc"])]) if prefix else ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        raise BadConfig(f"{path}: {message}", field=path) from None


def is_session_id(text: str) -> bool:
    """Whether a client's session id has the allowed characters and length."""
    return re.fullmatch(SESSION_ID_PATTERN, text) is not None
