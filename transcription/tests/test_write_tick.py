"""The tick at which all write, with the event loop's own clock."""

from __future__ import annotations

import asyncio

from transcription.engine.write_tick import WriteTick

LONG_S = 3600.0
PATIENCE_S = 10.0


class Writer:
    """Remembers that it was told to write."""

    def __init__(self) -> None:
        self._wrote = asyncio.Event()

    def write(self) -> None:
        self._wrote.set()

    @property
    def has_written(self) -> bool:
        return self._wrote.is_set()

    async def written(self) -> None:
        await self._wrote.wait()


async def test_the_first_writer_of_a_quiet_process_writes_at_once() -> None:
    tick, writer = WriteTick(LONG_S), Writer()

    tick.wake(writer)

    async with asyncio.timeout(PATIENCE_S):
        await writer.written()


async def test_writers_that_come_after_it_write_together() -> None:
    tick, first, others = WriteTick(0.05), Writer(), [Writer() for _ in range(3)]
    tick.wake(first)
    await first.written()
    woken: list[list[bool]] = []

    async def look(writer: Writer) -> None:
        await writer.written()
        woken.append([other.has_written for other in others])

    waiting = asyncio.gather(*map(look, others))
    for other in others:
        tick.wake(other)
        assert not other.has_written

    async with asyncio.timeout(PATIENCE_S):
        await waiting
    assert woken == [[True, True, True]] * 3


async def test_a_writer_waits_no_longer_than_the_interval_while_others_come_and_go() -> None:
    tick, writer = WriteTick(0.05), Writer()
    tick.wake(Writer())
    await asyncio.sleep(0)
    tick.wake(writer)

    async with asyncio.timeout(PATIENCE_S):
        while not writer.has_written:
            tick.wake(Writer())
            await asyncio.sleep(0)


async def test_without_an_interval_nobody_waits() -> None:
    writer = Writer()

    WriteTick(0.0).wake(writer)

    assert writer.has_written


async def test_a_writer_that_fails_keeps_no_other_from_writing() -> None:
    class Broken(Writer):
        def write(self) -> None:
            raise LookupError("a bug")

    tick, others = WriteTick(0.01), [Writer() for _ in range(10)]
    for writer in (*others[:5], Broken(), *others[5:]):
        tick.wake(writer)

    async with asyncio.timeout(PATIENCE_S):
        for writer in others:
            await writer.written()
