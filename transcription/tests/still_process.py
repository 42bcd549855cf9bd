"""A server process that is not in the database: nothing to start, nothing to close but its threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.layers import channel_layers

from speechsite.config import get_config
from transcription.identity import auth
from transcription.process import Process
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.memory_store import MemoryStore


class StillProcess(Process):
    async def start(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        await self.views.aclose()
        await self.threads.aclose()


@asynccontextmanager
async def still_process(**settings: Any) -> AsyncIterator[StillProcess]:
    """One with these settings, and a channel layer that knows nothing of other tests' loops."""
    channel_layers.backends.clear()
    config = get_config().model_copy(update=settings)
    process = StillProcess(config, recogniser=FakeRecogniser(), store=MemoryStore())
    try:
        yield process
    finally:
        await process.aclose()
        await auth.aclose()
        channel_layers.backends.clear()
