"""The way to one address: a connection when one is needed, and a new one after it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from aiohappyeyeballs import start_connection
from grpc import ChannelConnectivity, StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.call import NO_METADATA, StreamCall
from transcription.riva.http2.connection import Connection
from transcription.riva.http2.keepalive import KEEPALIVE_TIMEOUT_S
from transcription.riva.http2.status import Header, Status

CONNECT_TIMEOUT_S = 10.0
# How long an address of a name is waited for before the next one is tried beside it.
NEXT_ADDRESS_AFTER_S = 0.25
# What was sent and is not acknowledged for so long means that the peer's machine is gone, as for grpcio.
UNACKNOWLEDGED_TIMEOUT_MS = round(KEEPALIVE_TIMEOUT_S * 1000)
USER_AGENT = "grpc-python-speechsite"
MS_PER_SECOND = 1000
# grpc-timeout has eight digits.
MAX_TIMEOUT_MS = 99_999_999


class Http2Channel:
    """As much of grpc.aio.Channel as a generated stub needs: streaming both ways, and one message for one.

    address: HOST:PORT, without TLS. Belongs to the event loop in which it is first used. A call fails at once with
    UNAVAILABLE where nobody listens; there is no waiting between attempts, whoever calls does that.
    """

    def __init__(self, address: str, *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._host = host.strip("[]")
        self._port = int(port)
        self._connect_timeout_s = connect_timeout_s
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        # As many at most as the pool puts on a channel (channels.STREAMS_PER_CHANNEL), for CONNECT_TIMEOUT_S.
        self._waiting: list[StreamCall] = []
        # Those that take no more calls and may still carry some.
        self._leaving: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._is_closed = False

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> Callable[..., StreamCall]:
        def call(*, metadata: Iterable[Header] = (), timeout: float | None = None) -> StreamCall:
            call = StreamCall(
                [*self._request_headers(method, timeout), *metadata],
                serialize=request_serializer,
                parse=response_deserializer,
                timeout_s=timeout,
            )
            self._begin(call)
            return call

        return call

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> Callable[..., UnaryCall]:
        begin = self.stream_stream(method, request_serializer, response_deserializer)

        def call(request: Any, *, metadata: Iterable[Header] = (), timeout: float | None = None) -> UnaryCall:
            return UnaryCall(begin(metadata=metadata, timeout=timeout), request)

        return call

    def get_state(self) -> ChannelConnectivity:
        if self._is_closed:
            return ChannelConnectivity.SHUTDOWN
        if self._connection is not None:
            return ChannelConnectivity.READY
        return ChannelConnectivity.IDLE if self._connecting is None else ChannelConnectivity.CONNECTING

    async def close(self) -> None:
        """End every call and close every connection."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._end_waiting((StatusCode.CANCELLED, "the channel was closed"))
        for connection in [*self._leaving, *([self._connection] if self._connection is not None else [])]:
            connection.close()

    def _request_headers(self, method: str, timeout_s: float | None) -> list[Header]:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", self._address),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", USER_AGENT),
        ]
        if timeout_s is not None:
            headers.insert(4, ("grpc-timeout", f"{min(MAX_TIMEOUT_MS, max(1, round(timeout_s * MS_PER_SECOND)))}m"))
        return headers

    def _begin(self, call: StreamCall) -> None:
        if self._is_closed:
            call.end((StatusCode.CANCELLED, "the channel is closed"))
        elif self._connection is not None and self._connection.takes_calls:
            self._connection.begin(call)
        else:
            self._waiting.append(call)
            if self._connecting is None:
                # In a context of nobody's: the connection is not only of the session whose call is its first.
                self._connecting = asyncio.create_task(self._connect(), context=contextvars.Context())

    async def _connect(self) -> None:
        """Connect for all that wait. Whatever comes of it, none of them waits for it any longer."""
        status: Status = (StatusCode.UNAVAILABLE, "cannot connect")
        connection = Connection(on_lost=self._lost)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._open(connection)
                await connection.ready
            if not connection.takes_calls:
                raise ConnectionError("the server took leave at once")
        except (OSError, TimeoutError, UnicodeError) as error:
            status = (StatusCode.UNAVAILABLE, f"cannot connect: {str(error) or 'no answer in time'}")
        except asyncio.CancelledError:
            status = (StatusCode.CANCELLED, "the channel was closed")
            raise
        else:
            self._connection = connection
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                if not call.done():
                    self._begin(call)
        finally:
            self._connecting = None
            if connection is not self._connection:
                connection.close()
            self._end_waiting(status)

    async def _open(self, connection: Connection) -> None:
        """Give a connection its socket."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        sock = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_AFTER_S, interleave=1)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Linux alone has it; elsewhere the ping finds out, which takes longer.
            with contextlib.suppress(AttributeError, OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_TIMEOUT_MS)
            await loop.create_connection(lambda: connection, sock=sock)
        except BaseException:
            if not connection.is_made:
                sock.close()
            raise

    def _lost(self, connection: Connection, waiting: Iterable[StreamCall]) -> None:
        """A connection takes no more calls; what waits for a stream on it has not been sent."""
        self._leaving.add(connection)
        if self._connection is connection:
            self._connection = None
        for call in waiting:
            self._begin(call)

    def _end_waiting(self, status: Status) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.end(status)


class UnaryCall:
    """One message for one, to be awaited. As grpc.aio.UnaryUnaryCall as far as it goes."""

    def __init__(self, call: StreamCall, request: Any) -> None:
        self._call = call
        self._request = request

    def __await__(self) -> Any:
        return self._ask().__await__()

    def cancel(self) -> bool:
        return self._call.cancel()

    async def _ask(self) -> Any:
        try:
            await self._call.write(self._request)
            await self._call.done_writing()
            response = await self._call.read()
            code, details = await self._call.code(), await self._call.details()
        finally:
            # Whoever no longer waits for the answer leaves nothing behind.
            self._call.cancel()
        if code is StatusCode.OK and response is EOF:
            code, details = StatusCode.INTERNAL, "the server ended the call without an answer"
        if code is not StatusCode.OK:
            raise AioRpcError(code, NO_METADATA, NO_METADATA, details)
        return response
