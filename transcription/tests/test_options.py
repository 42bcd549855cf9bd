"""What a client may ask for, and how each wrong field is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.errors import BadConfig
from transcription.options import TranscriptionConfig, clean_text, has_unstorable, is_session_id, parse_config

PHRASES = [{"phrases": ["Riva"]}]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"sample_rate_hertz": 7999}, "sample_rate_hertz"),
    ({"sample_rate_hertz": 48001}, "sample_rate_hertz"),
    ({"sample_rate_hertz": 0}, "sample_rate_hertz"),
    ({"sample_rate_hertz": -16000}, "sample_rate_hertz"),
    ({"sample_rate_hertz": "fast"}, "sample_rate_hertz"),
    ({"sample_rate_hertz": "16000"}, "sample_rate_hertz"),
    ({"sample_rate_hertz": 16000.5}, "sample_rate_hertz"),
    ({"sample_rate_hertz": None}, "sample_rate_hertz"),
    ({"sample_rate_hertz": 10**30}, "sample_rate_hertz"),
    ({"audio_channel_count": 0}, "audio_channel_count"),
    ({"audio_channel_count": 3}, "audio_channel_count"),
    ({"audio_channel_count": []}, "audio_channel_count"),
    ({"encoding": "MP3"}, "encoding"),
    ({"encoding": "linear_pcm"}, "encoding"),
    ({"encoding": 1}, "encoding"),
    ({"encoding": None}, "encoding"),
    ({"language": ""}, "language"),
    ({"language": "e"}, "language"),
    ({"language": "en_US"}, "language"),
    ({"language": "../../etc/passwd"}, "language"),
    ({"language": "en-US\n"}, "language"),
    ({"language": "en-" + "x" * 40}, "language"),
    ({"language": 7}, "language"),
    ({"max_alternatives": 0}, "max_alternatives"),
    ({"max_alternatives": 11}, "max_alternatives"),
    ({"max_alternatives": True}, "max_alternatives"),
    ({"enable_interim_results": "perhaps"}, "enable_interim_results"),
    ({"enable_interim_results": "yes"}, "enable_interim_results"),
    ({"enable_interim_results": 1}, "enable_interim_results"),
    ({"model": "x" * 201}, "model"),
    ({"model": "a\x00b"}, "model"),
    ({"title": "\ud800"}, "title"),
    ({"title": "x" * 201}, "title"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"metadata": {"a": "\x00"}}, "metadata"),
    ({"metadata": "none"}, "metadata"),
    ({"custom_configuration": {str(number): "x" for number in range(33)}}, "custom_configuration"),
    ({"custom_configuration": {"a": {"b": "c"}}}, "custom_configuration.a"),
    ({"speech_contexts": PHRASES * 33}, "speech_contexts"),
    ({"speech_contexts": [{"phrases": []}]}, "speech_contexts.0.phrases"),
    ({"speech_contexts": [*PHRASES, {"phrases": ["x"] * 501}]}, "speech_contexts.1.phrases"),
    ({"speech_contexts": [{"phrases": ["x"], "boost": 101}]}, "speech_contexts.0.boost"),
    ({"speech_contexts": [{"phrases": ["x"], "weight": 1}]}, "speech_contexts.0.weight"),
    ({"speech_contexts": [{"phrases": ["\x00"]}]}, "speech_contexts"),
    ({"diarization": {"max_speakers": 33}}, "diarization.max_speakers"),
    ({"diarization": True}, "diarization"),
    ({"endpointing": {"stop_history": -1}}, "endpointing.stop_history"),
    ({"endpointing": {"stop_threshold": 1.1}}, "endpointing.stop_threshold"),
    ({"endpointing": {"pause": 1}}, "endpointing.pause"),
    ({"keep_audio": "maybe"}, "keep_audio"),
    ({"sample_rate": 16000}, "sample_rate"),
    ({"Language": "en-US"}, "Language"),
]


@pytest.mark.parametrize(("config", "field"), BAD, ids=[f"{field}-{n}" for n, (_, field) in enumerate(BAD)])
def test_a_wrong_field_is_refused_by_its_name(config: dict[str, Any], field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse_config(config)

    assert caught.value.code == 4422
    assert caught.value.field == f"config.{field}"
    assert caught.value.message.startswith(f"config.{field}: ")


def test_the_prefix_is_the_callers() -> None:
    with pytest.raises(BadConfig) as caught:
        parse_config({"language": 7}, prefix="")

    assert caught.value.field == "language"


def test_the_first_four_defaults_are_settled() -> None:
    config = parse_config({})

    assert config.language == "en-US"
    assert config.enable_interim_results is True
    assert config.enable_automatic_punctuation is True
    assert config.max_alternatives == 1
    assert config.audio_format == AudioFormat(Encoding.LINEAR_PCM, 16000, 1)


@pytest.mark.parametrize("language", ["en-US", "de", "zh-Hans-CN", "es-419", "multi"])
def test_language_codes_of_every_shape_are_taken(language: str) -> None:
    assert parse_config({"language": language}).language == language


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_encoding_and_usual_rate_is_taken(encoding: Encoding, rate_hz: int) -> None:
    config = parse_config({"encoding": encoding.value, "sample_rate_hertz": rate_hz, "audio_channel_count": 2})

    assert config.audio_format == AudioFormat(encoding, rate_hz, 2)


def test_audio_is_kept_where_the_site_and_the_session_want_it() -> None:
    asked = {choice: parse_config({"keep_audio": choice}) for choice in (True, False, None)}

    assert not any(config.as_applied("off").keep_audio for config in asked.values())
    assert [choice for choice, config in asked.items() if config.as_applied("ask").keep_audio] == [True]
    assert [choice for choice, config in asked.items() if config.as_applied("on").keep_audio] == [True, None]


def test_endpointing_is_applied_as_asked() -> None:
    endpointing = {"stop_history": 300, "start_history": 200, "stop_threshold": 0.9}
    applied = parse_config({"endpointing": endpointing}).as_applied()

    assert applied.endpointing.model_dump(exclude_none=True) == endpointing


def test_what_is_applied_can_be_asked_for_again() -> None:
    applied = parse_config({"speech_contexts": PHRASES, "metadata": {"a": "b"}}).as_applied()

    assert TranscriptionConfig.model_validate(applied.model_dump(mode="json")) == applied


@pytest.mark.parametrize("session_id", ["a", "A-Z_09", "x" * 64])
def test_session_ids(session_id: str) -> None:
    assert is_session_id(session_id)


@pytest.mark.parametrize("session_id", ["", "x" * 65, "a b", "../a", "a/b", "a.b", "ä", "a\n", "a\x00", "%2e"])
def test_what_is_no_session_id(session_id: str) -> None:
    assert not is_session_id(session_id)


@given(st.text(st.characters(), max_size=50))
def test_clean_text_can_be_stored_and_is_as_long(text: str) -> None:
    cleaned = clean_text(text)

    assert not has_unstorable(cleaned)
    assert len(cleaned) == len(text)
    cleaned.encode()
    if not has_unstorable(text):
        assert cleaned == text


def test_a_whole_number_is_an_integer_however_json_writes_it() -> None:
    config = parse_config({"sample_rate_hertz": 8000.0, "endpointing": {"stop_history": 5e2, "stop_threshold": 1.0}})
    assert (config.sample_rate_hertz, config.endpointing.stop_history) == (8000, 500)
    for number in (8000.5, float("inf"), float("nan"), 1e300, True):
        with pytest.raises(BadConfig):
            parse_config({"sample_rate_hertz": number})
