"""Subtitle cues."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from transcription.exports.cues import LINE_CHARACTERS, LINES, make_cues, time_words


def heard(text: str, *, start_ms: int = 0, each_ms: int = 400) -> list[dict[str, Any]]:
    return [
        {"word": word, "start_ms": start_ms + at * each_ms, "end_ms": start_ms + (at + 1) * each_ms}
        for at, word in enumerate(text.split())
    ]


def test_a_short_segment_is_one_cue_of_one_line() -> None:
    assert list(make_cues("Hello there.", 1000, 2000)) == [(1000, 2000, ("Hello there.",))]


def test_a_long_line_is_broken_near_its_middle() -> None:
    (cue,) = make_cues("The quick brown fox jumps over the lazy dog and runs", 0, 4000)
    assert cue.lines == ("The quick brown fox jumps", "over the lazy dog and runs")


def test_a_long_segment_becomes_cues_at_its_words_times() -> None:
    text = " ".join(f"word{number:02}" for number in range(40))
    cues = list(make_cues(text, 0, 16_000, heard(text)))
    assert len(cues) > 2
    for cue in cues:
        assert cue.start_ms == int(cue.lines[0][4:6]) * 400
        assert cue.end_ms == (int(cue.lines[-1][-2:]) + 1) * 400


def test_a_pause_ends_a_cue() -> None:
    words = heard("before it") + heard("after it", start_ms=5000)
    assert [cue.lines for cue in make_cues("before it after it", 0, 5800, words)] == [
        ("before it",),
        ("after it",),
    ]


def test_a_sentence_that_fills_a_line_ends_a_cue() -> None:
    text = "This first sentence is long enough for a line. Then comes another."
    assert [cue.lines[0][:4] for cue in make_cues(text, 0, 5000)] == ["This", "Then"]


def test_corrected_words_share_the_time_between_those_that_were_heard() -> None:
    words = heard("we can wreck a nice beach today", each_ms=1000)
    timed = time_words("We can recognise speech today!", 0, 7000, words)
    assert timed == [
        ("We", 0, 1000),
        ("can", 1000, 2000),
        ("recognise", 2000, 4400),
        ("speech", 4400, 6000),
        ("today!", 6000, 7000),
    ]


def test_words_added_where_there_is_no_room_take_some_of_their_neighbours_time() -> None:
    timed = time_words("one two and three more", 0, 2000, heard("one two", each_ms=1000))
    assert [word.text for word in timed] == ["one", "two", "and", "three", "more"]
    assert all(word.end_ms - word.start_ms >= 50 for word in timed)
    assert timed[-1].end_ms == 2000


def test_text_without_spaces_is_cut_to_lines_but_never_inside_a_character() -> None:
    family = "👩\u200d👩\u200d👧"
    for text in ("日本語" * 40, family * 40, "e\u0301" * 100):
        cues = list(make_cues(text, 0, 10_000))
        assert "".join(line for cue in cues for line in cue.lines).replace(" ", "") == text
        assert all(not line.startswith(("\u200d", "\u0301")) for cue in cues for line in cue.lines)


def test_an_empty_text_has_no_cue() -> None:
    assert list(make_cues(" \r\n ", 0, 1000)) == []


def test_words_without_times_are_shared_out_evenly_by_length() -> None:
    assert time_words("aa bb", 0, 1000, [{"word": "aa", "start_ms": None, "end_ms": None}]) == [
        ("aa", 0, 500),
        ("bb", 500, 1000),
    ]


times = st.integers(0, 100_000)
word_rows = st.builds(
    lambda word, start, end: {"word": word, "start_ms": start, "end_ms": end},
    st.text(max_size=12),
    times,
    times,
)


@given(st.text(max_size=300), times, times, st.lists(word_rows, max_size=30))
def test_cues_keep_every_character_fit_the_screen_and_go_forward(
    text: str, start_ms: int, end_ms: int, words: list[dict[str, Any]]
) -> None:
    cues = list(make_cues(text, start_ms, end_ms, words))
    shown = "".join("".join(line.split()) for cue in cues for line in cue.lines)
    assert shown == "".join(text.split())
    for before, cue in zip([None, *cues], cues, strict=False):
        assert 1 <= len(cue.lines) <= LINES
        assert all(line.strip() and len(line) <= LINE_CHARACTERS for line in cue.lines)
        assert cue.end_ms > cue.start_ms >= start_ms
        assert before is None or cue.start_ms >= before.start_ms
