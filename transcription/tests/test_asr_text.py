"""The written form a configuration asks for."""

from __future__ import annotations

import pytest

from transcription.asr_server.text import masked, without_punctuation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is natural language processing?", "what is natural language processing"),
        ("And so, my fellow Americans.", "and so my fellow Americans"),
        ("I don't know. I'm here. It's 3.5 at 10:30!", "I don't know I'm here it's 3.5 at 10:30"),
        ("NASA called. The U.S. answered.", "NASA called the U.S answered"),
        ("A well-known man - truly.", "a well-known man truly"),
        ("", ""),
    ],
)
def test_without_punctuation_only_words_are_left(text: str, expected: str) -> None:
    assert without_punctuation(text) == expected


def test_profanities_are_masked_after_their_first_letter() -> None:
    assert masked("What the fuck, shitty? Bullshit.") == "What the f***, s*****? B*******."


def test_ordinary_words_are_not_masked() -> None:
    text = "Assess the classic shiitake of Scunthorpe."
    assert masked(text) == text
