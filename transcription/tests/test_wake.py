"""What wakes the task of one session."""

from __future__ import annotations

import asyncio

import pytest

from transcription.engine.wake import Wake

PATIENCE_S = 10.0


async def test_it_wakes_the_task_that_waits() -> None:
    wake = Wake()

    async def wait() -> str:
        await wake.next()
        return "woken"

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    wake.set()
    wake.set()
    assert await asyncio.wait_for(waiting, PATIENCE_S) == "woken"


async def test_what_came_before_does_not_count() -> None:
    wake = Wake()
    wake.set()
    assert not wake.next().done()


async def test_after_a_task_that_was_cancelled_another_one_may_wait() -> None:
    wake = Wake()
    waiting = asyncio.ensure_future(wake.next())
    waiting.cancel()
    wake.set()
    following = wake.next()
    wake.set()
    await asyncio.wait_for(following, PATIENCE_S)


async def test_two_tasks_cannot_wait() -> None:
    wake = Wake()
    wake.next()
    with pytest.raises(RuntimeError, match="two tasks"):
        wake.next()
