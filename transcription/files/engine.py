"""A whole file through one stored session: the same line as live audio, as fast as the recogniser hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from django.utils.translation import gettext as _

from transcription.audio.containers import SAMPLE_RATE_HZ
from transcription.audio.formats import Encoding
from transcription.engine import end as ends
from transcription.engine.end import End
from transcription.engine.live import LiveTranscription
from transcription.errors import InternalError, TranscriptionError
from transcription.events import Ack, Event, Final, Resumed, Started, Stopped
from transcription.process import Process

DIALECT = "upload"
# What files are decoded to, whatever their own format is.
DECODED = {
    "encoding": Encoding.LINEAR_PCM.value,
    "sample_rate_hertz": SAMPLE_RATE_HZ,
    "audio_channel_count": 1,
    "enable_interim_results": False,
}


def options_of_file(options: dict[str, Any]) -> dict[str, Any]:
    """A session's options with the format that files are decoded to."""
    return {**options, **DECODED}


class FileSession:
    """`async with FileSession(...) as session:` starts it; `finals()` gives its results; at the end it is over.

    make_live: makes the session from what takes its events. chunks: the audio from a byte on, as the session counts
    (0 but for one that is taken up again). ends_with: how it ends once it has heard everything.

    Entering raises the TranscriptionError that kept the session from starting. Leaving before the end lets go of
    the session as abandon() said, else as for a client that is gone.
    """

    def __init__(
        self,
        process: Process,
        make_live: Callable[[Callable[[Event], None]], LiveTranscription],
        chunks: Callable[[int], AsyncGenerator[bytes, None]],
        *,
        ends_with: End | None = None,
    ) -> None:
        self._end = ends_with or ends.client_stop()
        self._process = process
        self._chunks = chunks
        self._started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # No more than the longest audio has; to make a session wait for its reader would hold its place for longer.
        self._finals: asyncio.Queue[Final | None] = asyncio.Queue()
        self._told: set[int] = set()
        self._running: asyncio.Task[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self.stopped: Stopped | None = None
        # That listens; "" where the recogniser does not say which.
        self.model = ""
        # Audio before this byte is in the database for good.
        self.settled_bytes = 0
        self.live = make_live(self._on_event)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        try:
            await asyncio.wait((self._running, self._started), return_when=asyncio.FIRST_COMPLETED)
            if not self._started.done():
                await self._running
                raise self._failure()
        except BaseException:
            await self._let_go(ends.client_lost())
            raise
        self._feeding = asyncio.create_task(self._feed(self._started.result()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._let_go(ends.client_lost())

    @property
    def session_id(self) -> str:
        return self.live.public_id

    def abandon(self, end: End) -> None:
        """End it before everything is heard."""
        self.live.abandon(end)

    async def finals(self) -> AsyncIterator[Final]:
        """Stored finals in order, as they come. Raises the TranscriptionError that ended the session early."""
        while (final := await self._finals.get()) is not None:
            yield final
        assert self._running is not None  # noqa: S101 - entered
        await self._running
        was_told = self.stopped is not None or self._end.stopped is None
        if not was_told or self.live.closing_error is not None:
            raise self._failure()

    async def _run(self) -> None:
        try:
            await self._process.run(self.live)
        finally:
            self._finals.put_nowait(None)

    async def _feed(self, start: int) -> None:
        """Give the session its audio as far as it has room. What is wrong with the file ends it."""
        try:
            async with aclosing(self._chunks(start)) as chunks:
                async for chunk in chunks:
                    await self.live.wait_for_room(len(chunk), has_credit=False)
                    if self.live.is_ending:
                        return
                    self.live.feed(chunk)
        except TranscriptionError as error:
            self.live.end(ends.source_failed(error))
        else:
            self.live.end(self._end)

    def _on_event(self, event: Event) -> None:
        match event:
            case Started():
                self.model = event.model
                self._started.set_result(0)
            case Resumed():
                self._started.set_result(event.audio_offset)
            case Final(durable=True, tail=False) if event.segment not in self._told:
                self._told.add(event.segment)
                self._finals.put_nowait(event)
            case Ack():
                self.settled_bytes = event.safe or 0
            case Stopped():
                self.stopped = event

    def _failure(self) -> TranscriptionError:
        return self.live.closing_error or InternalError(_("Something went wrong on our side."))

    async def _let_go(self, end: End) -> None:
        """However it goes, nothing of it runs afterwards, and its row has its end."""
        if self._running is not None and not self._running.done():
            self.live.abandon(end)
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        if self._running is not None:
            # Shielded: the end must be stored even where the caller is cancelled again meanwhile.
            await asyncio.shield(asyncio.gather(self._running, return_exceptions=True))
