"""What a realtime session is set to."""

from __future__ import annotations

from typing import Any

import pytest
from openai._models import validate_type
from openai.types.beta.realtime.transcription_session import TranscriptionSession
from openai.types.realtime.realtime_transcription_session_create_response import (
    RealtimeTranscriptionSessionCreateResponse,
)

from transcription.audio.formats import AudioFormat, Encoding
from transcription.dialects.realtime_settings import RealtimeSettings, merge, parse_session, unknown_field
from transcription.errors import BadConfig
from transcription.options import parse_config


def merged(session: dict[str, Any], settings: RealtimeSettings | None = None) -> RealtimeSettings:
    return merge(settings or RealtimeSettings(), parse_session(session))


def test_the_newer_shape_sets_the_recogniser() -> None:
    settings = merged(
        {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 16000},
                    "transcription": {"model": "gpt-4o-transcribe", "language": "de", "keywords": ["Riva"]},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 700, "threshold": 0.7},
                    "noise_reduction": {"type": "near_field"},
                }
            },
            "include": ["item.input_audio_transcription.logprobs"],
        }
    )
    config = parse_config(settings.options())
    assert (config.language, config.model, config.sample_rate_hertz) == ("de-DE", "", 16000)
    assert config.endpointing.stop_history == 700
    assert [context.phrases for context in config.speech_contexts] == [["Riva"]]
    assert settings.turn_detection


def test_what_has_no_effect_comes_back_as_null() -> None:
    settings = merged(
        {
            "audio": {
                "input": {
                    "turn_detection": {"type": "semantic_vad", "eagerness": "low", "prefix_padding_ms": 100},
                    "noise_reduction": {"type": "far_field"},
                    "transcription": {"prompt": "Expect words of the sea."},
                }
            },
            "include": ["item.input_audio_transcription.logprobs"],
        }
    )
    told = settings.as_session("sess_1")
    heard = told["audio"]["input"]
    assert heard["turn_detection"] == {
        "type": "server_vad", "threshold": None, "prefix_padding_ms": None, "silence_duration_ms": None
    }  # fmt: skip
    assert heard["noise_reduction"] is heard["transcription"]["prompt"] is told["include"] is None


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"input_audio_format": "pcm16"}, AudioFormat(Encoding.LINEAR_PCM, 24000)),
        ({"input_audio_format": "g711_ulaw"}, AudioFormat(Encoding.MULAW, 8000)),
        ({"input_audio_format": "g711_alaw"}, AudioFormat(Encoding.ALAW, 8000)),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}}}, AudioFormat(Encoding.ALAW, 8000)),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, AudioFormat(Encoding.MULAW, 8000)),
        ({"audio": {"input": {"format": {"type": "audio/pcm"}}}}, AudioFormat(Encoding.LINEAR_PCM, 24000)),
        (
            {"input_audio_format": "pcm16", "input_audio_params": {"sample_rate_hz": 44100, "num_channels": 2}},
            AudioFormat(Encoding.LINEAR_PCM, 44100, 2),
        ),
    ],
)
def test_each_format_is_taken(session: dict[str, Any], expected: AudioFormat) -> None:
    assert merged(session).declared_format == expected


def test_the_way_back_from_g711_is_to_the_usual_rate() -> None:
    phone = merged({"input_audio_format": "g711_ulaw"})
    assert merged({"input_audio_format": "pcm16"}, phone).sample_rate_hz == 24000


def test_nvidias_fields_set_the_recogniser() -> None:
    settings = merged(
        {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"language": "en-US", "model": "parakeet", "prompt": ""},
            "input_audio_params": {"sample_rate_hz": 16000, "num_channels": 1},
            "recognition_config": {
                "max_alternatives": 3,
                "enable_automatic_punctuation": False,
                "enable_word_time_offsets": False,
                "enable_profanity_filter": True,
                "enable_verbatim_transcripts": True,
                "custom_configuration": "a:1, b:2",
            },
            "speaker_diarization": {"enable_speaker_diarization": True, "max_speaker_count": 4},
            "word_boosting": {
                "enable_word_boosting": True,
                "word_boosting_list": [{"phrases": ["Riva"], "boost": 20.0}],
            },
            "endpointing_config": {"start_history": 200, "stop_history": 600, "stop_threshold": 0.9},
        }
    )
    config = parse_config(settings.options())
    assert (config.model, config.max_alternatives, config.enable_automatic_punctuation) == ("parakeet", 3, False)
    assert (config.profanity_filter, config.verbatim_transcripts, config.enable_word_time_offsets) == (
        True,
        True,
        False,
    )
    assert config.custom_configuration == {"a": "1", "b": "2"}
    assert (config.diarization.enable, config.diarization.max_speakers) == (True, 4)
    assert config.speech_contexts[0].boost == 20.0
    assert (config.endpointing.start_history, config.endpointing.stop_history) == (200, 600)


def test_only_the_fields_that_are_given_change() -> None:
    first = merged({"audio": {"input": {"transcription": {"language": "fr"}, "turn_detection": None}}})
    second = merged({"audio": {"input": {"transcription": {"model": "parakeet"}}}}, first)
    assert (second.language, second.model, second.turn_detection) == ("fr", "parakeet", False)


def test_what_was_told_may_be_sent_back() -> None:
    settings = merged(
        {
            "input_audio_format": "none",
            "endpointing_config": {"stop_history": 500},
            "word_boosting": {"word_boosting_list": [{"phrases": ["x"], "boost": 2.0}]},
        }
    )
    for told in (settings.as_transcription_session("sess_1"), settings.as_session("sess_1")):
        asked = parse_session(told)
        assert unknown_field(asked) is None
        assert merge(settings, asked).options() == settings.options()


@pytest.mark.parametrize(
    ("session", "field"),
    [
        ({"type": "realtime"}, "session.type"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "session.audio.input.format.type"),
        ({"input_audio_format": "mp3"}, "session.input_audio_format"),
        ({"input_audio_params": {"sample_rate_hz": 96000}}, "session.input_audio_params.sample_rate_hz"),
        ({"input_audio_transcription": {"language": "no language"}}, "session.input_audio_transcription.language"),
        ({"recognition_config": {"max_alternatives": 99}}, "session.recognition_config.max_alternatives"),
        ({"recognition_config": {"custom_configuration": "x"}}, "session.recognition_config.custom_configuration"),
        ({"endpointing_config": {"stop_threshold": 7}}, "session.endpointing_config.stop_threshold"),
        ({"turn_detection": {"silence_duration_ms": 5}}, "session.turn_detection.silence_duration_ms"),
    ],
)
def test_a_wrong_field_is_named_as_the_client_named_it(session: dict[str, Any], field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        merged(session)
    assert caught.value.field == field
    assert caught.value.message.startswith(field)


def test_an_unknown_field_is_found_wherever_it_is() -> None:
    assert unknown_field(parse_session({"voice": "alloy"})) == "session.voice"
    found = unknown_field(parse_session({"audio": {"input": {"transcription": {"temprature": 1}}}}))
    assert found == "session.audio.input.transcription.temprature"


def test_both_shapes_are_those_of_openais_models() -> None:
    settings = RealtimeSettings()
    validate_type(type_=RealtimeTranscriptionSessionCreateResponse, value=settings.as_session("sess_1"))
    secret = {"client_secret": {"value": "x", "expires_at": 1}}
    model = {"input_audio_transcription": {"language": "en", "model": "whisper-1", "prompt": ""}}
    validate_type(type_=TranscriptionSession, value=settings.as_transcription_session("sess_1") | secret | model)
