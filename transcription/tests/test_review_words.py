"""The words of edited texts: which were heard, and when the others are said."""

from __future__ import annotations

from typing import Any

import pytest

from transcription.review.alignment import Block, machine_words, matching_blocks, time_words
from transcription.review.words import join_texts, split_words


def heard(*words: tuple[str, int, int], confidence: float | None = 0.9) -> list[dict[str, Any]]:
    return [{"word": word, "start_ms": start, "end_ms": end, "confidence": confidence} for word, start, end in words]


SPOKEN = heard(("wreck", 1000, 1400), ("a", 1400, 1500), ("nice", 1600, 2000), ("beach", 2000, 2600))


def times(text: str, asr_text: str = "wreck a nice beach", stored: Any = SPOKEN) -> list[tuple[str, int, int, bool]]:
    words = time_words(text, 1000, 3000, machine_words(asr_text, 1000, 3000, stored))
    return [(word.text, word.start_ms, word.end_ms, word.is_heard) for word in words]


def test_words_that_stay_keep_their_times() -> None:
    assert times("wreck a nice beach") == [
        ("wreck", 1000, 1400, True), ("a", 1400, 1500, True), ("nice", 1600, 2000, True), ("beach", 2000, 2600, True),
    ]  # fmt: skip


def test_changed_words_share_the_time_between_their_neighbours_by_length() -> None:
    assert times("wreck two old beach")[1:3] == [("two", 1400, 1700, False), ("old", 1700, 2000, False)]


def test_words_that_were_added_lie_between_their_neighbours() -> None:
    assert times("wreck a very nice beach")[2] == ("very", 1500, 1600, False)
    assert times("so wreck a nice beach")[0] == ("so", 1000, 1000, False)
    assert times("wreck a nice beach again")[-1] == ("again", 2600, 3000, False)


def test_case_and_punctuation_are_no_change() -> None:
    words = time_words("Wreck a nice -- beach!", 1000, 3000, machine_words("wreck a nice beach", 1000, 3000, SPOKEN))
    assert [(word.text, word.confidence) for word in words] == [
        ("Wreck", 0.9), ("a", 0.9), ("nice", 0.9), ("--", None), ("beach!", 0.9),
    ]  # fmt: skip


def test_a_word_that_is_put_back_has_its_time_and_confidence_again() -> None:
    assert times("wreck a nice beach") != times("wreck a fine beach")
    assert times("wreck a nice beach")[2] == ("nice", 1600, 2000, True)


def test_a_text_without_words_has_none() -> None:
    assert times("") == []
    assert times(" \n ") == []


def test_texts_without_word_times_share_the_time_of_the_segment() -> None:
    words = machine_words("aa bbbb", 0, 600, [])
    assert [(word.text, word.start_ms, word.end_ms, word.is_heard) for word in words] == [
        ("aa", 0, 200, True), ("bbbb", 200, 600, True),
    ]  # fmt: skip


def test_a_confidence_of_zero_is_none() -> None:
    (word,) = machine_words("a", 0, 10, heard(("a", 0, 5), confidence=0.0))
    assert word.confidence is None


def test_times_that_make_no_sense_are_put_in_order() -> None:
    stored = heard(("a", 900, 500), ("b", -5, 9999), ("c", 10, 20))
    words = machine_words("a b c", 100, 1000, stored)
    assert [(word.start_ms, word.end_ms) for word in words] == [(900, 900), (900, 1000), (1000, 1000)]


@pytest.mark.parametrize(
    "stored",
    [
        [{}],
        [{"word": "a"}],
        [{"word": None, "start_ms": 1, "end_ms": 2}],
        [{"word": "a", "start_ms": "1", "end_ms": 2}],
    ],
)
def test_words_without_times_do_no_harm(stored: list[dict[str, Any]]) -> None:
    assert [word.text for word in machine_words("a", 0, 10, stored)] == ["a"]


def test_scripts_without_spaces_have_a_word_for_each_character() -> None:
    assert split_words("今日は、いい天気。ok then") == ["今", "日", "は、", "い", "い", "天", "気。", "ok", "then"]
    words = time_words("今日も", 0, 900, machine_words("今日は", 0, 900, heard(("今日", 0, 600), ("は", 600, 900))))
    assert [(word.text, word.start_ms, word.end_ms, word.is_heard) for word in words] == [
        ("今", 0, 300, True), ("日", 300, 600, True), ("も", 600, 900, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("a", "b", "a b"),
        ("a ", " b", "a b"),
        ("", "b", "b"),
        ("a", "", "a"),
        ("今日は、", "いい", "今日は、いい"),
        ("今", "b", "今 b"),
    ],
)
def test_texts_are_joined_as_their_script_does(first: str, second: str, joined: str) -> None:
    assert join_texts(first, second) == joined


def test_texts_made_to_be_slow_are_compared_by_their_ends_alone() -> None:
    old, new = ["a", *["x", "y"] * 5000, "b"], ["a", *["y", "x", "x"] * 5000, "b"]
    assert matching_blocks(old, new) == [Block(0, 0, 1), Block(10001, 15001, 1)]
