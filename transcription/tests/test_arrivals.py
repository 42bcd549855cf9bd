"""When which audio arrived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcription.engine.arrivals import KEPT_MARKS, MARK_EVERY_S, MAX_MARKS, Arrivals


def test_the_age_of_audio_is_counted_from_the_moment_it_was_all_here() -> None:
    arrivals = Arrivals()
    arrivals.mark(100, 1.0)
    arrivals.mark(200, 2.0)

    assert arrivals.age_s(100, 5.0) == 4.0
    assert arrivals.age_s(101, 5.0) == 3.0
    assert arrivals.age_s(200, 5.0) == 3.0


def test_audio_that_has_not_come_has_no_age() -> None:
    arrivals = Arrivals()
    assert arrivals.age_s(1, 1.0) is None
    arrivals.mark(100, 1.0)
    assert arrivals.age_s(101, 2.0) is None


def test_a_clock_that_is_read_earlier_gives_no_negative_age() -> None:
    arrivals = Arrivals()
    arrivals.mark(100, 2.0)

    assert arrivals.age_s(50, 1.0) == 0.0


def test_marks_close_together_are_one() -> None:
    """The later bytes count from the first moment: an age is too great by less than MARK_EVERY_S."""
    arrivals = Arrivals()
    arrivals.mark(100, 1.0)
    arrivals.mark(200, 1.0 + MARK_EVERY_S / 2)

    assert arrivals.age_s(200, 2.0) == 1.0


def test_it_forgets_the_oldest_first_and_stays_bounded() -> None:
    arrivals = Arrivals()
    for number in range(1, 3 * MAX_MARKS):
        arrivals.mark(number * 10, float(number))

    now_s, newest = 3.0 * MAX_MARKS, 3 * MAX_MARKS - 1
    assert arrivals.age_s(newest * 10, now_s) == 1.0
    assert arrivals.age_s((newest - MAX_MARKS // 2) * 10, now_s) == MAX_MARKS // 2 + 1
    assert arrivals.age_s((newest - MAX_MARKS) * 10, now_s) is None


def test_it_forgets_what_was_settled_long_ago_and_nothing_that_is_not() -> None:
    arrivals = Arrivals()
    for number in range(1, 1001):
        arrivals.mark(number * 10, float(number))
    arrivals.settle(9000)

    assert arrivals.age_s(9001, 1000.0) == 99.0
    kept = 9000 - KEPT_MARKS * 10
    assert arrivals.age_s(kept, 1000.0) == 200.0
    assert arrivals.age_s(kept - 10, 1000.0) is None
    arrivals.settle(0)
    assert arrivals.age_s(kept, 1000.0) == 200.0


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 2)), min_size=1, max_size=100))
def test_older_audio_is_never_younger(steps: list[tuple[int, float]]) -> None:
    arrivals, position, now_s = Arrivals(), 0, 0.0
    for size, pause_s in steps:
        position, now_s = position + size, now_s + pause_s
        arrivals.mark(position, now_s)

    ages = [arrivals.age_s(at, now_s) for at in range(0, position + 1, max(1, position // 50))]

    known = [age for age in ages if age is not None]
    assert len(known) == len(ages)
    assert known == sorted(known, reverse=True)
