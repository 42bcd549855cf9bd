"""Comparing texts: differences, error rates, find and replace, figures."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.review.differences import compare_texts
from transcription.review.error_rate import edit_distance, word_error_rate
from transcription.review.figures import doubtful_words, measure
from transcription.review.passages import MachineSegment, Reading, untouched
from transcription.review.replacing import find_places, replace_all

ITEMS = st.lists(st.sampled_from("abcd"), max_size=80)


def slow_distance(first: list[str], second: list[str]) -> int:
    row = list(range(len(second) + 1))
    for number, item in enumerate(first, start=1):
        corner, row[0] = row[0], number
        for at, other in enumerate(second, start=1):
            corner, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, corner + (item != other))
    return row[-1]


@given(ITEMS, ITEMS)
def test_the_edit_distance_is_that_of_the_table(first: list[str], second: list[str]) -> None:
    assert edit_distance(first, second) == slow_distance(first, second)


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1), st.lists(st.sampled_from(["a", "b", "c"])))
def test_the_word_error_rate_is_jiwers(reference: list[str], hypothesis: list[str]) -> None:
    expected = jiwer.wer(" ".join(reference), " ".join(hypothesis))
    assert word_error_rate(" ".join(hypothesis), " ".join(reference)) == pytest.approx(expected)


def test_case_punctuation_and_white_space_are_no_errors() -> None:
    assert word_error_rate("hello  world", "Hello, world!\n-") == 0
    assert word_error_rate("今日は", "今日も。") == pytest.approx(1 / 3)
    assert word_error_rate("anything", "") is None


def test_differences_join_to_both_texts() -> None:
    stretches = compare_texts("wreck a nice beach today", "recognise nice speech today")
    assert [(stretch.kind, stretch.text) for stretch in stretches] == [
        ("removed", "wreck a "), ("added", "recognise "), ("same", "nice "), ("removed", "beach "),
        ("added", "speech "), ("same", "today"),
    ]  # fmt: skip
    assert "".join(stretch.text for stretch in stretches if stretch.kind != "removed") == "recognise nice speech today"
    assert compare_texts("", "new")[0].kind == "added"
    assert compare_texts("old", "")[0].kind == "removed"


def test_it_finds_and_replaces_what_is_written_as_it_is_written() -> None:
    assert find_places("A a.a", "a", match_case=False) == [(0, 1), (2, 3), (4, 5)]
    assert find_places("A a.a", "a", match_case=True) == [(2, 3), (4, 5)]
    assert find_places("aaa", "aa", match_case=True) == [(0, 2)]
    assert replace_all("a.b (a+b)", "a+b", r"\1", match_case=True) == (r"a.b (\1)", 1)
    assert replace_all("nothing", "x", "y", match_case=True) == ("nothing", 0)
    assert find_places("any", "", match_case=True) == []


def reading(index: int, asr_text: str, text: str | None = None, *, speaker: str = "", **confidences: float) -> Reading:
    words = [
        {"word": word, "start_ms": index * 1000 + at * 100, "end_ms": index * 1000 + at * 100 + 100,
         "confidence": confidences.get(word, 0.9)}
        for at, word in enumerate(asr_text.split())
    ]  # fmt: skip
    machine = MachineSegment(
        index, index * 1000, index * 1000 + 600, asr_text, asr_text if text is None else text, speaker, words=words
    )
    return Reading.of(untouched(machine), {index: machine})


def test_doubtful_words_are_those_that_still_stand() -> None:
    readings = [reading(0, "one two three", two=0.4, three=0.8), reading(1, "four five", "for five", four=0.1)]
    assert [(word.segment, word.number, word.text) for word in doubtful_words(readings)] == [("0", 1, "two")]
    assert len(list(doubtful_words(readings, below=0.85))) == 2


def test_figures_of_a_transcript() -> None:
    figures = measure(
        [
            reading(0, "one two three", speaker="Anna", two=0.3),
            reading(1, "wreck a nice beach", "recognise speech", speaker="Ben"),
            reading(2, "and on", speaker="Anna"),
        ]
    )
    assert (figures.segments, figures.edited_segments, figures.words, figures.talk_ms) == (3, 1, 7, 1800)
    assert figures.word_errors == 4
    assert figures.word_error_rate == pytest.approx(4 / 7)
    assert figures.mean_confidence == pytest.approx((8 * 0.9 + 0.3) / 9)
    assert figures.words_per_minute == pytest.approx(7 * 60 / 1.8)
    assert figures.doubtful_words == 1
    assert [(speaker.name, speaker.segments, speaker.talk_ms) for speaker in figures.speakers] == [
        ("Anna", 2, 1200), ("Ben", 1, 600),
    ]  # fmt: skip


def test_a_transcript_without_segments_has_no_figures() -> None:
    figures = measure([])
    assert (figures.mean_confidence, figures.words_per_minute, figures.word_error_rate) == (None, None, None)
