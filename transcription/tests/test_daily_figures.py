"""Histograms, sums, groups and bars of the numbers, with plain values."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.daily import chart, histogram
from transcription.daily.figures import Figures, HeardSegment, count_time, count_words
from transcription.daily.grouping import By, Line, Sum, group, total, usual_by

MONDAY = date(2026, 11, 23)


@given(st.lists(st.integers(1, 600_000), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_the_one_of_the_times_to_a_twentieth(times_ms: list[int], share: float) -> None:
    counted: histogram.Histogram = {}
    for time_ms in times_ms:
        count_time(counted, time_ms)
    right = sorted(times_ms)[min(len(times_ms) - 1, int(len(times_ms) * share))]
    assert histogram.percentile_ms(counted, share) == pytest.approx(right, rel=0.05, abs=1)


def test_nothing_counted_has_no_percentile() -> None:
    assert histogram.percentile_ms({}, 0.5) is None
    assert Figures().percentile_ms("final_p95", 0.95) is None


def test_times_beyond_an_hour_are_counted_as_the_last_bucket() -> None:
    assert histogram.bucket_of(10**12) == str(histogram.LAST_BUCKET)
    assert histogram.bucket_of(0) == "0"


def test_what_was_added_can_be_taken_away_again() -> None:
    figures = Figures(sessions=3, words=30, first_interim={"60": 2})
    before = figures.as_json()
    one = Figures(sessions=1, words=7, first_interim={"60": 1, "61": 1})
    figures.add(one)
    figures.add(one, -1)
    assert figures.as_json() == before


def test_figures_of_another_version_are_read_as_far_as_they_are_known() -> None:
    assert Figures.from_json({"words": 4, "place": ["2026-11-26", "en-US", 0], "new": 1}) == Figures(words=4)
    assert Figures.from_json(None) == Figures()


def test_words_are_doubtful_below_the_bound_and_only_where_a_confidence_is_known() -> None:
    figures = Figures()
    words: list[dict[str, Any]] = [
        {"word": "a", "confidence": 0.79},
        {"word": "b", "confidence": 0.8},
        {"word": "c", "confidence": None},
    ]
    count_words(figures, [HeardSegment("a b c", "a b d", words, None)])
    assert (figures.rated_words, figures.doubtful_words, figures.edited_segments) == (2, 1, 1)
    # Of a segment without words the confidence of all of it counts; 0.0 is none.
    count_words(figures, [HeardSegment("e f", "e f", [], 0.5), HeardSegment("g", "g", [], 0.0)])
    assert (figures.rated_words, figures.doubtful_words, figures.segments) == (4, 3, 3)
    assert figures.doubtful_share == 0.75


def sums() -> list[Sum]:
    return [
        Sum(MONDAY, Figures(sessions=3, audio_ms=60)),
        Sum(date(2026, 12, 1), Figures(sessions=4, audio_ms=20)),
    ]


def test_days_without_a_session_have_their_line() -> None:
    lines = group(sums(), By.DAY, since=MONDAY, until=date(2026, 12, 1))
    assert [line.figures.sessions for line in lines] == [3, 0, 0, 0, 0, 0, 0, 0, 4]


def test_a_week_or_month_that_began_before_begins_with_the_first_day_looked_at() -> None:
    weeks = group(sums(), By.WEEK, since=MONDAY, until=date(2026, 12, 1))
    assert [(line.what, line.figures.sessions) for line in weeks] == [(MONDAY, 3), (date(2026, 11, 30), 4)]
    months = group(sums(), By.MONTH, since=MONDAY, until=date(2026, 12, 1))
    assert [(line.what, line.figures.sessions) for line in months] == [(MONDAY, 3), (date(2026, 12, 1), 4)]


def test_days_can_be_put_together_to_weeks_later_with_the_same_figures() -> None:
    until = date(2026, 12, 1)
    days = group(sums(), By.DAY, since=MONDAY, until=until)
    assert group(days, By.WEEK, since=MONDAY, until=until) == group(sums(), By.WEEK, since=MONDAY, until=until)
    assert total(days).sessions == 7


@pytest.mark.parametrize("by", [By.LANGUAGE, By.KEY])
def test_languages_and_keys_are_ordered_by_what_was_heard_of_them(by: By) -> None:
    names: list[str | int] = ["en-US", "de-DE"] if by is By.LANGUAGE else [0, 7]
    found = [Sum(names[0], Figures(sessions=5, audio_ms=30)), Sum(names[1], Figures(sessions=2, audio_ms=70))]
    lines = group(found, by, since=MONDAY, until=date(2026, 12, 1))
    assert lines == [Line(names[1], found[1].figures), Line(names[0], found[0].figures)]


@pytest.mark.parametrize(("until", "by"), [(MONDAY, By.DAY), (date(2027, 2, 22), By.DAY), (date(2027, 2, 23), By.WEEK)])
def test_a_quarter_is_shown_by_day_and_what_is_longer_by_week(until: date, by: By) -> None:
    assert usual_by(MONDAY, until) is by


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.01, 2), (2.2, 2.5), (37, 50), (0.031, 0.05), (1e6, 1e6)])
def test_the_upper_edge_is_a_number_people_read_easily(value: float, top: float) -> None:
    assert chart.round_up(value) == pytest.approx(top)


def rectangles(path: str) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of the bars of a path; y above the ground is negative."""
    found, x = [], 0
    for gap, top, width in re.findall(r"h(\d+)V(-\d+)h(\d+)V0", path):
        x += int(gap)
        found.append((x, int(top), int(width), -int(top)))
        x += int(width)
    return found


@given(st.lists(st.none() | st.just(0.0) | st.floats(1e-6, 1e9), max_size=400))
def test_each_value_has_its_bar_in_its_place(values: list[float | None]) -> None:
    drawn = chart.draw(values)
    room = chart.BAR + chart.GAP
    bars = rectangles(drawn.outer)
    assert drawn.width == room * max(1, len(values))
    assert [x // room for x, *_ in bars] == [number for number, value in enumerate(values) if value]
    for x, y, width, height in bars:
        assert 0 <= x < x + width <= drawn.width
        assert -chart.HEIGHT <= y < 0 < height


def test_bars_are_as_high_as_their_values_and_the_least_can_be_seen() -> None:
    drawn = chart.draw([50, None, 100, 0.001], [25])
    assert [height for *_, height in rectangles(drawn.outer)] == [100, 200, 1]
    assert [height for *_, height in rectangles(drawn.inner)] == [50]
    assert chart.draw([None, 0]).outer == ""
