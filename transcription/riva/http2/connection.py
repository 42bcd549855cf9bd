"""A connection of HTTP/2 to one server, and the calls on it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import cast

import hpack
from grpc import StatusCode

from transcription.riva.http2.call import RECEIVE_WINDOW_BYTES, StreamCall
from transcription.riva.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    FRAME_HEAD_BYTES,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    MAX_FRAME_BYTES,
    MAX_STREAM_ID,
    MAX_WINDOW_BYTES,
    MESSAGE_HEAD_BYTES,
    PADDED,
    PING,
    PREFACE,
    PRIORITY_BYTES,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING_ENABLE_PUSH,
    SETTING_HEADER_TABLE_SIZE,
    SETTING_INITIAL_WINDOW_SIZE,
    SETTING_MAX_CONCURRENT_STREAMS,
    SETTING_MAX_HEADER_LIST_SIZE,
    SETTINGS,
    STREAM_ID_MASK,
    WINDOW_UPDATE,
    ErrorCode,
    ProtocolError,
    build_frame,
    build_framed_message,
    build_goaway,
    build_headers,
    build_reset,
    build_settings,
    build_window_update,
    name_of,
    read_goaway,
    read_number,
    read_settings,
    without_padding,
)
from transcription.riva.http2.keepalive import Keepalive
from transcription.riva.http2.status import Status

CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
DEFAULT_HEADER_TABLE_BYTES = 4096
# What may wait to be sent to a peer that does not read, of answers to its own pings and settings.
MAX_UNSENT_ANSWERS_BYTES = 1024 * 1024
# How many frames may wait for the end of the loop's turn: only the transport knows that the socket takes no more.
MAX_UNFLUSHED_FRAMES = 128
PING_PAYLOAD = b"speechst"
# What a call carries under these names is never kept in a table of headers, ours, the peer's or a proxy's.
SECRET_HEADERS = frozenset(("authorization",))

# At its debug level it writes down every header, credentials among them.
logging.getLogger("hpack").setLevel(logging.INFO)


class Connection(asyncio.Protocol):
    """Sends what its calls give it in one turn of the loop with one call into the system.

    on_lost: told once, when it takes no more calls, with those that wait for a stream and may begin elsewhere.
    ready: done with the server's first settings, or failed with ConnectionError.
    """

    def __init__(self, *, on_lost: Callable[[Connection, list[StreamCall]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost: Callable[[Connection, list[StreamCall]], None] | None = on_lost
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, StreamCall] = {}
        # Over what the server takes at a time; whoever began them gives them up in time (RivaLimits.open_timeout_s).
        self._waiting: deque[StreamCall] = deque()
        self._next_stream_id = 1
        self._max_streams = MAX_STREAM_ID
        self._takes_calls = True
        self._goodbye = ""
        self._is_paused = False
        self._incoming = b""
        self._outgoing: list[bytes] = []
        self._flushing: asyncio.Handle | None = None
        self._send_window = DEFAULT_WINDOW_BYTES
        self._stream_send_window = DEFAULT_WINDOW_BYTES
        self._owed_bytes = 0
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEADER_BYTES)
        # A header block that goes on in the next frame: its stream, its first frame's flags, and what came of it.
        self._block: tuple[int, int, bytearray] | None = None
        self._keepalive = Keepalive(self._loop.time())
        self._keepalive_timer: asyncio.TimerHandle | None = None

    # What the channel calls

    @property
    def takes_calls(self) -> bool:
        return self._takes_calls and self._next_stream_id <= MAX_STREAM_ID

    @property
    def is_made(self) -> bool:
        """Whether it has, or had, a transport."""
        return self._keepalive_timer is not None

    def begin(self, call: StreamCall) -> None:
        """Give a call its stream, at once or as soon as the peer takes another one."""
        if len(self._calls) >= self._max_streams or not self.ready.done():
            self._waiting.append(call)
            call.add_done_callback(self._forget_waiting)
        else:
            self._begin(call)

    def close(self) -> None:
        """Every call on it ends with CANCELLED."""
        self._lose((StatusCode.CANCELLED, "the channel was closed"), tell=ErrorCode.NO_ERROR)

    # What a call needs (call.Link)

    def send_message(self, call: StreamCall, message: bytes) -> bool:
        size = len(message) + MESSAGE_HEAD_BYTES
        if self._is_paused or size > MAX_FRAME_BYTES or size > call.send_window or size > self._send_window:
            return False
        call.send_window -= size
        self._send_window -= size
        self._keepalive.asked_without_data = 0
        self._send(build_framed_message(call.stream_id, message))
        return True

    def send_data(self, call: StreamCall, data: bytes, *, ends: bool) -> int:
        sent, size = 0, len(data)
        while not self._is_paused:
            # A window that was lowered may be negative; the end of a stream needs no room.
            piece = max(0, min(size - sent, MAX_FRAME_BYTES, call.send_window, self._send_window))
            is_last = ends and sent + piece == size
            if not piece and not is_last:
                break
            self._send(build_frame(DATA, END_STREAM if is_last else 0, call.stream_id, data[sent : sent + piece]))
            sent += piece
            call.send_window -= piece
            self._send_window -= piece
            self._keepalive.asked_without_data = 0
            if is_last:
                call.has_ended_sending = True
                break
        return sent

    def give_room(self, call: StreamCall, size_bytes: int) -> None:
        self._send(build_window_update(call.stream_id, size_bytes))

    def forget(self, call: StreamCall, reset: ErrorCode | None) -> None:
        if self._calls.pop(call.stream_id, None) is None:
            return
        if reset is not None:
            self._send(build_reset(call.stream_id, reset))
        self._begin_waiting()
        self._close_if_unused()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        settings = build_settings(
            {
                SETTING_ENABLE_PUSH: 0,
                SETTING_INITIAL_WINDOW_SIZE: RECEIVE_WINDOW_BYTES,
                SETTING_MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
            }
        )
        more_bytes = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES
        self._transport.write(PREFACE + settings + build_window_update(0, more_bytes))
        self._keepalive.heard_at_s = self._loop.time()
        self._keep_alive()

    def data_received(self, data: bytes) -> None:
        self._keepalive.heard_at_s = self._loop.time()
        if self._incoming:
            data = self._incoming + data
        at, size = 0, len(data)
        try:
            while size - at >= FRAME_HEAD_BYTES:
                length_high, length_low, kind, flags, stream_id = FRAME_HEAD.unpack_from(data, at)
                length = length_high << 8 | length_low
                if length > MAX_FRAME_BYTES:
                    raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
                start = at + FRAME_HEAD_BYTES
                at = start + length
                if at > size:
                    at = start - FRAME_HEAD_BYTES
                    break
                if kind == DATA and self._block is None:
                    # What nearly all frames are.
                    self._received_data(flags, stream_id & STREAM_ID_MASK, data[start:at])
                else:
                    self._receive(kind, flags, stream_id & STREAM_ID_MASK, data[start:at])
        except ProtocolError as error:
            self._lose((StatusCode.INTERNAL, f"the server broke HTTP/2: {error}"), tell=error.code)
            return
        self._incoming = data[at:]

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._send_waiting()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lose((StatusCode.UNAVAILABLE, self._goodbye or f"the connection was lost: {error or 'closed'}"))

    # Calls

    def _begin(self, call: StreamCall) -> None:
        stream_id = self._next_stream_id
        self._next_stream_id += 2
        self._calls[stream_id] = call
        headers = [
            hpack.NeverIndexedHeaderTuple(*header) if header[0] in SECRET_HEADERS else header
            for header in call.request_headers
        ]
        self._send(build_headers(stream_id, self._encoder.encode(headers)))
        call.begun(self, stream_id, self._stream_send_window)

    def _begin_waiting(self) -> None:
        while self._waiting and len(self._calls) < self._max_streams and self._takes_calls:
            call = self._waiting.popleft()
            if not call.done():
                self._begin(call)

    def _forget_waiting(self, call: StreamCall) -> None:
        if call in self._waiting:
            self._waiting.remove(call)

    def _send_waiting(self) -> None:
        for call in list(self._calls.values()):
            call.send_waiting()

    # Sending

    def _send(self, frames: bytes) -> None:
        self._outgoing.append(frames)
        if len(self._outgoing) >= MAX_UNFLUSHED_FRAMES:
            self._flush()
        elif self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and outgoing:
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

    def _answer(self, frame: bytes) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() > MAX_UNSENT_ANSWERS_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "it asks and does not read")
        self._send(frame)

    # Receiving

    def _receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block[0]):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block that is not continued")
        if kind == HEADERS:
            skipped_bytes = PRIORITY_BYTES if flags & HAS_PRIORITY else 0
            payload = without_padding(flags, payload, skipped_bytes=skipped_bytes)
            self._received_headers(stream_id, flags, bytearray(payload), is_whole=bool(flags & END_HEADERS))
        elif kind == CONTINUATION:
            self._received_continuation(flags, payload)
        elif kind == RST_STREAM:
            call = self._calls.get(stream_id)
            if call is not None:
                # The peer ended both directions.
                call.has_ended_sending = True
                call.received_reset(read_number(payload))
        elif kind == SETTINGS:
            self._received_settings(flags, payload)
        elif kind == PING:
            self._received_ping(flags, payload)
        elif kind == GOAWAY:
            self._received_goaway(payload)
        elif kind == WINDOW_UPDATE:
            self._received_window_update(stream_id, read_number(payload) & STREAM_ID_MASK)
        elif kind == PUSH_PROMISE:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a push that was not allowed")
        # PRIORITY says nothing to a client; what is not known is passed over (RFC 9113, 5.5).

    def _received_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._owed_bytes += len(payload)
        if self._owed_bytes >= CONNECTION_WINDOW_BYTES // 2:
            self._send(build_window_update(0, self._owed_bytes))
            self._owed_bytes = 0
        call = self._calls.get(stream_id)
        if call is None:
            # Of a call that is over here and that the peer still answers.
            self._check_known(stream_id)
            return
        if flags & PADDED:
            content = without_padding(flags, payload)
            # Padding takes room too, and nobody reads it.
            self.give_room(call, len(payload) - len(content))
            payload = content
        call.received_data(payload)
        if flags & END_STREAM:
            call.received_end()

    def _received_headers(self, stream_id: int, flags: int, block: bytearray, *, is_whole: bool) -> None:
        self._check_known(stream_id)
        if not is_whole:
            self._block = (stream_id, flags, block)
            return
        try:
            # Of every stream, also of one that is over: a block changes how the next one is read.
            headers = self._decoder.decode(bytes(block), raw=True)
        except hpack.HPACKError as error:
            raise ProtocolError(ErrorCode.COMPRESSION_ERROR, f"headers that cannot be read: {error}") from None
        call = self._calls.get(stream_id)
        if call is not None:
            # What is not text is the affair of this call alone.
            texts = [
                (bytes(name).decode(errors="replace"), bytes(value).decode(errors="replace")) for name, value in headers
            ]
            call.received_headers(texts, ends=bool(flags & END_STREAM))

    def _received_continuation(self, flags: int, payload: bytes) -> None:
        if self._block is None:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        stream_id, first_flags, block = self._block
        block += payload
        if len(block) > MAX_HEADER_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, f"headers of over {MAX_HEADER_BYTES} bytes")
        if flags & END_HEADERS:
            self._block = None
            self._received_headers(stream_id, first_flags, block, is_whole=True)

    def _received_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        settings = read_settings(payload)
        # First: what a larger window lets out comes too early for a peer that has not heard that we know of it.
        self._answer(build_frame(SETTINGS, ACK, 0))
        for setting, value in settings:
            if setting == SETTING_MAX_CONCURRENT_STREAMS:
                self._max_streams = value
            elif setting == SETTING_INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif setting == SETTING_HEADER_TABLE_SIZE:
                self._resize_header_table(value)
        if not self.ready.done():
            self.ready.set_result(None)
        self._begin_waiting()

    def _resize_windows(self, size_bytes: int) -> None:
        if size_bytes > MAX_WINDOW_BYTES:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large")
        change, self._stream_send_window = size_bytes - self._stream_send_window, size_bytes
        if any(call.send_window + change > MAX_WINDOW_BYTES for call in self._calls.values()):
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large")
        for call in list(self._calls.values()):
            call.grant(change)

    def _resize_header_table(self, size_bytes: int) -> None:
        size_bytes = min(size_bytes, DEFAULT_HEADER_TABLE_BYTES)
        # The encoder announces a change, and forgets to where it is told the same once more.
        if size_bytes != self._encoder.header_table_size:
            self._encoder.header_table_size = size_bytes

    def _received_ping(self, flags: int, payload: bytes) -> None:
        if len(payload) != len(PING_PAYLOAD):
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong length")
        if flags & ACK:
            self._keepalive.answered()
        else:
            self._answer(build_frame(PING, ACK, 0, payload))

    def _received_goaway(self, payload: bytes) -> None:
        last_stream_id, code, text = read_goaway(payload)
        self._goodbye = f"GOAWAY received: {name_of(code)} {text}".rstrip()
        waiting = [*self._waiting]
        self._waiting.clear()
        self._take_no_calls(waiting)
        for stream_id, call in list(self._calls.items()):
            if stream_id > last_stream_id:
                call.has_ended_sending = True
                call.end((StatusCode.UNAVAILABLE, self._goodbye))
        self._close_if_unused()

    def _received_window_update(self, stream_id: int, increment_bytes: int) -> None:
        if stream_id:
            call = self._calls.get(stream_id)
            if call is not None:
                call.grant(increment_bytes)
            return
        self._send_window += increment_bytes
        if self._send_window > MAX_WINDOW_BYTES:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large")
        self._send_waiting()

    def _check_known(self, stream_id: int) -> None:
        if stream_id % 2 == 0 or stream_id >= self._next_stream_id:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, f"an answer on stream {stream_id}, which nobody opened")

    # Alive or not

    def _keep_alive(self) -> None:
        verdict, next_s = self._keepalive.check(self._loop.time(), is_used=bool(self._calls))
        if verdict == "gone":
            self._lose((StatusCode.UNAVAILABLE, "the server answers no ping"))
            return
        if verdict == "ask":
            self._send(build_frame(PING, 0, 0, PING_PAYLOAD))
        self._keepalive_timer = self._loop.call_later(next_s, self._keep_alive)

    def _take_no_calls(self, waiting: list[StreamCall]) -> None:
        self._takes_calls = False
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(self, waiting)

    def _close_if_unused(self) -> None:
        if not self._takes_calls and not self._calls:
            self._lose((StatusCode.UNAVAILABLE, self._goodbye), tell=ErrorCode.NO_ERROR)

    def _lose(self, status: Status, *, tell: ErrorCode | None = None) -> None:
        """The connection is over, and every call on it with it. tell: what the peer is told."""
        if self._transport is None:
            return
        transport, self._transport = self._transport, None
        self._take_no_calls([])
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        calls = [*self._calls.values(), *self._waiting]
        self._calls.clear()
        self._waiting.clear()
        for call in calls:
            call.end(status)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(status[1]))
            # Whoever connected may have given up already.
            self.ready.exception()
        if tell is not None and not transport.is_closing():
            transport.write(b"".join(self._outgoing) + build_goaway(tell))
        self._outgoing.clear()
        # To a peer that does not read, what is unsent would keep a transport that closes for ever.
        transport.abort() if tell is None or transport.get_write_buffer_size() else transport.close()
