"""How quick results were."""

from __future__ import annotations

from transcription.engine.latency import MAX_SAMPLES, Latency


def test_a_session_without_finals_has_no_lag() -> None:
    assert Latency().final_lag_ms(0.5) is None


def test_the_lag_is_the_one_that_a_share_of_the_finals_did_not_exceed() -> None:
    latency = Latency()
    for lag_ms in (500, 100, 300, 200, 400, 900, 700, 600, 1000, 800):
        latency.add_final_lag(lag_ms)

    assert latency.final_lag_ms(0.0) == 100
    assert latency.final_lag_ms(0.5) == 600
    assert latency.final_lag_ms(0.95) == 1000
    assert latency.final_lag_ms(1.0) == 1000


def test_only_the_newest_lags_count() -> None:
    latency = Latency()
    for lag_ms in [9999] * 50 + [5] * MAX_SAMPLES:
        latency.add_final_lag(lag_ms)

    assert latency.final_lag_ms(1.0) == 5
