"""The sockets of this process that only watch, so that they can be sent elsewhere before the process ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from transcription import metrics


class Viewers:
    """`leaving` is set once they shall go."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self._count = 0
        self._none_left = asyncio.Event()
        self._none_left.set()

    def __len__(self) -> int:
        return self._count

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Count one that watches."""
        self._count += 1
        self._none_left.clear()
        metrics.VIEWERS.inc()
        try:
            yield
        finally:
            self._count -= 1
            metrics.VIEWERS.dec()
            if not self._count:
                self._none_left.set()

    async def leave(self, timeout_s: float) -> None:
        """Tell them to go and wait until they have, or timeout_s are over."""
        self.leaving.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._none_left.wait()
