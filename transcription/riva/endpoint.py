"""One Riva address: its channels, what it offers, and opening streams there."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import grpc
import grpc.aio
from riva.client.proto import riva_asr_pb2 as messages

from transcription.errors import TranscriptionError
from transcription.metrics import (
    BAD_TIMES_TOTAL,
    RIVA_ERRORS_TOTAL,
    TEXT_CLEANED_TOTAL,
    UPSTREAM_OPEN_FAILURES_TOTAL,
)
from transcription.options import TranscriptionConfig
from transcription.riva.channels import ChannelPool
from transcription.riva.convert import ResultConverter, build_config_request
from transcription.riva.errors import Phase, clean_upstream_text, map_status
from transcription.riva.offer import (
    RivaModel,
    build_model,
    check_offer,
    declared_capabilities,
    with_default_endpointing,
)
from transcription.riva.stream import RivaStream
from transcription.riva.target import RivaTarget

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RivaLimits:
    """Bounds of one process's dealings with Riva, in seconds.

    open_timeout_s: for one address, its question for models included. refusal_grace_s: what a recogniser
    that says nothing to a config costs each opening. write_timeout_s: one write pending. offer_timeout_s:
    the question for models; offer_ttl_s: how long its answer holds, offer_retry_s: how long its absence
    does. stream_deadline_s: a gRPC deadline of whole streams, above the time at which they are renewed (listener.py).
    """

    open_timeout_s: float = 3.0
    refusal_grace_s: float = 0.1
    write_timeout_s: float = 5.0
    offer_timeout_s: float = 1.0
    offer_ttl_s: float = 60.0
    offer_retry_s: float = 5.0
    stream_deadline_s: float | None = None


class RivaEndpoint:
    """Belongs to the event loop in which it is first used."""

    def __init__(self, target: RivaTarget, limits: RivaLimits) -> None:
        self.target = target
        self._limits = limits
        self._pool = ChannelPool(target)
        self._asking = asyncio.Lock()
        self._offer: tuple[RivaModel, ...] | None = None
        self._offer_expires_at = 0.0

    async def open(self, config: TranscriptionConfig, *, base_ms: int) -> RivaStream:
        """Raises a TranscriptionError within the open timeout; nothing is then left open."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.open_timeout_s
        models = check_offer(await self.offer(), config)
        capabilities = declared_capabilities(models, config)
        config = with_default_endpointing(config, models, capabilities)
        lease = self._pool.lease()
        try:
            call = lease.stub.StreamingRecognize(metadata=self.target.metadata, timeout=self._limits.stream_deadline_s)
        except BaseException:
            lease.release()
            raise
        stream = RivaStream(
            call,
            lease,
            target=self.target,
            model=config.model or (models[0].name if models else ""),
            config=config,
            capabilities=capabilities,
            converter=ResultConverter(
                config, base_ms=base_ms, on_bad_times=BAD_TIMES_TOTAL.inc, on_cleaned=TEXT_CLEANED_TOTAL.inc
            ),
            write_timeout_s=self._limits.write_timeout_s,
        )
        try:
            await stream.open(
                build_config_request(config),
                timeout_s=deadline - loop.time(),
                refusal_grace_s=self._limits.refusal_grace_s,
            )
        except TranscriptionError:
            UPSTREAM_OPEN_FAILURES_TOTAL.labels(code=stream.status_name).inc()
            raise
        return stream

    @property
    def streams(self) -> int:
        """Calls that are open now."""
        return self._pool.streams

    async def offer(self) -> tuple[RivaModel, ...]:
        """The models, asked for at most once a minute; empty if the recogniser does not say in time.

        While one caller asks again the others go on with the previous answer.
        """
        if self._offer is not None and (self._offer_is_fresh() or self._asking.locked()):
            return self._offer
        async with self._asking:
            if self._offer is None or not self._offer_is_fresh():
                await self._renew_offer()
        return self._offer or ()

    async def ask(self, timeout_s: float) -> tuple[RivaModel, ...]:
        """Ask for the models now. A recogniser that does not implement the question has none to name.

        Raises a TranscriptionError if there is no answer in time.
        """
        lease = self._pool.lease()
        try:
            call = lease.stub.GetRivaSpeechRecognitionConfig(
                messages.RivaSpeechRecognitionConfigRequest(),
                metadata=self.target.metadata,
                timeout=timeout_s,
            )
            try:
                response = await call
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return ()
                raise self._map(error) from None
            finally:
                call.cancel()
        finally:
            lease.release()
        return tuple(build_model(model.model_name, dict(model.parameters)) for model in response.model_config)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _offer_is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() < self._offer_expires_at

    async def _renew_offer(self) -> None:
        holds_s = self._limits.offer_ttl_s
        try:
            self._offer = await self.ask(self._limits.offer_timeout_s)
        except TranscriptionError:
            # Opening the stream shows whether the recogniser is really away.
            self._offer = self._offer or ()
            holds_s = self._limits.offer_retry_s
        self._offer_expires_at = asyncio.get_running_loop().time() + holds_s

    def _map(self, error: grpc.aio.AioRpcError) -> TranscriptionError:
        RIVA_ERRORS_TOTAL.labels(code=error.code().name).inc()
        secrets = self.target.secrets
        logger.warning(
            "recogniser %s did not name its models: %s %s",
            self.target.address,
            error.code().name,
            clean_upstream_text(error.details() or "", secrets),
        )
        return map_status(error.code(), error.details(), phase=Phase.OPENING, secrets=secrets)
