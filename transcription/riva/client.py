"""The recogniser of a process: every configured Riva address behind one `open`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from transcription.engine.breaker import Breaker
from transcription.errors import AtCapacity, RecogniserFailed, RecogniserSilent
from transcription.metrics import UPSTREAM_OPEN_SECONDS
from transcription.options import TranscriptionConfig
from transcription.riva.endpoint import RivaEndpoint, RivaLimits
from transcription.riva.offer import RivaModel
from transcription.riva.stream import RivaStream
from transcription.riva.target import RivaTarget

# With 3 s an address this stays within the 10 s that a client waits for its start.
MAX_ADDRESSES_PER_OPEN = 3


class RivaRecogniser:
    """A Recogniser on one or several equivalent Riva addresses, taken in turn.

    Make it anywhere; it connects lazily and belongs to the event loop in which it is first used. Channels made
    before a fork would be broken after it.
    """

    def __init__(self, targets: Sequence[RivaTarget], *, limits: RivaLimits | None = None) -> None:
        if not targets:
            raise ValueError("at least one target is needed")
        limits = limits or RivaLimits()
        self._endpoints = [RivaEndpoint(target, limits) for target in targets]
        self._limits = limits
        self._next = 0
        self._breaker = Breaker()

    def check(self) -> None:
        """Raises what a new session is to be told while no address is known to work."""
        self._breaker.check(asyncio.get_running_loop().time(), streams=self._streams)

    @property
    def _streams(self) -> int:
        return sum(endpoint.streams for endpoint in self._endpoints)

    async def open(self, config: TranscriptionConfig, *, base_ms: int = 0) -> RivaStream:
        """Open a stream at the next address, or where that fails at one of the two after it.

        Raises BadConfig without trying further: equivalent addresses would refuse as well. Otherwise raises
        the last address's error, each within RivaLimits.open_timeout_s.
        """
        tries = self._in_turn()[:MAX_ADDRESSES_PER_OPEN]
        started_s = asyncio.get_running_loop().time()
        for endpoint in tries:
            try:
                stream = await endpoint.open(config, base_ms=base_ms)
            except (RecogniserFailed, RecogniserSilent, AtCapacity) as error:
                if endpoint is tries[-1] or not error.retryable:
                    self._breaker.failed(error, asyncio.get_running_loop().time(), streams=self._streams)
                    raise
            else:
                self._breaker.opened()
                UPSTREAM_OPEN_SECONDS.observe(asyncio.get_running_loop().time() - started_s)
                return stream
        raise AssertionError("unreachable: the last address either opened or raised")

    async def describe(self, timeout_s: float | None = None) -> list[RivaModel]:
        """The models offered; empty if the recogniser does not say, and then anything may be asked for.

        Answers from a cache of a minute. With timeout_s it gives up waiting then and returns an empty list.
        """
        try:
            async with asyncio.timeout(timeout_s):
                for endpoint in self._endpoints:
                    if offer := await endpoint.offer():
                        return list(offer)
        except TimeoutError:
            pass
        return []

    async def ready(self, timeout_s: float) -> None:
        """Return as soon as any address answers; that it does not know the question is an answer too.

        Raises the TranscriptionError of one of them if none does within timeout_s.
        """
        asking = {asyncio.ensure_future(endpoint.ask(timeout_s)) for endpoint in self._endpoints}
        pending = set(asking)
        failure: BaseException | None = None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    failure = task.exception()
                    if failure is None:
                        return
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        assert failure is not None  # noqa: S101 - at least one address was asked, and it failed
        raise failure

    async def aclose(self) -> None:
        """Close every connection; streams that are still open fail."""
        for endpoint in self._endpoints:
            await endpoint.aclose()

    def _in_turn(self) -> list[RivaEndpoint]:
        start = self._next % len(self._endpoints)
        self._next = start + 1
        return self._endpoints[start:] + self._endpoints[:start]
