"""Tasks that are cancelled, and those that do not hear it."""

from __future__ import annotations

import asyncio
import contextlib

from transcription.tests.virtual_time import in_virtual_time
from transcription.waiting import CANCEL_AGAIN_S, MAX_CANCELS, all_cancelled


async def deaf(times: int) -> None:
    """Loses so many cancellations."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("of nobody's interest")


@in_virtual_time
async def test_a_task_that_loses_a_cancellation_is_told_again() -> None:
    tasks = [asyncio.create_task(deaf(times)) for times in (0, 1, 3)] + [asyncio.create_task(failing())]
    await asyncio.sleep(0)

    await all_cancelled(tasks)

    assert [task.done() for task in tasks] == [True] * 4


@in_virtual_time
async def test_a_task_that_hears_nothing_is_not_waited_for_without_end() -> None:
    task = asyncio.create_task(deaf(2 * MAX_CANCELS))
    await asyncio.sleep(0)
    started_s = asyncio.get_running_loop().time()

    await all_cancelled([task])

    assert asyncio.get_running_loop().time() - started_s <= MAX_CANCELS * CANCEL_AGAIN_S + 0.1
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
