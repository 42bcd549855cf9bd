"""The three calls of `nvidia.riva.asr.RivaSpeechRecognition`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import grpc
from riva.client.proto import riva_asr_pb2, riva_asr_pb2_grpc

from .config import LANGUAGE_CODE, StreamOptions, check_config, ignored_field_names
from .decoding import decode_segment
from .detector import SpeechDetector
from .endpointing import EndpointingOptions
from .errors import ClientSilent, EngineError, RecogniserError, RequestError, TooManyStreams
from .listening import Heard, HeardSegment, Listener
from .results import build_alternative
from .scheduler import Scheduler, Urgency
from .stream import COMPRESSED_SLICE_BYTES, SLICE_BYTES, RecognitionStream, StreamParts

logger = logging.getLogger(__name__)

CONFIG_WAIT_S = 30.0
# A client that reads nothing for this long while results wait is taken for gone.
WRITE_LIMIT_S = 60.0
# Whole files are decoded behind live streams of the same age.
OFFLINE_WANTED_S = 10.0
OFFLINE_JOBS = 4
MAX_OFFLINE_AUDIO_S = 4 * 3600

SETTLES_KEY, SETTLES_VALUE = "x-audio-processed", "settled"
IGNORED_KEY = "x-ignored-fields"

STATUS_OF: dict[type[RecogniserError], grpc.StatusCode] = {
    RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    TooManyStreams: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ClientSilent: grpc.StatusCode.DEADLINE_EXCEEDED,
    EngineError: grpc.StatusCode.INTERNAL,
}

StreamingRequests = AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]
StreamingContext = grpc.aio.ServicerContext[
    riva_asr_pb2.StreamingRecognizeRequest, riva_asr_pb2.StreamingRecognizeResponse
]
RecognizeContext = grpc.aio.ServicerContext[riva_asr_pb2.RecognizeRequest, riva_asr_pb2.RecognizeResponse]
ConfigContext = grpc.aio.ServicerContext[
    riva_asr_pb2.RivaSpeechRecognitionConfigRequest, riva_asr_pb2.RivaSpeechRecognitionConfigResponse
]


@dataclass(frozen=True, slots=True)
class ModelNames:
    """How the one loaded model is called for streams and for whole files."""

    streaming: str
    offline: str

    @classmethod
    def of(cls, folder_name: str) -> ModelNames:
        """Names made from the model folder's name."""
        stem = f"moonshine-{folder_name}-asr"
        return cls(f"{stem}-streaming", f"{stem}-offline")


class SpeechRecognitionService(riva_asr_pb2_grpc.RivaSpeechRecognitionServicer):
    """Serves at most `max_streams` calls with audio at a time; one more is RESOURCE_EXHAUSTED."""

    def __init__(
        self,
        names: ModelNames,
        scheduler: Scheduler,
        hearing: Executor,
        new_detector: Callable[[], SpeechDetector],
        max_streams: int,
    ) -> None:
        self._names = names
        self._scheduler = scheduler
        self._parts = StreamParts(scheduler, hearing)
        self._new_detector = new_detector
        self._max_streams = max_streams
        self.active_streams = 0

    async def StreamingRecognize(self, request_iterator: StreamingRequests, context: StreamingContext) -> None:
        """Results as the audio comes; the first request holds the configuration."""
        try:
            with self._slot():
                await self._stream(request_iterator, context)
        except RecogniserError as error:
            await _abort(context, error)

    async def _stream(self, requests: StreamingRequests, context: StreamingContext) -> None:
        first = await _first_request(requests)
        config = first.streaming_config
        options = check_config(config.config, self._names.streaming, config.interim_results)
        await context.send_initial_metadata(_metadata(options))
        stream = RecognitionStream(options, self._listener(options), self._parts)
        async with aclosing(stream.results(requests)) as results:
            async for result in results:
                response = riva_asr_pb2.StreamingRecognizeResponse(results=[result])
                if first.HasField("id"):
                    response.id.CopyFrom(first.id)
                await _write(context, response)

    async def Recognize(
        self, request: riva_asr_pb2.RecognizeRequest, context: RecognizeContext
    ) -> riva_asr_pb2.RecognizeResponse:
        """A whole file at once: one result for each segment of speech."""
        try:
            with self._slot():
                options = check_config(request.config, self._names.offline)
                await context.send_initial_metadata(_metadata(options))
                results = await self._recognize(request.audio, options)
        except RecogniserError as error:
            await _abort(context, error)
        response = riva_asr_pb2.RecognizeResponse(results=results)
        if request.HasField("id"):
            response.id.CopyFrom(request.id)
        return response

    async def _recognize(self, audio: bytes, options: StreamOptions) -> list[riva_asr_pb2.SpeechRecognitionResult]:
        """Hear the file slice by slice, with a few segments being decoded at a time."""
        listener, loop = self._listener(options), asyncio.get_running_loop()
        texts: list[tuple[HeardSegment, asyncio.Future[str]]] = []
        free_jobs = asyncio.Semaphore(OFFLINE_JOBS)
        try:
            for hear in _slices(listener, audio):
                for item in await loop.run_in_executor(self._parts.hearing, hear):
                    if isinstance(item, HeardSegment):
                        await free_jobs.acquire()
                        texts.append((item, self._decode_offline(item)))
                        texts[-1][1].add_done_callback(lambda _: free_jobs.release())
                if listener.position_s > MAX_OFFLINE_AUDIO_S:
                    raise RequestError("audio", f"is longer than {MAX_OFFLINE_AUDIO_S} s")
            return [_offline_result(item, await text, options) for item, text in texts if await text]
        finally:
            for _, text in texts:
                text.cancel()

    def _decode_offline(self, segment: HeardSegment) -> asyncio.Future[str]:
        deadline = asyncio.get_running_loop().time() + OFFLINE_WANTED_S
        work = partial(decode_segment, samples=segment.samples, voiced_ms=segment.speech_ms)
        return self._scheduler.submit(Urgency.FINAL, deadline, work)

    async def GetRivaSpeechRecognitionConfig(
        self, request: riva_asr_pb2.RivaSpeechRecognitionConfigRequest, context: ConfigContext
    ) -> riva_asr_pb2.RivaSpeechRecognitionConfigResponse:
        """The model under its two names, with what it can do. Answered only once it is loaded."""
        kinds = {self._names.streaming: "online", self._names.offline: "offline"}
        if request.model_name and request.model_name not in kinds:
            await _abort(context, RequestError("model_name", f"{request.model_name!r} is unknown"))
        response = riva_asr_pb2.RivaSpeechRecognitionConfigResponse()
        for name, kind in kinds.items():
            if request.model_name in ("", name):
                response.model_config.add(model_name=name, parameters=self._parameters(kind))
        return response

    def _parameters(self, kind: str) -> dict[str, str]:
        return {
            "type": kind,
            "language_code": LANGUAGE_CODE,
            "sample_rate": "16000",
            "streaming": str(kind == "online"),
            SETTLES_KEY: SETTLES_VALUE,
            "segment_end": "exact",
            "stop_history": str(EndpointingOptions().stop_history_ms),
            "word_times": "estimated",
            "confidence": "none",
            "max_streams": str(self._max_streams),
            "ignored_fields": ",".join(ignored_field_names()),
        }

    def _listener(self, options: StreamOptions) -> Listener:
        return Listener(options.audio_input(), self._new_detector(), options.endpointing)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self.active_streams >= self._max_streams:
            raise TooManyStreams(f"all {self._max_streams} streams are in use")
        self.active_streams += 1
        try:
            yield
        finally:
            self.active_streams -= 1


async def _first_request(requests: StreamingRequests) -> riva_asr_pb2.StreamingRecognizeRequest:
    try:
        async with asyncio.timeout(CONFIG_WAIT_S):
            first = await anext(requests, None)
    except TimeoutError:
        raise ClientSilent(f"no configuration came within {CONFIG_WAIT_S:.0f} s") from None
    if first is None or not first.HasField("streaming_config"):
        raise RequestError("streaming_config", "must be in the first message")
    return first


async def _write(context: StreamingContext, response: riva_asr_pb2.StreamingRecognizeResponse) -> None:
    try:
        async with asyncio.timeout(WRITE_LIMIT_S):
            await context.write(response)
    except TimeoutError:
        raise ClientSilent(f"results were not read for {WRITE_LIMIT_S:.0f} s") from None


def _slices(listener: Listener, audio: bytes) -> Iterator[Callable[[], list[Heard]]]:
    at = 0
    while at < len(audio):
        step = COMPRESSED_SLICE_BYTES if listener.is_compressed else SLICE_BYTES
        yield partial(listener.feed, audio[at : at + step])
        at += step
    yield listener.finish


def _offline_result(segment: HeardSegment, text: str, options: StreamOptions) -> riva_asr_pb2.SpeechRecognitionResult:
    return riva_asr_pb2.SpeechRecognitionResult(
        alternatives=[build_alternative(segment, text, options, ending=" ")],
        channel_tag=1,
        audio_processed=segment.settled_s,
    )


def _metadata(options: StreamOptions) -> tuple[tuple[str, str], ...]:
    settles = ((SETTLES_KEY, SETTLES_VALUE),)
    return (*settles, (IGNORED_KEY, ",".join(options.ignored))) if options.ignored else settles


async def _abort(context: StreamingContext | RecognizeContext | ConfigContext, error: RecogniserError) -> NoReturn:
    status = STATUS_OF[type(error)]
    logger.info("call refused", extra={"status": status.name, "reason": str(error)})
    await context.abort(status, str(error))
    raise AssertionError("abort always raises")
