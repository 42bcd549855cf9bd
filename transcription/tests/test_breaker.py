"""New sessions do not wait for a recogniser that is known to be away."""

from __future__ import annotations

import pytest

from transcription.engine.breaker import BUSY_FOR_S, CREDENTIALS_OPEN_FOR_S, FAILURES, OPEN_FOR_S, WITHIN_S, Breaker
from transcription.errors import AtCapacity, BadConfig, RecogniserFailed, TranscriptionError

AWAY = RecogniserFailed("The recogniser cannot be reached.", reason="recogniser_unreachable")
BUSY = AtCapacity("The recogniser takes no more streams.", reason="recogniser_busy")
CREDENTIALS = RecogniserFailed("No.", reason="recogniser_credentials", retryable=False)


def refusal(breaker: Breaker, now_s: float, streams: int = 0) -> TranscriptionError | None:
    try:
        breaker.check(now_s, streams=streams)
    except TranscriptionError as error:
        return error
    return None


def failing(times: int, every_s: float = 0.5) -> Breaker:
    breaker = Breaker()
    for count in range(times):
        breaker.failed(AWAY, count * every_s, streams=0)
    return breaker


def test_it_lets_everybody_through_until_too_many_openings_failed() -> None:
    assert refusal(failing(FAILURES - 1), 2.0) is None

    error = refusal(failing(FAILURES), 2.0)
    assert isinstance(error, AtCapacity)
    assert (error.code, error.retryable, error.retry_after_ms) == (4503, True, OPEN_FOR_S * 1000)


def test_failures_far_apart_do_not_add_up() -> None:
    assert refusal(failing(3 * FAILURES, every_s=WITHIN_S / 2), 40.0) is None


def test_a_single_session_finds_out_whether_the_recogniser_is_back() -> None:
    breaker = failing(FAILURES)
    back_s = 2.0 + OPEN_FOR_S
    assert refusal(breaker, back_s) is None
    assert refusal(breaker, back_s) is not None, "one is enough to find out"

    breaker.opened()
    assert refusal(breaker, back_s) is None


def test_a_session_that_finds_the_recogniser_away_keeps_the_others_out() -> None:
    breaker = failing(FAILURES)
    back_s = 2.0 + OPEN_FOR_S
    assert refusal(breaker, back_s) is None
    breaker.failed(AWAY, back_s + 1, streams=0)

    assert refusal(breaker, back_s + OPEN_FOR_S) is not None


def test_a_session_that_never_says_what_it_found_keeps_the_others_out_for_a_while_only() -> None:
    breaker = failing(FAILURES)
    back_s = 2.0 + OPEN_FOR_S
    assert refusal(breaker, back_s) is None

    assert refusal(breaker, back_s + OPEN_FOR_S) is None


def test_wrong_credentials_are_not_shown_again_for_a_minute() -> None:
    breaker = Breaker()
    breaker.failed(CREDENTIALS, 0.0, streams=0)

    error = refusal(breaker, CREDENTIALS_OPEN_FOR_S - 1)
    assert isinstance(error, RecogniserFailed)
    assert (error.code, error.retryable) == (4502, False)
    assert refusal(breaker, CREDENTIALS_OPEN_FOR_S) is None


def test_what_a_client_asked_wrongly_is_no_failure_of_the_recogniser() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(BadConfig("No such language."), 0.0, streams=0)

    assert refusal(breaker, 0.0) is None


@pytest.mark.parametrize(("held", "ceiling"), [(100, 90), (10, 9), (3, 3), (0, 1)])
def test_a_full_recogniser_is_spared_a_tenth_for_a_while(held: int, ceiling: int) -> None:
    breaker = Breaker()
    breaker.failed(BUSY, 0.0, streams=held)

    assert refusal(breaker, 1.0, streams=ceiling - 1) is None
    error = refusal(breaker, 1.0, streams=ceiling)
    assert error is not None
    assert (error.code, error.retry_after_ms) == (4503, (BUSY_FOR_S - 1) * 1000)
    assert refusal(breaker, BUSY_FOR_S, streams=held) is None
