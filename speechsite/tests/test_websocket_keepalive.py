"""When connections are pinged, and when they are given up."""

from __future__ import annotations

import asyncio

from speechsite.websocket.keepalive import Keepalive
from transcription.tests.virtual_time import in_virtual_time

INTERVAL_S, TIMEOUT_S = 20.0, 15.0
SWEEP_S = 1.0


class Connection:
    def __init__(self, keepalive: Keepalive, *, answers: bool = False) -> None:
        self.heard = False
        self.reading_paused = False
        self.pings = 0
        self.is_given_up = False
        self._keepalive = keepalive
        self._answers = answers
        keepalive.add(self)

    def ping(self) -> None:
        self.pings += 1
        self.heard = self._answers

    def end_in_silence(self) -> None:
        self.is_given_up = True
        self._keepalive.discard(self)


def make(timeout_s: float | None = TIMEOUT_S) -> Keepalive:
    return Keepalive(asyncio.get_running_loop(), INTERVAL_S, timeout_s)


@in_virtual_time
async def test_who_answers_is_pinged_at_each_interval() -> None:
    connection = Connection(make(), answers=True)

    await asyncio.sleep(INTERVAL_S - 0.5)
    assert connection.pings == 0
    await asyncio.sleep(SWEEP_S)
    assert connection.pings == 1
    await asyncio.sleep(INTERVAL_S + SWEEP_S)
    assert connection.pings == 2
    assert not connection.is_given_up


@in_virtual_time
async def test_who_is_silent_is_given_up_after_the_timeout() -> None:
    connection = Connection(make())

    await asyncio.sleep(INTERVAL_S + TIMEOUT_S - 0.5)
    assert not connection.is_given_up
    await asyncio.sleep(2 * SWEEP_S)
    assert connection.is_given_up
    assert connection.pings == 1


@in_virtual_time
async def test_who_sends_anything_is_not_given_up() -> None:
    connection = Connection(make())

    await asyncio.sleep(INTERVAL_S + SWEEP_S)
    connection.heard = True
    await asyncio.sleep(TIMEOUT_S + SWEEP_S)

    assert not connection.is_given_up


@in_virtual_time
async def test_who_is_not_read_from_is_not_given_up() -> None:
    connection = Connection(make())
    connection.reading_paused = True

    await asyncio.sleep(3 * (INTERVAL_S + TIMEOUT_S))
    assert not connection.is_given_up
    connection.reading_paused = False
    await asyncio.sleep(INTERVAL_S + TIMEOUT_S + SWEEP_S)
    assert connection.is_given_up


@in_virtual_time
async def test_without_a_timeout_pings_go_on() -> None:
    connection = Connection(make(timeout_s=None))

    await asyncio.sleep(3 * (INTERVAL_S + SWEEP_S))

    assert connection.pings == 3
    assert not connection.is_given_up


@in_virtual_time
async def test_there_is_no_timer_while_nobody_is_connected() -> None:
    """In virtual time a test that leaves a timer behind would not end, so a second round shows that it starts anew."""
    keepalive = make()
    for _ in range(2):
        connection = Connection(keepalive)
        await asyncio.sleep(INTERVAL_S + TIMEOUT_S + 2 * SWEEP_S)
        assert connection.is_given_up
