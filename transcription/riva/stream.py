"""One open StreamingRecognize call, from its config to its last result."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import grpc
import grpc.aio
from django.utils.translation import gettext as _

from transcription.engine.recognition import Capabilities, Result
from transcription.errors import InternalError, RecogniserFailed, RecogniserSilent, TranscriptionError
from transcription.metrics import RIVA_ERRORS_TOTAL
from transcription.options import TranscriptionConfig
from transcription.results import InterimResult
from transcription.riva.channels import ChannelLease
from transcription.riva.convert import (
    ResultConverter,
    build_audio_request,
    build_end_of_utterance_request,
)
from transcription.riva.errors import Phase, clean_upstream_text, map_status
from transcription.riva.http2.call import StreamCall
from transcription.riva.offer import AUDIO_PROCESSED_PARAMETER, SETTLED
from transcription.riva.target import RivaTarget

MAX_REQUEST_BYTES = 64 * 1024
# What a read or a write raises at the end of its call, whoever ended it.
CALL_ENDED = (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError)

logger = logging.getLogger(__name__)


class RivaStream:
    """A RecognitionStream on gRPC.

    capabilities is what the model declares, and right for good once the first result is there: a recogniser
    may say more in its initial metadata, which many send with their first response only.

    One task writes, another one reads. gRPC cancels the whole call when a task that waits in a read or a write is
    cancelled, and reports a call cancelled here as CancelledError. So every bound is a timer that records why and
    cancels the call, and `_fail` tells the two kinds of CancelledError apart.
    """

    __slots__ = (
        "_answered_at_s",
        "_audio_format",
        "_call",
        "_converter",
        "_ended",
        "_failure",
        "_given_up",
        "_half_closed",
        "_lease",
        "_loop",
        "_phase",
        "_secrets",
        "_sent_bytes",
        "_status",
        "_write_now",
        "_write_timeout_s",
        "_write_timer",
        "_writing_since_s",
        "capabilities",
        "config",
        "model",
        "recogniser",
    )

    def __init__(
        self,
        call: Any,
        lease: ChannelLease,
        *,
        target: RivaTarget,
        model: str,
        config: TranscriptionConfig,
        capabilities: Capabilities,
        converter: ResultConverter,
        write_timeout_s: float,
    ) -> None:
        self.recogniser = target.address
        self.model = model
        self.capabilities = capabilities
        self._call = call
        # Calls of grpc.aio have no such thing.
        self._write_now = call.write_now if isinstance(call, StreamCall) else None
        self._secrets = target.secrets
        self.config = config
        self._converter = converter
        self._audio_format = config.audio_format
        self._write_timeout_s = write_timeout_s
        self._loop = asyncio.get_running_loop()
        self._writing_since_s: float | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._answered_at_s = 0.0
        self._phase = Phase.OPENING
        self._half_closed = False
        self._sent_bytes = 0
        self._given_up: TranscriptionError | None = None
        self._failure: TranscriptionError | None = None
        self._status = grpc.StatusCode.OK
        self._ended = self._loop.create_future()
        call.add_done_callback(functools.partial(_on_done, lease, self._ended))
        self._lease = lease

    async def open(self, config_request: Any, *, timeout_s: float, refusal_grace_s: float) -> None:
        """Write the config; then give the recogniser a moment to refuse it.

        A stream is open when the config is written: many servers say nothing before their first result. One
        that checks at once answers in a few ms, and its refusal is then raised here and not from hear().
        Raises a TranscriptionError; the call is then cancelled.
        """
        try:
            await self._write_config(config_request, timeout_s)
            await self._hear_refusal(refusal_grace_s)
        except BaseException:
            self.cancel()
            raise

    def send(self, chunk: bytes) -> Coroutine[Any, Any, None]:
        """Send audio; larger chunks go in messages of 64 KiB.

        Raises RecogniserSilent if one pends for the write timeout and nothing is answered meanwhile: what goes ahead
        of a slow recogniser is megabytes, and may then be taken in one go.
        """
        return self._send_piece(chunk) if len(chunk) <= MAX_REQUEST_BYTES else self._send_pieces(chunk)

    def send_now(self, chunk: bytes) -> bool:
        if self._write_now is None or self._half_closed or not self._write_now(build_audio_request(chunk)):
            return False
        self._sent_bytes += len(chunk)
        return True

    async def _send_pieces(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), MAX_REQUEST_BYTES):
            await self._send_piece(chunk[start : start + MAX_REQUEST_BYTES])

    def _send_piece(self, piece: bytes) -> Coroutine[Any, Any, None]:
        # Counted before it is written: its results may arrive before write() returns.
        self._sent_bytes += len(piece)
        return self._write(build_audio_request(piece))

    async def end_utterance(self) -> None:
        await self._write(build_end_of_utterance_request())

    async def half_close(self) -> None:
        if self._half_closed:
            return
        self._half_closed = True
        await self._in_time(self._call.done_writing())

    async def hear(self, take: Callable[[Result], None]) -> None:
        """Returns when the recogniser ended the stream OK, asked to or not: the caller knows whether it half-closed."""
        heard = functools.partial(self._heard, take)
        try:
            if isinstance(self._call, StreamCall):
                await self._call.listen(heard)
                return
            while (response := await self._call.read()) is not grpc.aio.EOF:
                if self._phase is Phase.OPENING:
                    # It precedes the first response, so this does not wait.
                    self._learn_capabilities(await self._call.initial_metadata())
                heard(response)
        except CALL_ENDED as error:
            await self._fail(error)
        finally:
            if not self._call.done():
                self.cancel()

    def _heard(self, take: Callable[[Result], None], response: Any) -> None:
        self._answered_at_s = self._loop.time()
        if self._phase is Phase.OPENING:
            self._phase = Phase.STREAMING
            if isinstance(self._call, StreamCall):
                self._learn_capabilities(self._call.received_metadata)
        for result in self._converter.convert(response, sent_ms=self._sent_ms, settles=self.capabilities.settles):
            take(result)

    def last_interim(self) -> InterimResult | None:
        return self._converter.last_interim()

    def cancel(self) -> None:
        """End the call. Whoever waits in another method then gets RecogniserFailed with reason `cancelled`."""
        self._give_up(RecogniserFailed(_("The stream was cancelled."), reason="cancelled"))

    @property
    def status_name(self) -> str:
        """The gRPC status that ended the call, for metrics; OK while nothing did."""
        return self._status.name

    @property
    def _sent_ms(self) -> int | None:
        if not self._audio_format.has_constant_rate:
            return None
        return self._audio_format.bytes_to_ms(self._sent_bytes)

    async def _write_config(self, request: Any, timeout_s: float) -> None:
        """A first write waits for the connection, and is not woken when the call is cancelled: hence the task."""
        writing = asyncio.ensure_future(self._call.write(request))
        timer = self._watch(timeout_s, self._opening_timed_out)
        try:
            await asyncio.wait({writing, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() or writing.cancelled() or writing.exception() is not None:
                await self._fail(None)
        finally:
            timer.cancel()
            writing.cancel()

    def _write(self, request: Any) -> Coroutine[Any, Any, None]:
        if self._half_closed:
            raise InternalError(_("Audio was sent after the end of the audio."), reason="audio_after_end")
        return self._in_time(self._call.write(request))

    async def _in_time(self, writing: Coroutine[Any, Any, None]) -> None:
        """Await a write, watched. The timer is one for many writes: one for each would cost more than the write."""
        self._writing_since_s = self._loop.time()
        if self._write_timer is None:
            self._watch_writes(self._write_timeout_s)
        try:
            await writing
        except CALL_ENDED as error:
            await self._fail(error)
        finally:
            self._writing_since_s = None

    async def _hear_refusal(self, grace_s: float) -> None:
        """Wait until the recogniser accepts by metadata of its own, refuses, or has used its time for either."""
        metadata = asyncio.ensure_future(self._call.initial_metadata())
        deadline = self._loop.time() + grace_s
        try:
            await asyncio.wait({metadata, self._ended}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
            # Empty metadata says nothing: a refusal brings it too, just before its status.
            if metadata.done() and not metadata.cancelled() and not metadata.result():
                left_s = deadline - self._loop.time()
                await asyncio.wait({self._ended}, timeout=max(0.0, left_s))
        finally:
            metadata.cancel()
        if self._ended.done():
            await self._fail(None)

    def _learn_capabilities(self, metadata: grpc.aio.Metadata) -> None:
        if metadata.get(AUDIO_PROCESSED_PARAMETER) == SETTLED:
            self.capabilities = dataclasses.replace(self.capabilities, settles=True)

    async def _fail(self, error: BaseException | None) -> NoReturn:
        """Raise what the end of the call means: the caller's cancellation, our own reason, or its status."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            self.cancel()
            raise error
        if self._given_up is not None:
            raise self._given_up from None
        if self._failure is None:
            if not self._call.done():
                self._call.cancel()
            code, details = await self._call.code(), await self._call.details()
            self._failure = self._map(code, details)
        raise self._failure from None

    def _map(self, code: grpc.StatusCode, details: str | None) -> TranscriptionError:
        self._status = code
        RIVA_ERRORS_TOTAL.labels(code=code.name).inc()
        logger.warning(
            "recogniser %s ended a stream while %s: %s %s",
            self.recogniser,
            self._phase,
            code.name,
            clean_upstream_text(details or "", self._secrets),
        )
        return map_status(code, details, phase=self._phase, asked_model=self.config.model, secrets=self._secrets)

    def _watch(self, timeout_s: float, on_timeout: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(timeout_s, on_timeout)

    def _opening_timed_out(self) -> None:
        if self._lease.is_connected:
            # A connection that works but takes no config is at its peer's limit of streams.
            self._lease.mark_full()
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
        else:
            code = grpc.StatusCode.UNAVAILABLE
        self._give_up(self._map(code, "took no config in time"))

    def _watch_writes(self, timeout_s: float) -> None:
        self._write_timer = self._watch(timeout_s, self._check_write)

    def _check_write(self) -> None:
        self._write_timer = None
        if self._writing_since_s is None:
            # The next write begins to watch again.
            return
        left_s = max(self._answered_at_s, self._writing_since_s) + self._write_timeout_s - self._loop.time()
        if left_s > 0:
            self._watch_writes(left_s)
            return
        logger.warning("recogniser %s takes no audio", self.recogniser)
        self._give_up(RecogniserSilent(_("The recogniser takes no more audio.")))

    def _give_up(self, reason: TranscriptionError) -> None:
        if self._given_up is None:
            self._given_up = reason
        self._call.cancel()


def _on_done(lease: ChannelLease, ended: asyncio.Future[None], _call: Any) -> None:
    """A call keeps its callbacks for good: a method would keep its stream, which keeps the call, in memory."""
    lease.release()
    if not ended.done():
        ended.set_result(None)
