"""Text the model made up is recognised, text people say is not."""

from __future__ import annotations

import pytest

from transcription.asr_server.guard import is_invented, is_looped


@pytest.mark.parametrize(
    "text",
    [
        "antibiotic " * 40,
        "And then I went. And then I went. And then I went. And then I went. And then I went.",
        "the first one two three four " + "one two three four five " * 5,
        "No, no, no, no, no, no, no, no, no, no.",
    ],
)
def test_a_group_of_words_over_and_over_is_a_loop(text: str) -> None:
    assert is_looped(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No, no, no, no, no.",
        "Ask not what your country can do for you, ask what you can do for your country.",
        "row row row your boat gently down the stream",
        "very very very good",
    ],
)
def test_what_people_say_is_no_loop(text: str) -> None:
    assert not is_looped(text)


@pytest.mark.parametrize(
    ("text", "voiced_ms"),
    [
        ("You", 150),
        ("Thank you for watching.", 600),
        ("♪ ♪", 3000),
        ("...", 900),
        ("", 900),
        ("啊啊", 2000),
        ("Да.", 900),
    ],
)
def test_sentences_for_noise_are_invented(text: str, voiced_ms: int) -> None:
    assert is_invented(text, voiced_ms)


@pytest.mark.parametrize(
    ("text", "voiced_ms"),
    [("You", 400), ("Thank you for watching.", 1400), ("Thank you.", 300), ("Yes.", 130), ("2,000", 400), ("À", 300)],
)
def test_said_sentences_are_kept(text: str, voiced_ms: int) -> None:
    assert not is_invented(text, voiced_ms)
