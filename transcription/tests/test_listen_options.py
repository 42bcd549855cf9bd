"""The query of `/v1/listen`: what is honoured, ignored and refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.dialects.listen_options import ENCODINGS, parse_options
from transcription.dialects.listen_parameters import PARAMETERS, Treatment
from transcription.errors import BadConfig
from transcription.options import parse_config

RAW = "encoding=linear16&sample_rate=16000"


def config(query: str) -> dict[str, Any]:
    return parse_options(query).config


def refused(query: str, *, is_file: bool = False) -> BadConfig:
    with pytest.raises(BadConfig) as caught:
        parse_options(query, is_file=is_file)
    return caught.value


def test_without_options_the_answer_is_as_plain_as_deepgrams() -> None:
    options = parse_options("")

    applied = parse_config(options.config)
    assert not options.has_format
    assert (applied.language, applied.model) == ("en-US", "")
    assert not applied.enable_interim_results
    assert not applied.enable_automatic_punctuation
    assert applied.verbatim_transcripts
    assert options.ends_utterances
    assert options.warnings == ()


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_declares_the_format(name: str) -> None:
    options = parse_options(f"encoding={name}&sample_rate=8000&channels=2")

    applied = parse_config(options.config)
    assert options.has_format
    assert (applied.encoding, applied.sample_rate_hertz, applied.audio_channel_count) == (ENCODINGS[name], 8000, 2)


def test_g711_comes_at_its_own_rate_and_linear16_has_to_say_one() -> None:
    assert config("encoding=mulaw")["sample_rate_hertz"] == 8000
    assert refused("encoding=linear16").field == "sample_rate"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("encoding=speex", "encoding"),
        ("encoding=linear16&sample_rate=96000", "sample_rate"),
        ("encoding=linear16&sample_rate=x", "sample_rate"),
        ("encoding=linear16&sample_rate=16000.5", "sample_rate"),
        ("channels=3", "channels"),
        ("punctuate=perhaps", "punctuate"),
        ("alternatives=0", "alternatives"),
        ("alternatives=11", "alternatives"),
        ("endpointing=soon", "endpointing"),
        ("endpointing=10001", "endpointing"),
        ("utterance_end_ms=99", "utterance_end_ms"),
        ("language=e_n", "language"),
        ("model=" + "x" * 201, "model"),
        ("keyterm=" + "x" * 201, "keyterm"),
        ("keywords=snuffle:much", "keywords"),
        ("keywords=snuffle:6", "keywords"),
        ("keywords=snuffle:nan", "keywords"),
        ("extra=alone", "extra"),
        ("extra=key:" + "x" * 201, "extra"),
        ("&".join(f"extra={n}:{n}" for n in range(17)), "extra"),
        ("tag=a%00b", "extra"),
        ("model=%ff", "query"),
        ("tag=x&" * 1000, "query"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_parameter(query: str, field: str) -> None:
    assert refused(query).field == field


@pytest.mark.parametrize("is_file", [False, True], ids=["live", "file"])
def test_what_would_be_missed_is_refused_unless_it_is_off(is_file: bool) -> None:
    refusing = [
        name
        for name, parameter in PARAMETERS.items()
        if (parameter.file if is_file else parameter.live) is Treatment.REFUSED
    ]
    assert "redact" in refusing
    for name in refusing:
        error = refused(f"{name}=pci", is_file=is_file)
        assert (error.field, error.reason) == (name, "unsupported")
        assert parse_options(f"{name}=false", is_file=is_file).warnings == ()


def test_what_does_no_harm_is_ignored_with_a_warning() -> None:
    options = parse_options("filler_words=true&dictation=false&speling=1&language_hint%5B0%5D=en&mip_opt_out=true")

    assert [name for name, _why in options.warnings] == ["filler_words", "speling", "language_hint[0]"]


def test_the_language_alone_means_its_usual_region() -> None:
    assert config("language=en")["language"] == "en-US"
    assert config("language=de")["language"] == "de-DE"
    assert config("language=en-GB")["language"] == "en-GB"
    assert config("language=multi")["language"] == "multi"


def test_names_of_deepgrams_models_mean_the_default_one() -> None:
    for name in ("nova-3", "nova-2-general", "enhanced", "base", "whisper-large", "Nova-3-Medical"):
        assert config(f"model={name}")["model"] == ""
    assert config("model=parakeet-1.1b")["model"] == "parakeet-1.1b"


def test_smart_format_means_punctuation_and_digits() -> None:
    asked = config("smart_format=true")
    assert (asked["enable_automatic_punctuation"], asked["verbatim_transcripts"]) == (True, False)
    asked = config("numerals=true")
    assert (asked["enable_automatic_punctuation"], asked["verbatim_transcripts"]) == (False, False)


def test_keywords_and_keyterms_become_speech_contexts() -> None:
    contexts = config("keyterm=customer+service&keyterm=Riva&keywords=snuffle:1.5&keywords=sniff&keywords=noise:-2")

    assert contexts["speech_contexts"] == [
        {"phrases": ["customer service", "Riva", "sniff"], "boost": 20.0},
        {"phrases": ["snuffle"], "boost": 30.0},
        {"phrases": ["noise"], "boost": -40.0},
    ]


def test_tags_and_extra_are_kept_with_the_session() -> None:
    options = parse_options("tag=a&tag=b&extra=call:7&extra=at:10:30")

    assert options.config["metadata"] == {"call": "7", "at": "10:30", "tag": "a, b"}
    assert (options.tags, options.extra) == (("a", "b"), {"call": "7", "at": "10:30"})


@pytest.mark.parametrize(
    ("query", "stop_history", "ends"),
    [
        ("", None, True),
        ("endpointing=true", None, True),
        ("endpointing=false", None, False),
        ("endpointing=500", 500, True),
        ("endpointing=10", 300, True),
    ],
)
def test_endpointing_is_the_silence_that_ends_an_utterance(query: str, stop_history: int | None, ends: bool) -> None:
    options = parse_options(query)

    assert options.config.get("endpointing", {}).get("stop_history") == stop_history
    assert options.ends_utterances is ends
    assert [name for name, _why in options.warnings] == (["endpointing"] if query == "endpointing=10" else [])


@pytest.mark.parametrize("query", ["interim_results=true", "vad_events=true", "utterance_end_ms=1000"])
def test_the_recogniser_is_asked_for_interims_by_whoever_needs_them(query: str) -> None:
    options = parse_options(query)

    assert options.config["enable_interim_results"]
    assert options.interim_results is (query == "interim_results=true")
    assert options.config["words_in_interims"] is options.interim_results


def test_of_a_parameter_given_twice_the_last_counts() -> None:
    assert parse_options("punctuate=true&punctuate=false").punctuated is False


def test_a_file_has_paragraphs_and_utterances_and_no_interims() -> None:
    options = parse_options(f"{RAW}&paragraphs=true&utterances=true&utt_split=1.2&interim_results=true", is_file=True)

    assert (options.paragraphs, options.punctuated, options.utterances) == (True, True, True)
    assert options.utterance_split_s == 1.2
    assert not options.interim_results
    assert [name for name, _why in options.warnings] == ["interim_results"]


@given(st.text(max_size=200))
def test_no_query_does_more_than_be_refused(query: str) -> None:
    with contextlib.suppress(BadConfig):
        parse_config(parse_options(query).config)
