"""What the embedded recogniser does with each field of Riva's configuration.

`FIELDS` has a decision for every field of the three messages, compared by a test with NVIDIA's
protobuf descriptors: HONOURED, REFUSED (a value other than the default is INVALID_ARGUMENT), or
IGNORED with the reason. Ignored fields that a request sets are named to the client in the initial
metadata `x-ignored-fields`, and all of them in GetRivaSpeechRecognitionConfig.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from riva.client.proto import riva_asr_pb2, riva_audio_pb2

from .audio_input import AudioInput, Encoding, check_channels, check_rate
from .endpointing import EndpointingOptions
from .errors import RequestError

LANGUAGE_CODE = "en-US"
MAX_HISTORY_MS = 10_000
MAX_ALTERNATIVES = 100
MAX_PHRASES = 10_000


class Treatment(Enum):
    """What becomes of a field."""

    HONOURED = "honoured"
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A decision about one field, with the reason or the limits in words."""

    treatment: Treatment
    note: str


H, R, X = Treatment.HONOURED, Treatment.REFUSED, Treatment.IGNORED

FIELDS: dict[str, FieldRule] = {
    "StreamingRecognitionConfig.config": FieldRule(H, "the first message of a stream"),
    "StreamingRecognitionConfig.interim_results": FieldRule(H, "stretched under load, never finals"),
    "RecognitionConfig.encoding": FieldRule(
        H, "LINEAR_PCM, MULAW, ALAW, FLAC, OGGOPUS; unspecified: from the header, else LINEAR_PCM"
    ),
    "RecognitionConfig.sample_rate_hertz": FieldRule(H, "8000-48000; a header wins over it"),
    "RecognitionConfig.language_code": FieldRule(
        H, "English: en, en-US or any en-XX, all heard by the same model; unset: en-US"
    ),
    "RecognitionConfig.max_alternatives": FieldRule(H, "an upper bound: the model has one hypothesis"),
    "RecognitionConfig.profanity_filter": FieldRule(H, "a short English list, masked after the first letter"),
    "RecognitionConfig.speech_contexts": FieldRule(X, "the model cannot be biased towards words"),
    "RecognitionConfig.audio_channel_count": FieldRule(H, "1 or 2; two are mixed into one"),
    "RecognitionConfig.enable_word_time_offsets": FieldRule(
        H, "estimates: words are spread over the detected speech by their length"
    ),
    "RecognitionConfig.enable_automatic_punctuation": FieldRule(
        H, "the model always punctuates; without it marks and sentence capitals are removed"
    ),
    "RecognitionConfig.enable_separate_recognition_per_channel": FieldRule(
        R, "channels are mixed; open a stream for each to keep them apart"
    ),
    "RecognitionConfig.model": FieldRule(H, "a name from GetRivaSpeechRecognitionConfig, or unset"),
    "RecognitionConfig.verbatim_transcripts": FieldRule(
        X, "the model writes numbers and names its own way, neither verbatim nor normalised"
    ),
    "RecognitionConfig.diarization_config": FieldRule(X, "speakers are not told apart: speaker_tag stays 0"),
    "RecognitionConfig.custom_configuration": FieldRule(X, "no key is known"),
    "RecognitionConfig.endpointing_config": FieldRule(H, "field by field, below"),
    "EndpointingConfig.start_history": FieldRule(H, "ms, up to 10000; default 32, in steps of 32"),
    "EndpointingConfig.start_threshold": FieldRule(
        H, "part of start_history that is speech when an utterance begins; default 0.5"
    ),
    "EndpointingConfig.stop_history": FieldRule(H, "ms of silence, up to 10000; default 600, in steps of 32"),
    "EndpointingConfig.stop_threshold": FieldRule(
        H, "part of stop_history that is silence when an utterance ends; default 1.0"
    ),
    "EndpointingConfig.stop_history_eou": FieldRule(X, "there is no second, earlier end of utterance"),
    "EndpointingConfig.stop_threshold_eou": FieldRule(X, "there is no second, earlier end of utterance"),
}

_ENCODINGS = {
    riva_audio_pb2.ENCODING_UNSPECIFIED: Encoding.UNKNOWN,
    riva_audio_pb2.LINEAR_PCM: Encoding.PCM16,
    riva_audio_pb2.MULAW: Encoding.MULAW,
    riva_audio_pb2.ALAW: Encoding.ALAW,
    riva_audio_pb2.FLAC: Encoding.FLAC,
    riva_audio_pb2.OGGOPUS: Encoding.OGG_OPUS,
}
_NEED_RATE = (Encoding.MULAW, Encoding.ALAW)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """A checked configuration. sample_rate_hz 0 means that the audio's header says it."""

    encoding: Encoding
    sample_rate_hz: int
    channels: int
    interim_results: bool
    word_time_offsets: bool
    punctuation: bool
    profanity_filter: bool
    endpointing: EndpointingOptions
    ignored: tuple[str, ...]

    def audio_input(self) -> AudioInput:
        """A reader for audio of this configuration."""
        return AudioInput(self.encoding, self.sample_rate_hz, self.channels)


def check_config(
    config: riva_asr_pb2.RecognitionConfig, model_name: str, interim_results: bool = False
) -> StreamOptions:
    """The options a configuration asks for; raises RequestError naming the first bad field.

    model_name: the only name `model` may have, beside being unset.
    """
    encoding = _ENCODINGS.get(config.encoding)
    if encoding is None:
        raise RequestError("encoding", f"{config.encoding} is not an encoding that is served")
    if config.sample_rate_hertz or encoding in _NEED_RATE:
        check_rate(config.sample_rate_hertz)
    check_channels(config.audio_channel_count or 1)
    _check_language(config.language_code)
    if config.model not in ("", model_name):
        raise RequestError("model", f"{config.model!r} is unknown; there is {model_name!r}")
    if not 0 <= config.max_alternatives <= MAX_ALTERNATIVES:
        raise RequestError("max_alternatives", f"{config.max_alternatives} is outside 0-{MAX_ALTERNATIVES}")
    if config.enable_separate_recognition_per_channel:
        raise RequestError(
            "enable_separate_recognition_per_channel",
            FIELDS["RecognitionConfig.enable_separate_recognition_per_channel"].note,
        )
    if config.diarization_config.max_speaker_count < 0:
        raise RequestError("diarization_config.max_speaker_count", "is negative")
    if sum(len(context.phrases) for context in config.speech_contexts) > MAX_PHRASES:
        raise RequestError("speech_contexts", f"has more than {MAX_PHRASES} phrases")
    return StreamOptions(
        encoding=encoding,
        sample_rate_hz=config.sample_rate_hertz,
        channels=config.audio_channel_count or 1,
        interim_results=interim_results,
        word_time_offsets=config.enable_word_time_offsets,
        punctuation=config.enable_automatic_punctuation,
        profanity_filter=config.profanity_filter,
        endpointing=_check_endpointing(config.endpointing_config),
        ignored=_ignored_fields(config),
    )


def _check_language(code: str) -> None:
    if code and code.lower().split("-")[0] != "en":
        raise RequestError("language_code", f"{code!r} is not served; there is only {LANGUAGE_CODE}")


def _check_endpointing(config: riva_asr_pb2.EndpointingConfig) -> EndpointingOptions:
    for name in ("start_history", "stop_history", "stop_history_eou"):
        if not 0 <= getattr(config, name) <= MAX_HISTORY_MS:
            raise RequestError(
                f"endpointing_config.{name}", f"{getattr(config, name)} ms is outside 0-{MAX_HISTORY_MS}"
            )
    for name in ("start_threshold", "stop_threshold", "stop_threshold_eou"):
        value = getattr(config, name)
        if math.isnan(value) or not 0 <= value <= 1:
            raise RequestError(f"endpointing_config.{name}", f"{value} is outside 0-1")
    # Zero is how NVIDIA's clients write "not set".
    default = EndpointingOptions()
    return EndpointingOptions(
        start_history_ms=config.start_history or default.start_history_ms,
        start_threshold=config.start_threshold or default.start_threshold,
        stop_history_ms=config.stop_history or default.stop_history_ms,
        stop_threshold=config.stop_threshold or default.stop_threshold,
    )


def ignored_field_names() -> list[str]:
    """Every field that is ignored, with its message, for the list of capabilities."""
    return [name for name, rule in FIELDS.items() if rule.treatment is Treatment.IGNORED]


def _ignored_fields(config: riva_asr_pb2.RecognitionConfig) -> tuple[str, ...]:
    """Fields this request sets in vain, as paths from its RecognitionConfig."""
    found = [f.name for f, _ in config.ListFields() if _is_ignored("RecognitionConfig", f.name)]
    for field, _ in config.endpointing_config.ListFields():
        if _is_ignored("EndpointingConfig", field.name):
            found.append(f"endpointing_config.{field.name}")
    return tuple(found)


def _is_ignored(message: str, field: str) -> bool:
    return FIELDS[f"{message}.{field}"].treatment is Treatment.IGNORED
