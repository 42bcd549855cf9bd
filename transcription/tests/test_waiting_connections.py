"""Connections that have no session yet, counted by address."""

from __future__ import annotations

import pytest

from transcription.errors import TooFast
from transcription.limits.waiting_connections import WaitingConnections, client_of

ELSEWHERE = "203.0.113.5"


def test_an_address_may_have_so_many_and_no_more() -> None:
    waiting = WaitingConnections(2, spares_loopback=True)
    first = waiting.enter(ELSEWHERE)
    waiting.enter(ELSEWHERE)

    with pytest.raises(TooFast) as caught:
        waiting.enter(ELSEWHERE)

    assert (caught.value.reason, caught.value.retryable) == ("too_many_connections", True)
    assert caught.value.retry_after_ms
    waiting.enter("203.0.113.6")
    first.leave()
    waiting.enter(ELSEWHERE)


def test_a_connection_leaves_once() -> None:
    waiting = WaitingConnections(2, spares_loopback=True)
    first = waiting.enter(ELSEWHERE)
    waiting.enter(ELSEWHERE)

    first.leave()
    first.leave()

    assert len(waiting) == 1


def test_nothing_is_remembered_of_who_has_left() -> None:
    waiting = WaitingConnections(2, spares_loopback=True)
    for number in range(100):
        waiting.enter(f"198.51.100.{number}").leave()

    assert waiting._counts == {}


@pytest.mark.parametrize(("spares_loopback", "counted"), [(True, 0), (False, 1)])
def test_this_machine_is_counted_where_it_is_not_spared(spares_loopback: bool, counted: int) -> None:
    waiting = WaitingConnections(1, spares_loopback=spares_loopback)
    waiting.enter("127.0.0.1")
    assert len(waiting) == counted


def test_without_a_limit_nothing_is_counted() -> None:
    waiting = WaitingConnections(0, spares_loopback=False)
    for _ in range(100):
        waiting.enter(ELSEWHERE)
    assert len(waiting) == 0


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:aaaa:bbbb:cccc:dddd", "2001:db8:1:2::"),
        ("not an address", "not an address"),
    ],
)
def test_the_addresses_of_one_ipv6_host_are_one_client(address: str, client: str) -> None:
    assert client_of(address) == client
