"""Counting within a length of time, and wrong credentials by address."""

from __future__ import annotations

import pytest

from transcription.errors import TooFast
from transcription.identity.guesses import MAX_WRONG, MAX_WRONG_OF_ADDRESS, WINDOW_S, WrongCredentials
from transcription.limits.windows import WindowCounts
from transcription.tests.sessions import Clock

HERE, ELSEWHERE = "203.0.113.9", "198.51.100.7"
KEY = "spk_01234567_secret"


def is_refused(wrong: WrongCredentials, address: str | None, credential: str = KEY) -> bool:
    try:
        wrong.check(address, credential)
    except TooFast as error:
        return error.reason == "too_many_wrong_credentials" and 0 < (error.retry_after_ms or 0) <= WINDOW_S * 1000
    return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wrong(clock: Clock) -> WrongCredentials:
    return WrongCredentials(spares_loopback=True, clock=clock)


def test_row_67_the_sixth_key_that_begins_alike_is_refused_from_there_alone(wrong: WrongCredentials) -> None:
    for number in range(MAX_WRONG):
        assert not is_refused(wrong, HERE, f"spk_01234567_{number}")
        wrong.count(HERE, f"spk_01234567_{number}")
    assert is_refused(wrong, HERE)
    assert not is_refused(wrong, HERE, "spk_89abcdef_another")
    assert not is_refused(wrong, ELSEWHERE)


def test_who_tries_many_keys_is_refused_with_any(wrong: WrongCredentials) -> None:
    for number in range(MAX_WRONG_OF_ADDRESS):
        assert not is_refused(wrong, HERE, f"spk_{number:08x}_secret")
        wrong.count(HERE, f"spk_{number:08x}_secret")
    assert is_refused(wrong, HERE, "spk_ffffffff_secret")
    assert not is_refused(wrong, ELSEWHERE, "spk_ffffffff_secret")


def test_after_its_time_it_is_forgotten(wrong: WrongCredentials, clock: Clock) -> None:
    for _try in range(MAX_WRONG):
        wrong.count(HERE, KEY)
    clock.advance(WINDOW_S - 1)
    assert is_refused(wrong, HERE)
    clock.advance(1)
    assert not is_refused(wrong, HERE)
    wrong.count(HERE, KEY)
    assert not is_refused(wrong, HERE)


def test_a_network_of_ipv6_counts_as_one_address(wrong: WrongCredentials) -> None:
    for number in range(MAX_WRONG):
        wrong.count(f"2001:db8::{number + 1}", KEY)
    assert is_refused(wrong, "2001:db8::ffff:1")
    assert not is_refused(wrong, "2001:db8:0:1::1")


@pytest.mark.parametrize("address", [None, "127.0.0.1", "::1"])
def test_this_machine_and_who_has_no_address_are_not_counted(wrong: WrongCredentials, address: str | None) -> None:
    for _try in range(2 * MAX_WRONG):
        wrong.count(address, KEY)
    assert not is_refused(wrong, address)


def test_in_production_this_machine_is_counted_like_any_other(clock: Clock) -> None:
    wrong = WrongCredentials(spares_loopback=False, clock=clock)
    for _try in range(MAX_WRONG):
        wrong.count("127.0.0.1", KEY)
    assert is_refused(wrong, "127.0.0.1")


def test_no_more_are_counted_than_fit_and_the_oldest_go_first(clock: Clock) -> None:
    counts = WindowCounts(60, clock=clock, max_counted=2)
    for who in ("first", "second", "first", "third"):
        counts.add(who)
    assert len(counts) == 2
    assert (counts.wait_s("first", 2), counts.wait_s("second", 1)) == (60, 0)
