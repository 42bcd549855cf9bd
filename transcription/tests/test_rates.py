"""Token bucket and the watch for audio of another rate than declared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat
from transcription.errors import TooFast
from transcription.limits.connection_limits import (
    CONTROL_MESSAGES_BURST,
    CONTROL_MESSAGES_PER_SECOND,
    COUNTED_BELOW_BYTES,
    MAX_MESSAGES_PER_SECOND,
    ConnectionLimits,
)
from transcription.limits.rates import AudioRateWatch, RateLimit

DECLARED = AudioFormat().bytes_per_second


def test_a_burst_passes_at_once_and_the_next_event_does_not() -> None:
    limit = RateLimit(10, 5)

    assert [limit.allows(1.0) for _ in range(6)] == [True] * 5 + [False]


def test_tokens_come_back_with_time_up_to_the_burst() -> None:
    limit = RateLimit(10, 5)
    for _ in range(5):
        limit.allows(1.0)

    assert not limit.allows(1.05)
    assert limit.allows(1.2)
    assert [limit.allows(100.0) for _ in range(6)] == [True] * 5 + [False]


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_it_never_lets_through_more_than_burst_and_rate_allow(pauses_s: list[float]) -> None:
    limit, now_s, passed = RateLimit(10, 5), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        passed += limit.allows(now_s)

    assert passed <= 5 + now_s * 10 + 1e-6


def test_a_flood_of_messages_is_too_fast() -> None:
    limits = ConnectionLimits()
    for _ in range(MAX_MESSAGES_PER_SECOND):
        limits.count_message(2, 1.0)

    with pytest.raises(TooFast) as caught:
        limits.count_message(2, 1.0)
    assert caught.value.reason == "too_many_messages"


def test_messages_of_a_size_that_credit_bounds_are_no_flood() -> None:
    limits = ConnectionLimits()
    for _ in range(10 * MAX_MESSAGES_PER_SECOND):
        limits.count_message(COUNTED_BELOW_BYTES, 1.0)


def test_control_messages_have_a_bound_of_their_own() -> None:
    limits = ConnectionLimits()
    for _ in range(CONTROL_MESSAGES_BURST):
        limits.count_control(1.0)
    with pytest.raises(TooFast):
        limits.count_control(1.0)

    for number in range(200):  # the permitted pace, for ten seconds
        limits.count_control(2.0 + number / CONTROL_MESSAGES_PER_SECOND)


def watch(ratios: list[float]) -> float | None:
    """What a second-by-second measurement finds in a sender with these rates; the first answer."""
    watching, received = AudioRateWatch(DECLARED), 1000
    assert watching.measure(received, 0.0) is None
    for second, ratio in enumerate(ratios, start=1):
        received += round(DECLARED * ratio)
        found = watching.measure(received, float(second))
        if found is not None:
            return found
    return None


def test_audio_of_the_declared_rate_is_fine() -> None:
    assert watch([1.0] * 30) is None
    assert watch([1.1, 0.9, 1.05, 0.95, 1.0] * 5) is None


@pytest.mark.parametrize("ratio", [3.0, 2.0, 0.5, 0.25, 1.3])
def test_a_steady_wrong_rate_is_found_within_seven_seconds(ratio: float) -> None:
    """48 kHz that is called 16 kHz brings three times the bytes."""
    found = watch([ratio] * 7)

    assert found == pytest.approx(ratio, rel=0.01)


def test_a_file_that_runs_ahead_in_bursts_is_no_wrong_rate() -> None:
    assert watch([40.0, 0.0, 8.0, 0.0, 2.5, 0.0, 6.0, 1.0, 0.0, 9.0] * 3) is None


def test_a_paused_sender_is_no_wrong_rate() -> None:
    assert watch([0.0] * 20) is None
    assert watch([1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0] * 4) is None


def test_it_says_so_once_and_then_watches_anew() -> None:
    watching, received, found = AudioRateWatch(DECLARED), 0, 0
    for second in range(16):
        received += 3 * DECLARED
        found += watching.measure(received, float(second)) is not None

    assert found == 3


def test_containers_have_no_rate_to_watch() -> None:
    watching = AudioRateWatch(0)

    assert [watching.measure(second * 90_000, float(second)) for second in range(20)] == [None] * 20
