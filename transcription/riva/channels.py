"""gRPC channels to one address: made when first needed, shared by streams, kept for the life of the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from riva.client.proto import riva_asr_pb2_grpc as services

from transcription.metrics import UPSTREAM_STREAMS
from transcription.riva.http2.channel import Http2Channel
from transcription.riva.target import RivaTarget

# Streams over a server's limit for one connection wait without a word, so they are spread. The usual limit is 100.
STREAMS_PER_CHANNEL = 50

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # Without its own pool every channel to an address would share one connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Its default of 60 s decides how long a frozen peer goes unnoticed, whatever the keepalive says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Servers answer pings on an idle connection with GOAWAY "too_many_pings".
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


@dataclass(slots=True, eq=False)
class SharedChannel:
    """One connection. streams: calls that use it now. limit: how many it may carry."""

    channel: Any
    stub: Any
    streams: int = 0
    limit: int = STREAMS_PER_CHANNEL

    @property
    def is_connected(self) -> bool:
        return bool(self.channel.get_state() is grpc.ChannelConnectivity.READY)


class ChannelLease:
    """One call's place on a channel, given back once."""

    def __init__(self, shared: SharedChannel) -> None:
        self._shared = shared
        self._held = True
        shared.streams += 1
        UPSTREAM_STREAMS.inc()

    @property
    def stub(self) -> Any:
        return self._shared.stub

    @property
    def is_connected(self) -> bool:
        return self._shared.is_connected

    def mark_full(self) -> None:
        """The peer lets no further stream through on this connection: send later ones over another."""
        self._shared.limit = max(1, self._shared.streams - 1)

    def release(self) -> None:
        if self._held:
            self._held = False
            self._shared.streams -= 1
            UPSTREAM_STREAMS.dec()


class ChannelPool:
    """The channels to one target. Belongs to the event loop in which it is first used.

    Their number is bounded by the streams held at once, for a channel with room is always taken first.
    They are closed with the process only: closing has leaked sockets in several releases of grpcio.
    """

    def __init__(self, target: RivaTarget) -> None:
        self._target = target
        self._channels: list[SharedChannel] = []

    def lease(self) -> ChannelLease:
        for shared in self._channels:
            if shared.streams < shared.limit:
                return ChannelLease(shared)
        shared = self._connect()
        self._channels.append(shared)
        return ChannelLease(shared)

    @property
    def streams(self) -> int:
        """Places taken on all channels."""
        return sum(shared.streams for shared in self._channels)

    async def aclose(self) -> None:
        """Close every channel; calls that are still running are cancelled."""
        channels, self._channels = self._channels, []
        for shared in channels:
            await shared.channel.close()

    def _connect(self) -> SharedChannel:
        target = self._target
        channel: grpc.aio.Channel | Http2Channel
        if target.use_tls:
            credentials = grpc.ssl_channel_credentials(
                target.root_certificates, target.client_key, target.client_certificate
            )
            channel = grpc.aio.secure_channel(target.address, credentials, options=CHANNEL_OPTIONS)
        elif target.uses_grpcio:
            channel = grpc.aio.insecure_channel(target.address, options=CHANNEL_OPTIONS)
        else:
            channel = Http2Channel(target.address)
        return SharedChannel(channel, services.RivaSpeechRecognitionStub(channel))
