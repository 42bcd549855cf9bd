"""The session object of realtime clients, as models: both shapes, every field optional. Pure.

What is not listed is kept apart by pydantic (`model_extra`): OpenAI's clients are told, NVIDIA's send back whatever
the service had sent them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

MAX_KEYWORDS = 500
MAX_BOOSTS = 32

Text = Annotated[str, StringConstraints(max_length=200)]
Prompt = Annotated[str, StringConstraints(max_length=20_000)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Transcription(_Asked):
    """prompt, delay and languages are taken and have no effect; keywords are expected words."""

    language: Text | None = None
    model: Text | None = None
    prompt: Prompt | None = None
    keywords: Annotated[list[Text], Field(max_length=MAX_KEYWORDS)] | None = None
    languages: list[Text] | None = None
    delay: Text | None = None


class TurnDetection(_Asked):
    """silence_duration_ms ends an utterance. The rest is taken and has no effect."""

    type: Literal["server_vad", "semantic_vad"] | None = None
    silence_duration_ms: Annotated[int, Field(ge=100, le=10_000)] | None = None
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: int | None = None
    eagerness: Text | None = None


class Format(_Asked):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int | None = None


class AudioInput(_Asked):
    format: Format | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None
    noise_reduction: dict[str, Any] | None = None


class Audio(_Asked):
    input: AudioInput | None = None


class AudioParams(_Asked):
    sample_rate_hz: int | None = None
    num_channels: int | None = None


class RecognitionConfig(_Asked):
    """custom_configuration: pairs, or NVIDIA's text of them, `name:value,name:value`."""

    max_alternatives: int | None = None
    enable_automatic_punctuation: bool | None = None
    enable_word_time_offsets: bool | None = None
    enable_profanity_filter: bool | None = None
    enable_verbatim_transcripts: bool | None = None
    custom_configuration: dict[str, str] | None = None

    @field_validator("custom_configuration", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition(":") for pair in value.replace(" ", "").split(",") if pair]
        if not all(colon for _name, colon, _value in pairs):
            raise ValueError("must be name:value, separated by commas")
        return {name: text for name, _colon, text in pairs}


class SpeakerDiarization(_Asked):
    enable_speaker_diarization: bool | None = None
    max_speaker_count: int | None = None


class WordBoost(_Asked):
    phrases: list[str]
    boost: float = 1.0


class WordBoosting(_Asked):
    enable_word_boosting: bool | None = None
    word_boosting_list: Annotated[list[WordBoost], Field(max_length=MAX_BOOSTS)] | None = None


class EndpointingConfig(_Asked):
    """Riva's; a field that is null keeps what was set."""

    start_history: int | None = None
    start_threshold: float | None = None
    stop_history: int | None = None
    stop_threshold: float | None = None
    stop_history_eou: int | None = None
    stop_threshold_eou: float | None = None


class Session(_Asked):
    # The newer shape
    type: Literal["transcription"] | None = None
    audio: Audio | None = None
    include: list[Text] | None = None
    # The older one
    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw", "none"] | None = None
    input_audio_transcription: Transcription | None = None
    input_audio_noise_reduction: dict[str, Any] | None = None
    turn_detection: TurnDetection | None = None
    modalities: list[Text] | None = None
    # NVIDIA's
    input_audio_params: AudioParams | None = None
    recognition_config: RecognitionConfig | None = None
    speaker_diarization: SpeakerDiarization | None = None
    word_boosting: WordBoosting | None = None
    endpointing_config: EndpointingConfig | None = None
    # What a client sends back of what it was sent
    id: Any = None
    object: Any = None
    client_secret: Any = None
    expires_at: Any = None


def changes(session: Session) -> dict[str, Any]:
    """Fields of RealtimeSettings that a session changes; null leaves one as it is, but for turn_detection."""
    found: dict[str, Any] = {}
    audio = session.audio.input if session.audio is not None else None
    if audio is not None:
        if audio.format is not None:
            names = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
            found["format"] = names[audio.format.type]
            _put(found, sample_rate_hz=audio.format.rate)
        _add_transcription(found, audio.transcription)
        _add_turn_detection(found, audio)
    _put(found, format=session.input_audio_format)
    _add_transcription(found, session.input_audio_transcription)
    _add_turn_detection(found, session)
    _add_nvidia(found, session)
    return found


def _put(found: dict[str, Any], **values: Any) -> None:
    found.update({name: value for name, value in values.items() if value is not None})


def _add_transcription(found: dict[str, Any], asked: Transcription | None) -> None:
    if asked is None:
        return
    _put(found, language=asked.language, model=asked.model)
    if asked.keywords is not None:
        found["keywords"] = tuple(asked.keywords)


def _add_turn_detection(found: dict[str, Any], holder: AudioInput | Session) -> None:
    if "turn_detection" not in holder.model_fields_set:
        return
    found["turn_detection"] = holder.turn_detection is not None
    if holder.turn_detection is not None:
        _put(found, silence_ms=holder.turn_detection.silence_duration_ms)


def _add_nvidia(found: dict[str, Any], session: Session) -> None:
    if (params := session.input_audio_params) is not None:
        _put(found, sample_rate_hz=params.sample_rate_hz, channels=params.num_channels)
    if (recognition := session.recognition_config) is not None:
        _put(
            found,
            max_alternatives=recognition.max_alternatives,
            automatic_punctuation=recognition.enable_automatic_punctuation,
            word_time_offsets=recognition.enable_word_time_offsets,
            profanity_filter=recognition.enable_profanity_filter,
            verbatim_transcripts=recognition.enable_verbatim_transcripts,
        )
        if recognition.custom_configuration is not None:
            found["custom_configuration"] = tuple(recognition.custom_configuration.items())
    if (diarization := session.speaker_diarization) is not None:
        _put(found, diarization=diarization.enable_speaker_diarization, max_speakers=diarization.max_speaker_count)
    if (boosting := session.word_boosting) is not None:
        enabled = boosting.enable_word_boosting is not False
        found["word_boosting"] = tuple(boosting.word_boosting_list or ()) if enabled else ()
    if (endpointing := session.endpointing_config) is not None:
        found["endpointing"] = tuple(endpointing.model_dump(include=_ENDPOINTING, exclude_none=True).items())


_ENDPOINTING = set(EndpointingConfig.model_fields)
