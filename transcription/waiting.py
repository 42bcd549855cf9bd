"""Waiting for tasks without losing their errors or leaving them behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

# More than cleaning up takes.
CANCEL_AGAIN_S = 1.0
MAX_CANCELS = 10


async def first_of(wanted: Awaitable[Any], *others: asyncio.Task[None]) -> None:
    """Wait for one awaitable; an exception of the others ends the wait and is raised here."""
    future = asyncio.ensure_future(wanted)
    waiting: set[asyncio.Future[Any]] = {future, *others}
    while not future.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    future.result()


async def cancelled(future: asyncio.Future[Any]) -> None:
    """Cancel a task that may still run, and wait until it is gone."""
    if not future.done():
        future.cancel()
        await asyncio.wait({future})


async def all_cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are gone. Their errors are nobody's any more.

    Clients of other servers lose a cancellation now and then, as the one of Redis does while it connects, and a task
    that goes on would be waited for without end: it is told again.
    """
    tasks = set(tasks)
    for _ in range(MAX_CANCELS):
        left = {task for task in tasks if not task.done()}
        if not left:
            break
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


async def ended_in_time(
    ended: asyncio.Future[None], answers: Callable[[], int], *, silent_s: float, at_most_s: float
) -> bool:
    """Wait for the end of what answers now and then; it is cancelled if it answers nothing for silent_s.

    answers: how many there were. False if it was silent, or took more than at_most_s in all. Raises its error.
    """
    loop = asyncio.get_running_loop()
    give_up_at_s = loop.time() + at_most_s
    try:
        while not ended.done():
            before = answers()
            await asyncio.wait({ended}, timeout=min(silent_s, max(0.0, give_up_at_s - loop.time())))
            if not ended.done() and (answers() == before or loop.time() >= give_up_at_s):
                return False
        ended.result()
        return True
    finally:
        await cancelled(ended)
