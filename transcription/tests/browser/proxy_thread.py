"""A network that goes away and comes back, for tests that have no loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from transcription.tests.chaos.fault_proxy import FaultProxy

ACTION_TIMEOUT_S = 10
# The browser itself writes every connection that fails to its console, whatever the page does about it.
FAILING_CONNECTIONS = ("WebSocket connection to", "Failed to load resource")


class ProxyThread:
    """A proxy before the service at `url`, in a loop and a thread of its own."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._proxy = FaultProxy(address.hostname or "", address.port or 0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._proxy.__aenter__())
        self.url = f"http://{self._proxy.address}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run(self._proxy.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """As when the network goes away: connections break, and no new one is made."""
        self._run(self._cut())

    def hang(self) -> None:
        """As behind a router that lost its memory: connections stay, and nothing passes."""
        self._loop.call_soon_threadsafe(self._proxy.hang)

    def heal(self) -> None:
        self._run(self._proxy.heal())

    async def _cut(self) -> None:
        await self._proxy.refuse()
        self._proxy.reset()

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(ACTION_TIMEOUT_S)
