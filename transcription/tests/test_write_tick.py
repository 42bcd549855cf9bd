"""The tick that wakes all writers, with the event loop's own clock."""

from __future__ import annotations

import asyncio

from transcription.engine.write_tick import WriteTick

LONG_S = 3600.0
PATIENCE_S = 10.0


async def test_the_first_writer_of_a_quiet_process_is_woken_at_once() -> None:
    tick, writer = WriteTick(LONG_S), asyncio.Event()

    tick.wake(writer)

    async with asyncio.timeout(PATIENCE_S):
        await writer.wait()


async def test_writers_that_come_after_it_are_woken_together() -> None:
    tick, first, others = WriteTick(0.05), asyncio.Event(), [asyncio.Event() for _ in range(3)]
    tick.wake(first)
    await first.wait()
    woken: list[list[bool]] = []

    async def look(writer: asyncio.Event) -> None:
        await writer.wait()
        woken.append([other.is_set() for other in others])

    waiting = asyncio.gather(*map(look, others))
    for other in others:
        tick.wake(other)
        assert not other.is_set()

    async with asyncio.timeout(PATIENCE_S):
        await waiting
    assert woken == [[True, True, True]] * 3


async def test_a_writer_waits_no_longer_than_the_interval_while_others_come_and_go() -> None:
    tick, writer = WriteTick(0.05), asyncio.Event()
    tick.wake(asyncio.Event())
    await asyncio.sleep(0)
    tick.wake(writer)

    async with asyncio.timeout(PATIENCE_S):
        while not writer.is_set():
            tick.wake(asyncio.Event())
            await asyncio.sleep(0)


async def test_without_an_interval_nobody_waits() -> None:
    writer = asyncio.Event()

    WriteTick(0.0).wake(writer)

    assert writer.is_set()
