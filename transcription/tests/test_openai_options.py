"""The form of OpenAI's transcription endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from transcription.errors import BadConfig
from transcription.files.openai_options import OpenAIOptions, parse_options


def test_nothing_but_a_file_is_enough() -> None:
    assert parse_options({}) == OpenAIOptions()


def test_everything_that_openais_client_sends_is_taken() -> None:
    options = parse_options(
        {
            "model": ["gpt-4o-transcribe"],
            "language": ["en"],
            "prompt": ["Talk of cheese."],
            "response_format": ["verbose_json"],
            "timestamp_granularities[]": ["word", "segment"],
            "temperature": ["0.2"],
            "include[]": ["logprobs"],
            "keywords[]": ["Stilton", "Brie"],
            "chunking_strategy": ["auto"],
            "stream": ["false"],
        }
    )

    assert options == OpenAIOptions(
        language="en",
        response_format="verbose_json",
        granularities=("word", "segment"),
        wants_logprobs=True,
        keywords=("Stilton", "Brie"),
    )
    assert options.config(("en-US",), title="a.mp3") == {
        "model": "",
        "title": "a.mp3",
        "language": "en-US",
        "speech_contexts": [{"phrases": ["Stilton", "Brie"]}],
    }


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        ("whisper-1", ""),
        ("gpt-4o-transcribe", ""),
        ("gpt-transcribe", ""),
        ("", ""),
        ("parakeet-rnnt", "parakeet-rnnt"),
    ],
)
def test_usual_names_mean_the_default_model(asked: str, model: str) -> None:
    assert parse_options({"model": [asked]}).model == model


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"response_format": ["diarized_json"]}, "response_format"),
        ({"response_format": ["json", "text"]}, "response_format"),
        ({"timestamp_granularities[]": ["word"]}, "timestamp_granularities"),
        ({"response_format": ["verbose_json"], "timestamp_granularities[]": ["letter"]}, "timestamp_granularities"),
        ({"temperature": ["2"]}, "temperature"),
        ({"temperature": ["nan"]}, "temperature"),
        ({"temperature": ["warm"]}, "temperature"),
        ({"stream": ["perhaps"]}, "stream"),
        ({"stream": ["true"], "response_format": ["srt"]}, "response_format"),
        ({"include[]": ["everything"]}, "include"),
        ({"keywords[]": ["x" * 201]}, "keywords"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse_options(fields)
    assert caught.value.field == field
