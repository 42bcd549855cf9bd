"""Waiting for tasks without losing their errors or leaving them behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


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
