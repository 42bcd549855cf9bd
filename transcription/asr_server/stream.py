"""One recognition stream: requests in, results out, at most a few segments held in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from riva.client.proto import riva_asr_pb2

from .config import StreamOptions
from .errors import ClientSilent, EngineError, RecogniserError, RequestError
from .listening import Heard, HeardSegment, HeardSilence, Listener, OpenSegment
from .open_segment import OpenSegmentDecoder
from .outbox import Final, Interim, Message, Outbox, Progress
from .results import build_final, build_interim, build_progress
from .scheduler import Scheduler

logger = logging.getLogger(__name__)

# About a second of 16 kHz PCM at a time, so that results come while a large message is heard. A few
# bytes of a compressed file can be minutes of sound.
SLICE_BYTES = 32_768
COMPRESSED_SLICE_BYTES = 2_048
# Less than a frame of the detector at any rate: a client that sends single bytes costs no thread
# hop for each, and no delay is added.
MIN_HEARD_BYTES = 256
# A stream may be silent for long, but a client that sends nothing at all holds a slot.
IDLE_LIMIT_S = 300.0
# A final is wanted this long after its last sample; a stream fed faster than it was spoken has the
# slack it has gained.
FINAL_WANTED_S = 0.5
# With too much to do there may be no interim for long, and a client that hears nothing while somebody
# speaks takes the recogniser for dead (the service does after 8 s).
TOLD_AGAIN_AFTER_S = 3.0

NO_SAMPLES = np.zeros(0, np.float32)
FORCE_EOU = "force_eou"
_FALSE = ("", "0", "false", "no")


@dataclass(frozen=True, slots=True)
class StreamParts:
    """What a stream works with, shared by all streams of a server."""

    scheduler: Scheduler
    hearing: Executor
    idle_limit_s: float = IDLE_LIMIT_S


class RecognitionStream:
    """Call `results` once; closing it (or cancelling its task) frees all that the stream holds."""

    def __init__(self, options: StreamOptions, listener: Listener, parts: StreamParts) -> None:
        self._options = options
        self._listener = listener
        self._parts = parts
        self._outbox = Outbox()
        self._pending = bytearray()
        self._opened_at = asyncio.get_running_loop().time()
        self._final: asyncio.Future[str] | None = None
        self._decoder = OpenSegmentDecoder(parts.scheduler, listener, self._tell_interim, options.interim_results)
        # Read here rather than from the listener, which may be at work in its thread.
        self._open: OpenSegment | None = None
        self._heard_s = 0.0
        self._told_at_s = 0.0
        self._last_interim: Interim | None = None

    async def results(
        self, requests: AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]
    ) -> AsyncGenerator[riva_asr_pb2.StreamingRecognitionResult, None]:
        """Results in the order of the audio, until the client has half-closed and all is said.

        Raises RequestError, ClientSilent or EngineError; the stream is over then.
        """
        listening = asyncio.create_task(self._listen(requests))
        try:
            while (message := await self._outbox.get()) is not None:
                if isinstance(message, Final):
                    self._final = message.text
                    text = await message.text
                    yield (
                        build_final(message.segment, text, self._options)
                        if text
                        else build_progress(message.segment.settled_s)
                    )
                elif isinstance(message, Interim):
                    yield build_interim(message.segment, message.text, self._options)
                else:
                    yield build_progress(message.settled_s)
        finally:
            await self._release(listening)

    async def _release(self, listening: asyncio.Task[None]) -> None:
        listening.cancel()
        self._decoder.drop()
        if self._final is not None:
            self._final.cancel()
        self._outbox.cancel()
        await asyncio.wait([listening])

    async def _listen(self, requests: AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]) -> None:
        try:
            while (request := await self._next(requests)) is not None:
                if request.HasField("streaming_config"):
                    raise RequestError("streaming_config", "may only be in the first message")
                self._pending += request.audio_content
                is_end = request.runtime_config.get(FORCE_EOU, "").lower() not in _FALSE
                if is_end or len(self._pending) >= MIN_HEARD_BYTES:
                    await self._hear_pending()
                if is_end:
                    await self._hear(self._listener.end_utterance)
            await self._hear_pending()
            await self._hear(self._listener.finish)
            self._decoder.drop()
        except RecogniserError as error:
            self._outbox.close(error)
        except Exception as error:  # the writing task must not wait for ever for a task that died
            logger.exception("a stream failed")
            self._outbox.close(EngineError(f"the stream failed: {type(error).__name__}"))
        else:
            self._outbox.close()

    async def _next(
        self, requests: AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]
    ) -> riva_asr_pb2.StreamingRecognizeRequest | None:
        try:
            async with asyncio.timeout(self._parts.idle_limit_s):
                return await anext(requests, None)
        except TimeoutError:
            raise ClientSilent(f"nothing was sent for {self._parts.idle_limit_s:.0f} s") from None

    async def _hear_pending(self) -> None:
        """Hear all bytes that wait, in slices, as fast as results are taken off."""
        data = bytes(self._pending)
        self._pending.clear()
        at = 0
        while at < len(data):
            step = COMPRESSED_SLICE_BYTES if self._listener.is_compressed else SLICE_BYTES
            await self._hear(partial(self._listener.feed, data[at : at + step]))
            self._decoder.follow(self._open, self._due(self._heard_s))
            at += step

    async def _hear(self, hear: Callable[[], list[Heard]]) -> None:
        await self._outbox.wait_for_room()
        heard = await asyncio.get_running_loop().run_in_executor(self._parts.hearing, hear)
        self._open = self._listener.open_segment
        self._heard_s = self._listener.position_s
        self._tell(heard)
        self._tell_again()

    def _put(self, message: Message) -> None:
        self._told_at_s = self._heard_s
        self._outbox.put(message)

    def _tell(self, heard: list[Heard]) -> None:
        for item in heard:
            if isinstance(item, HeardSilence):
                self._put(Progress(item.settled_s))
                continue
            deadline = self._due(item.settled_s) + FINAL_WANTED_S
            self._put(Final(item, self._decoder.finish(item, deadline)))

    def _tell_again(self) -> None:
        """Say the open segment's last interim again, or that it has none, where nothing was said for long."""
        if not self._options.interim_results or self._open is None:
            return
        if self._heard_s - self._told_at_s < TOLD_AGAIN_AFTER_S:
            return
        last = self._last_interim
        if last is None or last.segment.number != self._open.number:
            last = Interim(HeardSegment(self._open.number, NO_SAMPLES, self._heard_s, ()), "")
        self._put(replace(last, segment=replace(last.segment, settled_s=self._heard_s)))

    def _due(self, position_s: float) -> float:
        """The moment at which audio at this position arrives from a speaker, at the earliest now."""
        return max(asyncio.get_running_loop().time(), self._opened_at + position_s)

    def _tell_interim(self, segment: HeardSegment, text: str) -> None:
        if self._open is not None and self._open.number == segment.number:
            # Kept without its audio, to be said again.
            self._last_interim = Interim(replace(segment, samples=NO_SAMPLES), text)
            self._put(self._last_interim)
