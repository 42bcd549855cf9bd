"""When a delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from transcription.webhooks.schedule import (
    HOUR_S,
    LONGEST_RETRY_AFTER_S,
    MAX_ATTEMPTS,
    RETRY_AFTER_S,
    parse_retry_after,
    retry_in_s,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def no_jitter(low: float, _high: float) -> float:
    return low


def test_pauses_grow_from_half_a_minute_to_a_day() -> None:
    pauses = [retry_in_s(attempts, jitter=no_jitter) for attempts in range(1, MAX_ATTEMPTS)]
    assert pauses == [30, 300, 1800, 7200, 28_800, 86_400]
    assert sum(RETRY_AFTER_S) > 24 * HOUR_S


def test_the_last_attempt_is_followed_by_none() -> None:
    assert retry_in_s(MAX_ATTEMPTS) is None
    assert retry_in_s(MAX_ATTEMPTS, asked_s=60) is None


def test_what_failed_together_is_not_tried_again_together() -> None:
    pauses = {retry_in_s(1) for _ in range(50)}
    assert len(pauses) > 40
    assert all(pause is not None and 30 <= pause <= 36 for pause in pauses)


@pytest.mark.parametrize(("asked_s", "expected_s"), [(None, 30), (5.0, 30), (120.0, 120), (1e9, LONGEST_RETRY_AFTER_S)])
def test_a_receiver_may_ask_for_a_longer_pause_within_bounds(asked_s: float | None, expected_s: float) -> None:
    assert retry_in_s(1, asked_s=asked_s, jitter=no_jitter) == expected_s


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 400, 999_999_999.0),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:01:00", None),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("١٢", None),
        ("Sun, 99 Mar 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_has_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


def test_a_date_of_another_zone_is_understood() -> None:
    later = (NOW + timedelta(minutes=2)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    assert parse_retry_after(later, now=NOW) == 120.0
