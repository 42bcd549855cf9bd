"""Coroutines that are begun without a task."""

from __future__ import annotations

import asyncio

import pytest

from transcription.eager import Unfinished, run_until_it_waits


async def test_what_never_waits_is_done_at_once() -> None:
    done = []

    async def work() -> None:
        done.append(1)

    assert run_until_it_waits(work()) is None
    assert done == [1]


async def test_what_waits_goes_on_where_it_is_awaited() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    done = []

    async def work() -> None:
        for number, gate in enumerate(gates):
            await gate.wait()
            done.append(number)

    rest = run_until_it_waits(work())
    assert isinstance(rest, Unfinished)
    gates[0].set()
    finishing = asyncio.ensure_future(_await(rest))
    await asyncio.sleep(0)
    gates[1].set()
    await finishing

    assert done == [0, 1]


async def test_its_errors_are_raised_where_they_happen() -> None:
    gate = asyncio.Event()

    async def fail_at_once() -> None:
        raise OSError("gone")

    async def fail_later() -> None:
        await gate.wait()
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run_until_it_waits(fail_at_once())
    rest = run_until_it_waits(fail_later())
    gate.set()
    with pytest.raises(OSError, match="gone"):
        await _await(rest)


async def test_a_task_that_is_cancelled_cancels_it() -> None:
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = asyncio.ensure_future(_await(run_until_it_waits(work())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert cancelled


async def _await(rest: Unfinished | None) -> None:
    assert rest is not None
    await rest
