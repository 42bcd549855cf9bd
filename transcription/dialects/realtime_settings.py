"""What a realtime session is set to, in the two shapes its clients write and read. Pure.

The newer shape is OpenAI's `{"type": "transcription", "audio": {"input": …}}`; the older one, `input_audio_format` and
its neighbours, is OpenAI's before that and NVIDIA's, with fields of NVIDIA's own. Replies show what applies, so what
was asked for and has no effect here comes back as null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from transcription.audio.formats import AudioFormat, Encoding
from transcription.dialects import realtime_fields as fields
from transcription.errors import BadConfig
from transcription.languages import choose_language
from transcription.options import TranscriptionConfig, parse_config

FormatName = Literal["pcm16", "g711_ulaw", "g711_alaw", "none"]

OPENAI_RATE_HZ = 24_000
NVIDIA_RATE_HZ = 16_000
G711_RATE_HZ = 8_000
KEYWORD_BOOST = 20.0
ENCODINGS = {"pcm16": Encoding.LINEAR_PCM, "g711_ulaw": Encoding.MULAW, "g711_alaw": Encoding.ALAW}
FORMAT_TYPES: dict[str, FormatName] = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
TYPE_NAMES = {name: kind for kind, name in FORMAT_TYPES.items()}
# Which of OpenAI's models is meant says nothing to another recogniser.
FOREIGN_MODELS = ("gpt-", "whisper")
MAX_FIELD_CHARACTERS = 100
# Where our own name of an option is not the client's.
CLIENT_NAMES = {
    "language": "input_audio_transcription.language",
    "model": "input_audio_transcription.model",
    "sample_rate_hertz": "input_audio_params.sample_rate_hz",
    "audio_channel_count": "input_audio_params.num_channels",
    "max_alternatives": "recognition_config.max_alternatives",
    "custom_configuration": "recognition_config.custom_configuration",
    "speech_contexts": "word_boosting.word_boosting_list",
    "diarization": "speaker_diarization.max_speaker_count",
    "endpointing": "endpointing_config",
}


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """format "none": the audio says itself what it is, as a whole file does from its first byte.

    turn_detection: whether the service ends utterances; otherwise the client does. silence_ms: that ends one; None:
    the recogniser's own. language, model: as the client said them.
    """

    format: FormatName = "pcm16"
    sample_rate_hz: int = OPENAI_RATE_HZ
    channels: int = 1
    language: str = "en-US"
    model: str = ""
    keywords: tuple[str, ...] = ()
    turn_detection: bool = True
    silence_ms: int | None = None
    max_alternatives: int = 1
    automatic_punctuation: bool = True
    word_time_offsets: bool = True
    profanity_filter: bool = False
    verbatim_transcripts: bool = False
    diarization: bool = False
    max_speakers: int = 8
    word_boosting: tuple[fields.WordBoost, ...] = ()
    endpointing: tuple[tuple[str, float], ...] = ()
    custom_configuration: tuple[tuple[str, str], ...] = ()

    def options(self, audio_format: AudioFormat | None = None) -> dict[str, Any]:
        """Fields of TranscriptionConfig. audio_format: what a file said of itself."""
        audio = audio_format or self.declared_format
        return {
            "language": choose_language(self.language, ()),
            "model": "" if self.model.startswith(FOREIGN_MODELS) else self.model,
            "encoding": audio.encoding.value,
            "sample_rate_hertz": audio.sample_rate_hz,
            "audio_channel_count": audio.channels,
            "max_alternatives": self.max_alternatives,
            "enable_automatic_punctuation": self.automatic_punctuation,
            "enable_word_time_offsets": self.word_time_offsets,
            "profanity_filter": self.profanity_filter,
            "verbatim_transcripts": self.verbatim_transcripts,
            "speech_contexts": self._speech_contexts(),
            "diarization": {"enable": self.diarization, "max_speakers": self.max_speakers},
            "endpointing": self._endpointing(),
            "custom_configuration": dict(self.custom_configuration),
        }

    @property
    def declared_format(self) -> AudioFormat:
        """For "none": that of a file without a header."""
        return AudioFormat(ENCODINGS.get(self.format, Encoding.LINEAR_PCM), self.sample_rate_hz, self.channels)

    def _speech_contexts(self) -> list[dict[str, Any]]:
        contexts: list[dict[str, Any]] = [
            {"phrases": boost.phrases, "boost": boost.boost} for boost in self.word_boosting
        ]
        if self.keywords:
            contexts.append({"phrases": list(self.keywords), "boost": KEYWORD_BOOST})
        return contexts

    def _endpointing(self) -> dict[str, float]:
        silence = {} if self.silence_ms is None else {"stop_history": self.silence_ms}
        return silence | dict(self.endpointing)

    # In the newer shape

    def as_session(self, session_id: str) -> dict[str, Any]:
        kind = TYPE_NAMES.get(self.format, "audio/pcm")
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "audio": {
                "input": {
                    "format": {"type": kind, "rate": self.sample_rate_hz} if kind == "audio/pcm" else {"type": kind},
                    "noise_reduction": None,
                    "transcription": {
                        "model": self.model or None,
                        "language": self.language,
                        "prompt": None,
                        "keywords": list(self.keywords) or None,
                    },
                    "turn_detection": self._turn_detection(),
                }
            },
            "include": None,
        }

    # In the older one

    def as_transcription_session(self, session_id: str) -> dict[str, Any]:
        return {
            "id": session_id,
            "object": "realtime.transcription_session",
            "modalities": ["text"],
            "input_audio_format": self.format,
            "input_audio_transcription": {"language": self.language, "model": self.model, "prompt": ""},
            "input_audio_params": {"sample_rate_hz": self.sample_rate_hz, "num_channels": self.channels},
            "recognition_config": {
                "max_alternatives": self.max_alternatives,
                "enable_automatic_punctuation": self.automatic_punctuation,
                "enable_word_time_offsets": self.word_time_offsets,
                "enable_profanity_filter": self.profanity_filter,
                "enable_verbatim_transcripts": self.verbatim_transcripts,
                "custom_configuration": dict(self.custom_configuration),
            },
            "speaker_diarization": {
                "enable_speaker_diarization": self.diarization,
                "max_speaker_count": self.max_speakers,
            },
            "word_boosting": {
                "enable_word_boosting": bool(self.word_boosting),
                "word_boosting_list": [boost.model_dump() for boost in self.word_boosting],
            },
            "endpointing_config": dict(self.endpointing),
            "turn_detection": self._turn_detection(),
            "input_audio_noise_reduction": None,
            "include": None,
            "client_secret": None,
        }

    def _turn_detection(self) -> dict[str, Any] | None:
        if not self.turn_detection:
            return None
        return {
            "type": "server_vad",
            "threshold": None,
            "prefix_padding_ms": None,
            "silence_duration_ms": self.silence_ms,
        }


def parse_session(data: dict[str, Any]) -> fields.Session:
    """A client's session object. Raises BadConfig naming the field (`session.audio.input.format`)."""
    try:
        return fields.Session.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(["session", *map(str, problem["loc"])])[:MAX_FIELD_CHARACTERS]
        raise BadConfig(f"{path}: {problem['msg'].removeprefix('Value error, ')}", field=path) from None


def unknown_field(asked: BaseModel, path: str = "session") -> str | None:
    """The path of a field that no client of ours is known to send, if there is one."""
    for name in asked.model_extra or ():
        return f"{path}.{name}"[:MAX_FIELD_CHARACTERS]
    for name in asked.model_fields_set:
        value = getattr(asked, name, None)
        if isinstance(value, BaseModel) and (found := unknown_field(value, f"{path}.{name}")):
            return found
    return None


def merge(settings: RealtimeSettings, asked: fields.Session) -> RealtimeSettings:
    """The settings with those fields changed that were given. Raises BadConfig naming the field."""
    changes = fields.changes(asked)
    format_name = changes.get("format", settings.format)
    if format_name in ("g711_ulaw", "g711_alaw"):
        changes.setdefault("sample_rate_hz", G711_RATE_HZ)
    elif format_name != settings.format and settings.format in ("g711_ulaw", "g711_alaw"):
        changes.setdefault("sample_rate_hz", OPENAI_RATE_HZ)
    merged = replace(settings, **changes)
    check(merged)
    return merged


def check(settings: RealtimeSettings) -> TranscriptionConfig:
    """The settings as options. Raises BadConfig, with the client's name of the field."""
    try:
        return parse_config(settings.options(), prefix="")
    except BadConfig as error:
        name, _dot, rest = (error.field or "").partition(".")
        field = client_name(name) + (f".{rest}" if rest else "")
        _path, _colon, message = error.message.partition(": ")
        raise BadConfig(f"{field}: {message}", field=field) from None


def client_name(option: str) -> str:
    """Where clients set an option of ours."""
    return f"session.{CLIENT_NAMES.get(option, option)}"
