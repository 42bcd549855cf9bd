"""The embedded recogniser as a server: load the model, listen, serve, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from riva.client.proto import riva_asr_pb2_grpc

from .detector import SileroDetector, SpeechDetector
from .engine import MoonshineEngine, find_model
from .scheduler import Scheduler, available_cores
from .service import ModelNames, SpeechRecognitionService

logger = logging.getLogger(__name__)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 50051
DEFAULT_MAX_STREAMS = 8
MAX_AUTOMATIC_THREADS = 4
# The detector keeps the interpreter lock, so that more threads would only wait for each other.
HEARING_THREADS = 2
# Each stream has at most its outbox full of finals and one interim; whole files have four.
JOBS_PER_STREAM = 16
# A whole file for Recognize: 17 minutes of 16 kHz PCM.
MAX_MESSAGE_BYTES = 32 << 20
STOP_GRACE_S = 1.0

CHANNEL_OPTIONS = (
    # Without this a second server on the same port shares it silently.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A client that vanished without a word is found out within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.max_pings_without_data", 0),
)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to run the embedded recogniser.

    port 0 takes a free one. threads 0 takes one for each core, two to four of them; each holds a
    copy of the model (about 100 MB). model_path None is the bundled tiny-en. watch_pipe is a file
    descriptor; the server ends when its other side is closed.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    max_streams: int = DEFAULT_MAX_STREAMS
    model_path: str | None = None
    threads: int = 0
    watch_pipe: int | None = None


class AsrServer:
    """`start` loads the model and listens; `stop` ends all calls. Use as an async context manager."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._server: grpc.aio.Server | None = None
        self._scheduler: Scheduler | None = None
        self._hearing = ThreadPoolExecutor(HEARING_THREADS, thread_name_prefix="asr-hearing")
        self.service: SpeechRecognitionService | None = None
        self.port = 0

    async def start(self) -> None:
        """Load the model, then listen. Raises EngineError, or OSError if the address is taken."""
        options = self._options
        try:
            model = find_model(options.model_path)
            engines = await asyncio.to_thread(_load_engines, options)
            self._scheduler = Scheduler(engines, max_jobs=JOBS_PER_STREAM * options.max_streams)
            self.service = SpeechRecognitionService(
                ModelNames.of(model.name), self._scheduler, self._hearing, _new_detector, options.max_streams
            )
            self._server = grpc.aio.server(options=CHANNEL_OPTIONS)
            riva_asr_pb2_grpc.add_RivaSpeechRecognitionServicer_to_server(self.service, self._server)
            self.port = _bind(self._server, options.host, options.port)
            await self._server.start()
        except BaseException:
            await self.stop()
            raise
        logger.info(
            "asr_server_listening",
            extra={"host": options.host, "port": self.port, "model": model.name, "threads": len(engines)},
        )

    async def stop(self) -> None:
        """End all calls within a second, then the threads. Calling it again does nothing."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(STOP_GRACE_S)
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            await asyncio.to_thread(scheduler.close)
        self._hearing.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> AsrServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _load_engines(options: ServerOptions) -> list[MoonshineEngine]:
    model = find_model(options.model_path)
    _new_detector()  # fails here rather than in the first stream
    threads = options.threads or max(2, min(MAX_AUTOMATIC_THREADS, available_cores()))
    return [MoonshineEngine(model) for _ in range(threads)]


def _new_detector() -> SpeechDetector:
    return SileroDetector()


def _bind(server: grpc.aio.Server, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}") from error
    if bound == 0:
        raise OSError(f"cannot listen on {address}")
    return bound


async def serve(options: ServerOptions) -> None:
    """Run until SIGTERM, SIGINT, or the end of `watch_pipe`. Raises what `AsrServer.start` raises."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if options.watch_pipe is not None:
        os.set_blocking(options.watch_pipe, False)
        loop.add_reader(options.watch_pipe, _watch, options.watch_pipe, ending)
    async with AsrServer(options):
        await ending.wait()
    logger.info("asr_server_ended")


def _watch(pipe: int, ending: asyncio.Event) -> None:
    """Called when the pipe can be read: at its end, or when the parent wrote something to it."""
    with contextlib.suppress(BlockingIOError):
        if not os.read(pipe, 1024):
            asyncio.get_running_loop().remove_reader(pipe)
            ending.set()
