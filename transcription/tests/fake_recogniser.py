"""A recogniser in memory: a test says what it answers and how it fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from transcription.engine.recognition import Capabilities, Result
from transcription.errors import TranscriptionError
from transcription.options import TranscriptionConfig
from transcription.results import InterimResult
from transcription.riva.offer import RivaModel

SETTLING = Capabilities(settles=True, word_times=False)


class FakeStream:
    """A RecognitionStream. The test calls say(), end_ok() and fail(); what was sent is in `audio`.

    last_words: said when the stream is half-closed; it then ends OK, unless ends is False.
    """

    recogniser = "fake:1"
    model = "fake-model"

    def __init__(
        self,
        config: TranscriptionConfig,
        *,
        capabilities: Capabilities = SETTLING,
        last_words: Iterable[Result] = (),
        ends: bool = True,
    ) -> None:
        self.config = config
        self.capabilities = capabilities
        self.audio = bytearray()
        self.chunks: list[bytes] = []
        self.ended_utterances = 0
        # After how much audio each of them was ended.
        self.ended_at: list[int] = []
        self.is_half_closed = False
        self._interim: InterimResult | None = None
        self.is_cancelled = False
        self.takes_audio = asyncio.Event()
        self.takes_audio.set()
        self.sends_at_once = True
        self._telling: asyncio.Future[None] | None = None
        self._last_words = list(last_words)
        self._ends = ends
        self._said: asyncio.Queue[Result | Exception | None] = asyncio.Queue()
        self._changed = asyncio.Condition()

    # What the test does

    def say(self, *results: Result) -> None:
        for result in results:
            self._said.put_nowait(result)

    def end_ok(self) -> None:
        self._said.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self._said.put_nowait(error)

    async def heard(self, size_bytes: int) -> None:
        """Wait until so much audio was sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.audio) >= size_bytes)

    async def half_closed(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_half_closed)

    async def utterances_ended(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.ended_utterances >= count)

    # What the service does

    def last_interim(self) -> InterimResult | None:
        return self._interim

    async def send(self, chunk: bytes) -> None:
        await self.takes_audio.wait()
        self.audio += chunk
        self.chunks.append(chunk)
        await self._tell()

    def send_now(self, chunk: bytes) -> bool:
        if not (self.sends_at_once and self.takes_audio.is_set()):
            return False
        self.audio += chunk
        self.chunks.append(chunk)
        self._telling = asyncio.ensure_future(self._tell())
        return True

    async def end_utterance(self) -> None:
        self.ended_utterances += 1
        self.ended_at.append(len(self.audio))
        await self._tell()

    async def half_close(self) -> None:
        self.is_half_closed = True
        self.say(*self._last_words)
        if self._ends:
            self.end_ok()
        await self._tell()

    async def hear(self, take: Callable[[Result], None]) -> None:
        while (said := await self._said.get()) is not None:
            if isinstance(said, Exception):
                raise said
            if isinstance(said, InterimResult):
                self._interim = said
            take(said)

    def cancel(self) -> None:
        self.is_cancelled = True

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class FakeRecogniser:
    """Opens FakeStreams. failures: for each opening, in order, the error to raise instead, or None.

    gate: openings wait until it is set. The rest is for the streams it opens.
    """

    def __init__(
        self,
        *,
        failures: Iterable[TranscriptionError | None] = (),
        gate: asyncio.Event | None = None,
        capabilities: Capabilities = SETTLING,
        last_words: Iterable[Result] = (),
        ends: bool = True,
    ) -> None:
        self.streams: list[FakeStream] = []
        self.openings = 0
        # Where each stream that was asked for begins.
        self.bases_ms: list[int] = []
        # What new sessions are told.
        self.refusal: TranscriptionError | None = None
        self._failures = deque(failures)
        self.gate = gate
        self._capabilities = capabilities
        self.last_words = list(last_words)
        # What it says that it has; empty: nothing.
        self.models: list[RivaModel] = []
        self._ends = ends
        self._opened = asyncio.Condition()

    def check(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    async def describe(self, _timeout_s: float | None = None) -> list[RivaModel]:
        return self.models

    async def open(self, config: TranscriptionConfig, *, base_ms: int = 0) -> FakeStream:
        self.openings += 1
        self.bases_ms.append(base_ms)
        failure = self._failures.popleft() if self._failures else None
        if failure is not None:
            raise failure
        if self.gate is not None:
            await self.gate.wait()
        stream = FakeStream(config, capabilities=self._capabilities, last_words=self.last_words, ends=self._ends)
        async with self._opened:
            self.streams.append(stream)
            self._opened.notify_all()
        return stream

    async def opened(self, count: int) -> FakeStream:
        """The stream that is opened as number count, once it is; the test's own timeout bounds it."""
        async with self._opened:
            await self._opened.wait_for(lambda: len(self.streams) >= count)
        return self.streams[count - 1]

    async def ready(self, timeout_s: float) -> None:
        """Always."""

    async def aclose(self) -> None:
        for stream in self.streams:
            stream.cancel()
