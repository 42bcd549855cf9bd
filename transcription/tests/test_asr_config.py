"""Every field of Riva's configuration is honoured, refused or listed."""

from __future__ import annotations

import math

import pytest
from google.protobuf.descriptor import Descriptor
from riva.client.proto import riva_asr_pb2, riva_audio_pb2

from transcription.asr_server.audio_input import Encoding
from transcription.asr_server.config import FIELDS, Treatment, check_config
from transcription.asr_server.endpointing import EndpointingOptions
from transcription.asr_server.errors import RequestError

MESSAGES: list[Descriptor] = [
    riva_asr_pb2.StreamingRecognitionConfig.DESCRIPTOR,
    riva_asr_pb2.RecognitionConfig.DESCRIPTOR,
    riva_asr_pb2.EndpointingConfig.DESCRIPTOR,
]


def config(**fields: object) -> riva_asr_pb2.RecognitionConfig:
    return riva_asr_pb2.RecognitionConfig(**{"encoding": 1, "sample_rate_hertz": 16000, **fields})


def test_every_field_of_the_configuration_has_a_decision() -> None:
    assert {f"{message.name}.{field.name}" for message in MESSAGES for field in message.fields} == set(FIELDS)


def test_every_decision_says_why() -> None:
    assert all(rule.note for rule in FIELDS.values())


def test_every_encoding_has_a_decision() -> None:
    for number in riva_audio_pb2.AudioEncoding.values():
        assert isinstance(check_config(config(encoding=number), "m").encoding, Encoding)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"encoding": 7}, "encoding"),
        ({"sample_rate_hertz": 7999}, "sample_rate_hertz"),
        ({"sample_rate_hertz": 48001}, "sample_rate_hertz"),
        ({"sample_rate_hertz": -1}, "sample_rate_hertz"),
        ({"sample_rate_hertz": 0, "encoding": riva_audio_pb2.MULAW}, "sample_rate_hertz"),
        ({"audio_channel_count": 3}, "audio_channel_count"),
        ({"audio_channel_count": -1}, "audio_channel_count"),
        ({"language_code": "de-DE"}, "language_code"),
        ({"language_code": "england"}, "language_code"),
        ({"model": "conformer"}, "model"),
        ({"max_alternatives": -1}, "max_alternatives"),
        ({"max_alternatives": 101}, "max_alternatives"),
        ({"enable_separate_recognition_per_channel": True}, "enable_separate_recognition_per_channel"),
        ({"diarization_config": {"max_speaker_count": -1}}, "diarization_config.max_speaker_count"),
        ({"speech_contexts": [{"phrases": ["word"] * 10_001}]}, "speech_contexts"),
        *(
            ({"endpointing_config": {name: value}}, f"endpointing_config.{name}")
            for name in ("start_history", "stop_history", "stop_history_eou")
            for value in (-1, 10_001)
        ),
        *(
            ({"endpointing_config": {name: value}}, f"endpointing_config.{name}")
            for name in ("start_threshold", "stop_threshold", "stop_threshold_eou")
            for value in (-0.1, 1.1, math.nan, math.inf)
        ),
    ],
)
def test_it_refuses_a_bad_value_by_the_name_of_its_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(RequestError) as refusal:
        check_config(config(**fields), "m")
    assert refusal.value.field == named
    assert str(refusal.value).startswith(f"{named}: ")


@pytest.mark.parametrize("code", ["", "en", "en-US", "EN-us", "en-GB"])
def test_it_takes_english_by_any_of_its_codes(code: str) -> None:
    check_config(config(language_code=code), "m")


@pytest.mark.parametrize("model", ["", "m"])
def test_it_takes_its_model_by_name_or_unnamed(model: str) -> None:
    check_config(config(model=model), "m")


def test_refused_fields_are_taken_at_their_default() -> None:
    check_config(config(enable_separate_recognition_per_channel=False), "m")


def test_endpointing_left_open_has_the_defaults() -> None:
    assert check_config(config(endpointing_config={"stop_history": 0}), "m").endpointing == EndpointingOptions()


def test_endpointing_asked_for_is_honoured() -> None:
    asked = {"start_history": 200, "start_threshold": 0.25, "stop_history": 900, "stop_threshold": 0.75}
    assert check_config(config(endpointing_config=asked), "m").endpointing == EndpointingOptions(
        start_history_ms=200, start_threshold=0.25, stop_history_ms=900, stop_threshold=0.75
    )


def test_ignored_fields_that_are_set_are_named() -> None:
    options = check_config(
        config(
            speech_contexts=[{"phrases": ["riva"], "boost": 4}],
            diarization_config={"enable_speaker_diarization": True},
            endpointing_config={"stop_history_eou": 200, "stop_history": 500},
        ),
        "m",
    )
    assert options.ignored == ("speech_contexts", "diarization_config", "endpointing_config.stop_history_eou")


def test_only_ignored_fields_are_called_ignored() -> None:
    honoured = {name for name, rule in FIELDS.items() if rule.treatment is Treatment.HONOURED}
    options = check_config(config(enable_word_time_offsets=True, profanity_filter=True), "m")
    assert {"RecognitionConfig.enable_word_time_offsets", "RecognitionConfig.profanity_filter"} <= honoured
    assert options.ignored == ()
