"""A recogniser in memory that hears numbered words, so that replayed audio gives the same words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from transcription.engine.recognition import Capabilities, Result
from transcription.errors import RecogniserFailed, TranscriptionError
from transcription.fake_riva.engine import ScriptedEngine
from transcription.options import TranscriptionConfig
from transcription.results import InterimResult
from transcription.riva.convert import ResultConverter, build_config_request

BROKEN = RecogniserFailed("The connection broke.")


class WordStream:
    """A RecognitionStream on a ScriptedEngine, through the real conversion of results."""

    recogniser = "words:1"
    model = "words"

    def __init__(self, config: TranscriptionConfig, *, base_ms: int, settles: bool) -> None:
        self.config = config
        self.capabilities = Capabilities(settles=settles, word_times=True)
        self.is_cancelled = False
        self._engine = ScriptedEngine(build_config_request(config).streaming_config, settles=settles)
        self._converter = ResultConverter(config, base_ms=base_ms)
        self._sent_bytes = 0
        self._said: asyncio.Queue[Result | TranscriptionError | None] = asyncio.Queue()
        self._failure: TranscriptionError | None = None

    def fail(self, error: TranscriptionError = BROKEN) -> None:
        """The connection breaks: what was said and not read yet is lost."""
        self._failure = error
        while not self._said.empty():
            self._said.get_nowait()
        self._said.put_nowait(error)

    def send_now(self, _chunk: bytes) -> bool:
        return False

    async def send(self, chunk: bytes) -> None:
        self._check()
        self._sent_bytes += len(chunk)
        self._say(self._engine.hear(chunk))

    async def end_utterance(self) -> None:
        self._check()
        self._say(self._engine.end_utterance())

    async def half_close(self) -> None:
        self._check()
        self._say(self._engine.end_utterance())
        self._said.put_nowait(None)

    async def hear(self, take: Callable[[Result], None]) -> None:
        while (said := await self._said.get()) is not None:
            if isinstance(said, TranscriptionError):
                raise said
            take(said)

    def last_interim(self) -> InterimResult | None:
        return self._converter.last_interim()

    def cancel(self) -> None:
        self.is_cancelled = True

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _say(self, responses: object) -> None:
        sent_ms = self.config.audio_format.bytes_to_ms(self._sent_bytes)
        for response in responses:  # type: ignore[attr-defined]  # gRPC's messages are untyped
            for result in self._converter.convert(response, sent_ms=sent_ms, settles=self.capabilities.settles):
                self._said.put_nowait(result)


class WordRecogniser:
    """Opens WordStreams. down: openings fail meanwhile."""

    def __init__(self, *, settles: bool) -> None:
        self.streams: list[WordStream] = []
        self.is_down = False
        self._settles = settles

    def check(self) -> None:
        """It is never known to be away."""

    async def open(self, config: TranscriptionConfig, *, base_ms: int = 0) -> WordStream:
        if self.is_down:
            raise RecogniserFailed("The recogniser does not answer.")
        stream = WordStream(config, base_ms=base_ms, settles=self._settles)
        self.streams.append(stream)
        return stream

    def kill_streams(self) -> None:
        for stream in self.streams:
            if not stream.is_cancelled:
                stream.fail()
