"""Session and idle timeouts, with their warnings."""

from __future__ import annotations

from transcription.engine.timeouts import PAUSED_TIMEOUT_S, Expired, Timeouts, Warning


def timeouts(session_s: float = 1800.0, idle_s: float = 60.0) -> Timeouts:
    return Timeouts(session_timeout_s=session_s, idle_timeout_s=idle_s, now_s=0.0)


def talk(clocks: Timeouts, until_s: float, every_s: float = 5.0) -> list[tuple[float, Warning | Expired]]:
    """Audio every so often; what the checks say and when."""
    said, now_s = [], 0.0
    while now_s < until_s:
        now_s += every_s
        found = clocks.check(now_s)
        if found is not None:
            said.append((now_s, found))
        clocks.heard_audio(now_s)
    return said


def test_a_session_is_warned_a_minute_before_its_end_once() -> None:
    said = talk(timeouts(), 1795.0)

    assert said == [(1740.0, Warning("session_timeout", 60_000))]


def test_a_session_ends_at_its_maximum_length_however_much_is_said() -> None:
    assert talk(timeouts(), 1800.0)[-1] == (1800.0, Expired("session_timeout"))


def test_a_short_session_is_warned_half_way() -> None:
    assert talk(timeouts(session_s=20.0), 20.0) == [
        (10.0, Warning("session_timeout", 10_000)),
        (20.0, Expired("session_timeout")),
    ]


def test_silence_of_the_client_is_warned_at_three_quarters_and_ends_it() -> None:
    clocks = timeouts()

    assert clocks.check(44.0) is None
    assert clocks.check(45.0) == Warning("idle_timeout", 15_000)
    assert clocks.check(59.9) is None
    assert clocks.check(60.0) == Expired("idle_timeout")


def test_audio_restarts_the_idle_clock_and_its_warning() -> None:
    clocks = timeouts()
    assert clocks.check(50.0) is not None
    clocks.heard_audio(50.0)

    assert clocks.check(94.0) is None
    assert clocks.check(95.0) == Warning("idle_timeout", 15_000)
    assert clocks.check(110.0) == Expired("idle_timeout")


def test_keepalives_prevent_the_idle_timeout_for_half_an_hour_and_no_longer() -> None:
    clocks, now_s = timeouts(session_s=10 * PAUSED_TIMEOUT_S), 0.0
    while now_s < PAUSED_TIMEOUT_S - 15:
        clocks.heard_keepalive(now_s)
        now_s += 15
        assert not isinstance(clocks.check(now_s), Expired)
    clocks.heard_keepalive(now_s)

    assert clocks.check(PAUSED_TIMEOUT_S) == Expired("idle_timeout")


def test_the_end_of_the_session_counts_before_idleness() -> None:
    assert timeouts(session_s=30.0, idle_s=30.0).check(30.0) == Expired("session_timeout")


def test_two_warnings_that_are_due_together_both_come() -> None:
    clocks = timeouts(session_s=80.0, idle_s=60.0)

    assert clocks.check(50.0) == Warning("session_timeout", 30_000)
    assert clocks.check(50.0) == Warning("idle_timeout", 10_000)
    assert clocks.check(50.0) is None
