"""Histograms, sums, groups and bars of the numbers, with plain values."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.daily import chart, histogram
from transcription.daily.figures import Figures, HeardSegment, count_time, count_words
from transcription.daily.grouping import By, DaySum, group, total

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


def sums() -> list[DaySum]:
    return [
        DaySum(MONDAY, "en-US", 0, Figures(sessions=1, audio_ms=10)),
        DaySum(MONDAY, "de-DE", 7, Figures(sessions=2, audio_ms=50)),
        DaySum(date(2026, 12, 1), "en-US", 7, Figures(sessions=4, audio_ms=20)),
    ]


def test_days_without_a_session_have_their_line() -> None:
    lines = group(sums(), By.DAY, since=MONDAY, until=date(2026, 12, 1))
    assert [line.figures.sessions for line in lines] == [3, 0, 0, 0, 0, 0, 0, 0, 4]


def test_a_week_or_month_that_began_before_begins_with_the_first_day_looked_at() -> None:
    weeks = group(sums(), By.WEEK, since=MONDAY, until=date(2026, 12, 1))
    assert [(line.what, line.figures.sessions) for line in weeks] == [(MONDAY, 3), (date(2026, 11, 30), 4)]
    months = group(sums(), By.MONTH, since=MONDAY, until=date(2026, 12, 1))
    assert [(line.what, line.figures.sessions) for line in months] == [(MONDAY, 3), (date(2026, 12, 1), 4)]


@pytest.mark.parametrize(("by", "order"), [(By.LANGUAGE, ["de-DE", "en-US"]), (By.KEY, [7, 0])])
def test_languages_and_keys_are_ordered_by_what_was_heard_of_them(by: By, order: list[str | int]) -> None:
    lines = group(sums(), by, since=MONDAY, until=date(2026, 12, 1))
    assert [line.what for line in lines] == order
    assert total(lines).sessions == 7


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.01, 2), (2.2, 2.5), (37, 50), (0.031, 0.05), (1e6, 1e6)])
def test_the_upper_edge_is_a_number_people_read_easily(value: float, top: float) -> None:
    assert chart.round_up(value) == pytest.approx(top)


@given(st.lists(st.none() | st.just(0.0) | st.floats(1e-6, 1e9), max_size=400))
def test_bars_stay_in_their_box(values: list[float | None]) -> None:
    drawn = chart.draw(values)
    assert len(drawn.outer) == sum(1 for value in values if value)
    for bar in drawn.outer:
        assert 0 <= bar.x <= bar.x + bar.width <= chart.WIDTH + 0.01
        assert 0 <= bar.y <= chart.HEIGHT
        assert bar.y + bar.height == pytest.approx(chart.HEIGHT)
