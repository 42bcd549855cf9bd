"""One call on a connection: messages in both directions, and the status that it ends with."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from google.protobuf.message import DecodeError
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError, Metadata

from transcription.riva.http2.frames import (
    MAX_WINDOW_BYTES,
    MESSAGE_HEAD,
    MESSAGE_HEAD_BYTES,
    ErrorCode,
    build_message,
)
from transcription.riva.http2.status import (
    Header,
    Status,
    metadata_of,
    status_of_http,
    status_of_reset,
    status_of_trailers,
)

# How much may come before some of it is read.
RECEIVE_WINDOW_BYTES = 1024 * 1024
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Over so many messages that nobody reads, the peer is given no more room.
MAX_WAITING_MESSAGES = 64
NO_METADATA = Metadata()
# What parsing a message raises that is none.
UNREADABLE = (DecodeError, ValueError)


class Link(Protocol):
    """What a call needs of its connection."""

    def send_message(self, call: StreamCall, message: bytes) -> bool:
        """Send a message in one frame, if there is room for it now."""

    def send_data(self, call: StreamCall, data: bytes, *, ends: bool) -> int:
        """Send what there is room for. Returns how much that was; ends: whether the stream ends after all of it."""

    def give_room(self, call: StreamCall, size_bytes: int) -> None:
        """Let the peer send so much more."""

    def forget(self, call: StreamCall, reset: ErrorCode | None) -> None:
        """The call is over. reset: what to tell a peer that does not know."""


class StreamCall:
    """A call as grpc.aio.StreamStreamCall has it: read, write, done_writing, cancel, code, details, metadata.

    One task may read and one may write. Unlike there, a read or a write that is cancelled does not cancel the call,
    and a call that was cancelled raises AioRpcError like any other. Compression and binary metadata are not offered.
    """

    __slots__ = (
        "_callbacks",
        "_deadline",
        "_drained",
        "_ended",
        "_ends",
        "_headers",
        "_incoming",
        "_link",
        "_loop",
        "_messages",
        "_owed_bytes",
        "_parse",
        "_reader",
        "_serialize",
        "_status",
        "_take",
        "_take_error",
        "_trailing",
        "_unsent",
        "has_ended_sending",
        "request_headers",
        "send_window",
        "stream_id",
    )

    def __init__(
        self,
        request_headers: Sequence[Header],
        *,
        serialize: Callable[[Any], bytes],
        parse: Callable[[bytes], Any],
        timeout_s: float | None,
    ) -> None:
        self.request_headers = request_headers
        self.stream_id = 0
        self.send_window = 0
        # Whether the peer knows that nothing more comes from us.
        self.has_ended_sending = False
        self._serialize = serialize
        self._parse = parse
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._unsent = bytearray()
        self._ends = False
        self._drained: asyncio.Future[None] | None = None
        self._incoming = bytearray()
        self._messages: deque[Any] = deque()
        self._owed_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._take: Callable[[Any], None] | None = None
        self._take_error: Exception | None = None
        self._headers: asyncio.Future[Metadata] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._status: Status | None = None
        self._trailing = NO_METADATA
        self._callbacks: list[Callable[[StreamCall], Any]] = []
        self._deadline = None if timeout_s is None else self._loop.call_later(timeout_s, self._deadline_passed)

    # As in grpc.aio

    async def write(self, request: Any) -> None:
        """Send a message. Waits while the connection or the peer takes no more.

        Raises AioRpcError once the call is over, asyncio.InvalidStateError after done_writing.
        """
        if self._ends:
            raise asyncio.InvalidStateError("a message after the last one")
        if self.write_now(request):
            return
        if self._status is None:
            self._unsent += build_message(self._serialize(request))
            await self._drain()
        if self._status is not None:
            raise self._error()

    def write_now(self, request: Any) -> bool:
        """Send a message if that takes no waiting; False: nothing of it was sent. grpc.aio has no such thing."""
        link = self._link
        if link is None or self._unsent or self._ends:
            return False
        return link.send_message(self, self._serialize(request))

    async def done_writing(self) -> None:
        """No more messages. Waits until the peer knows, or the call is over."""
        if self._status is None and not self._ends:
            self._ends = True
            await self._drain()

    async def read(self) -> Any:
        """The next message, or EOF where the call ended OK. Raises AioRpcError where it did not."""
        while not self._messages:
            if self._status is not None:
                if self._status[0] is StatusCode.OK:
                    return EOF
                raise self._error()
            await self._come()
        message = self._messages.popleft()
        if self._owed_bytes >= RECEIVE_WINDOW_BYTES // 2:
            self._settle_room()
        return message

    async def listen(self, take: Callable[[Any], None]) -> None:
        """Give take every message as it comes, in place of read(); returns where the call ended OK.

        Raises AioRpcError where it did not. What take raises ends the call and is raised here. grpc.aio has no such
        thing: a task that is woken for each message costs a tenth of what a stream does.
        """
        # In the context of whoever listens, not in that of the connection, which is everybody's.
        self._take = functools.partial(cast(Callable[..., None], contextvars.copy_context().run), take)
        try:
            self._take_waiting()
            if self._owed_bytes >= RECEIVE_WINDOW_BYTES // 2:
                self._settle_room()
            while self._status is None:
                await self._come()
                # Those that came with what ended the call.
                self._take_waiting()
        finally:
            self._take = None
        error, self._take_error = self._take_error, None
        if error is not None:
            try:
                raise error
            finally:
                # Its frames refer to this one, and would keep it.
                del error
        if self._status[0] is not StatusCode.OK:
            raise self._error()

    @property
    def received_metadata(self) -> Metadata:
        """What is known of initial_metadata() now; all of it once a message is there."""
        return self._headers.result() if self._headers.done() else NO_METADATA

    async def initial_metadata(self) -> Metadata:
        """What the server said before its first message; empty if the call ended without."""
        return await asyncio.shield(self._headers)

    async def code(self) -> StatusCode:
        return (await self._wait_for_status())[0]

    async def details(self) -> str:
        return (await self._wait_for_status())[1]

    def done(self) -> bool:
        return self._status is not None

    def add_done_callback(self, callback: Callable[[StreamCall], Any]) -> None:
        if self._status is not None:
            callback(self)
        else:
            self._callbacks.append(callback)

    def cancel(self) -> bool:
        """End the call at once. Returns whether it was open."""
        if self._status is not None:
            return False
        self._messages.clear()
        self.end((StatusCode.CANCELLED, "the call was cancelled here"), reset=ErrorCode.CANCEL)
        return True

    # What the connection calls

    def begun(self, link: Link, stream_id: int, send_window: int) -> None:
        """The call has a stream. What was written meanwhile goes out."""
        self._link = link
        self.stream_id = stream_id
        self.send_window = send_window
        self.send_waiting()

    def send_waiting(self) -> None:
        """There is room again."""
        if self._link is None or not self._has_unsent():
            return
        sent_bytes = self._link.send_data(self, bytes(self._unsent), ends=self._ends)
        del self._unsent[:sent_bytes]
        if not self._has_unsent() and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def received_headers(self, headers: Sequence[Header], *, ends: bool) -> None:
        """Headers, in the order in which they came: the first ones, or the trailers with ends."""
        if ends:
            self._trailing = metadata_of(headers)
            status = status_of_trailers(headers)
            if self._incoming and status[0] is StatusCode.OK:
                status = (StatusCode.INTERNAL, "the server ended the stream within a message")
            self.end(status)
        elif not self._headers.done():
            fields = dict(headers)
            http_status = fields.get(":status", "")
            if http_status.startswith("1"):
                return
            if http_status != "200":
                self.end(status_of_http(http_status), reset=ErrorCode.CANCEL)
            elif not fields.get("content-type", "").startswith("application/grpc"):
                self.end((StatusCode.UNKNOWN, "the server's answer is not gRPC"), reset=ErrorCode.CANCEL)
            else:
                self._headers.set_result(metadata_of(headers))

    def received_data(self, data: bytes) -> None:
        """The content of a DATA frame."""
        if not self._headers.done():
            # Whoever reads a message relies on the metadata's being there.
            self.end((StatusCode.INTERNAL, "the server sent a message before its headers"), reset=ErrorCode.CANCEL)
            return
        self._owed_bytes += len(data)
        if self._incoming:
            self._incoming += data
            if not self._has_whole_message(self._incoming):
                # A message may be larger than the window: the rest of it needs room.
                if self._owed_bytes >= RECEIVE_WINDOW_BYTES // 2:
                    self._settle_room()
                return
            data, self._incoming = bytes(self._incoming), bytearray()
        at, size = 0, len(data)
        while size - at >= MESSAGE_HEAD_BYTES:
            is_compressed, length = MESSAGE_HEAD.unpack_from(data, at)
            if is_compressed or length > MAX_MESSAGE_BYTES:
                self._refuse(StatusCode.INTERNAL if is_compressed else StatusCode.RESOURCE_EXHAUSTED, length)
                return
            end = at + MESSAGE_HEAD_BYTES + length
            if end > size:
                break
            try:
                self._messages.append(self._parse(data[at + MESSAGE_HEAD_BYTES : end]))
            except UNREADABLE:
                self.end((StatusCode.INTERNAL, "the server's message cannot be read"), reset=ErrorCode.CANCEL)
                return
            at = end
        if at < size:
            self._incoming += data[at:]
        if self._take is not None:
            self._take_waiting()
        else:
            self._wake_reader()
        if self._owed_bytes >= RECEIVE_WINDOW_BYTES // 2:
            self._settle_room()

    def received_end(self) -> None:
        """The stream ended with its data, and without trailers."""
        self.end((StatusCode.INTERNAL, "the server ended the stream without a status"), reset=ErrorCode.CANCEL)

    def received_reset(self, code: int) -> None:
        self.end(status_of_reset(code))

    def grant(self, increment_bytes: int) -> None:
        """The peer takes so much more."""
        self.send_window += increment_bytes
        if self.send_window > MAX_WINDOW_BYTES:
            text = "the server made a window too large"
            self.end((StatusCode.INTERNAL, text), reset=ErrorCode.FLOW_CONTROL_ERROR)
        self.send_waiting()

    def end(self, status: Status, *, reset: ErrorCode | None = None) -> None:
        """The call is over; the first status counts. reset: what to tell a peer that does not know."""
        if self._status is not None:
            return
        self._status = status
        self._unsent.clear()
        self._incoming.clear()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._link is not None:
            if reset is None and not self.has_ended_sending:
                reset = ErrorCode.NO_ERROR
            link, self._link = self._link, None
            link.forget(self, reset)
        if not self._headers.done():
            self._headers.set_result(NO_METADATA)
        self._wake_reader()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._ended.set_result(None)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    # Inside

    def _has_unsent(self) -> bool:
        return bool(self._unsent) or (self._ends and not self.has_ended_sending)

    async def _drain(self) -> None:
        self.send_waiting()
        if self._has_unsent() and self._status is None:
            drained = self._drained = self._loop.create_future()
            try:
                await drained
            finally:
                # One that is cancelled hears of it when the next one may be waiting already.
                if self._drained is drained:
                    self._drained = None

    async def _come(self) -> None:
        """Wait for a message, or the end."""
        reader = self._reader = self._loop.create_future()
        try:
            await reader
        finally:
            if self._reader is reader:
                self._reader = None

    def _take_waiting(self) -> None:
        """Hand over the messages that are here, where somebody takes them as they come."""
        take = self._take
        try:
            while take is not None and self._messages:
                take(self._messages.popleft())
                take = self._take
        except Exception as error:
            # It is for whoever listens, and the other calls on the connection have no part in it.
            self._take_error = error
            self._messages.clear()
            self.end((StatusCode.CANCELLED, "what came could not be handled"), reset=ErrorCode.CANCEL)

    async def _wait_for_status(self) -> Status:
        await asyncio.shield(self._ended)
        assert self._status is not None  # noqa: S101 - it is set before the future
        return self._status

    def _has_whole_message(self, data: bytearray) -> bool:
        if len(data) < MESSAGE_HEAD_BYTES:
            return False
        is_compressed, length = MESSAGE_HEAD.unpack_from(data)
        return bool(is_compressed) or length > MAX_MESSAGE_BYTES or len(data) >= MESSAGE_HEAD_BYTES + length

    def _refuse(self, code: StatusCode, length: int) -> None:
        text = "is compressed" if code is StatusCode.INTERNAL else f"has {length} bytes, over {MAX_MESSAGE_BYTES}"
        self.end((code, f"the server's message {text}"), reset=ErrorCode.CANCEL)

    def _settle_room(self) -> None:
        """Give the peer room unless too much waits to be read. One that took more than it was given is cut off."""
        if self._owed_bytes > RECEIVE_WINDOW_BYTES:
            text = "the server sent more than it may"
            self.end((StatusCode.INTERNAL, text), reset=ErrorCode.FLOW_CONTROL_ERROR)
        elif len(self._messages) <= MAX_WAITING_MESSAGES:
            if self._link is not None:
                self._link.give_room(self, self._owed_bytes)
            self._owed_bytes = 0

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _deadline_passed(self) -> None:
        self.end((StatusCode.DEADLINE_EXCEEDED, "the call's deadline passed"), reset=ErrorCode.CANCEL)

    def _error(self) -> AioRpcError:
        assert self._status is not None  # noqa: S101 - asked for once the call is over
        code, details = self._status
        return AioRpcError(code, self._headers.result(), self._trailing, details)
