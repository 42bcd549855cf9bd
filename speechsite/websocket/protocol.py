"""The WebSocket part of uvicorn, in place of its own: `uvicorn.Config(ws=WebSocketProtocol)`.

Uvicorn's HTTP part makes one for each request that asks for an upgrade and hands it the transport and the request's
head; from then on the connection belongs to it. The application speaks ASGI (websocket, spec 2.4) with it.

A message costs no task, no queue and no event; a future only where the application waits, and not even that where
it uses the connection directly (`direct.py`).
"""

from __future__ import annotations

import asyncio
import enum
import logging
from http import HTTPStatus
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from speechsite.websocket.direct import EXTENSION, Taker
from speechsite.websocket.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    ProtocolError,
    build_close,
    build_frame,
)
from speechsite.websocket.handshake import Headers, Refused, Request, build_acceptance, build_head, build_response
from speechsite.websocket.keepalive import Keepalive, find_keepalive
from speechsite.websocket.scope import build_scope

# What may wait for the application before reading pauses: so much, or `ws_max_queue` messages. Beyond it there are
# one message and one read (256 KiB) at most.
MAX_WAITING_BYTES = 64 * 1024
# For the client's answer to our close, as uvicorn waits.
CLOSE_TIMEOUT_S = 10.0
# The same where nobody can wait long: when the server ends, after a broken protocol, and for the last bytes to be sent.
LAST_TIMEOUT_S = 1.0
NORMAL, INTERNAL_ERROR, SERVICE_RESTART = 1000, 1011, 1012

log = logging.getLogger("uvicorn.error")

Message = dict[str, Any]


class State(enum.Enum):
    REQUESTED = "the request has not come"
    OFFERED = "the application has not answered the request"
    DENYING = "the application answers with an HTTP response"
    OPEN = "messages go both ways"
    CLOSING = "our close has been sent; the client's is awaited"
    CLOSED = "nothing is sent any more"


REQUESTED, OFFERED, DENYING, OPEN, CLOSING, CLOSED = State


class WebSocketProtocol(asyncio.Protocol):
    """One connection. The arguments are those that uvicorn gives to every protocol class."""

    __slots__ = (
        "_accept_request",
        "_app_state",
        "_closed_by_application",
        "_config",
        "_denial",
        "_disconnect",
        "_frames",
        "_keepalive",
        "_loop",
        "_messages",
        "_pong",
        "_receiver",
        "_server_state",
        "_state",
        "_taker",
        "_timer",
        "_transport",
        "_waiting_bytes",
        "_writable",
        "heard",
        "reading_paused",
    )

    close_timeout_s: ClassVar[float] = CLOSE_TIMEOUT_S
    _transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._keepalive: Keepalive | None = None
        self._state = REQUESTED
        self._closed_by_application = False
        self._timer: asyncio.TimerHandle | None = None
        self._accept_request: Request | None = None
        self._denial: tuple[int, Headers] | None = None

        # Reading. None: what comes is dropped.
        self._frames: FrameReader | None = FrameReader(config.ws_max_size)
        # A list and not a deque: it is short, and a deque takes 600 bytes while it is empty.
        self._messages: list[Message] = []
        self._waiting_bytes = 0
        self._disconnect: Message | None = None
        self._receiver: asyncio.Future[None] | None = None
        # What the application takes binary messages with as they are read; see `direct.py`.
        self._taker: Taker | None = None
        self.reading_paused = False
        self.heard = True

        # Writing. An event while the transport holds too much.
        self._writable: asyncio.Event | None = None
        self._pong: bytes | None = None

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # its type lists uvicorn's own classes

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._frames is None:
            return
        if self._state is REQUESTED:
            self._on_request(data)
            return
        self._frames.feed(data)
        if self._state is OFFERED:
            if self._frames.waiting_bytes > MAX_WAITING_BYTES:
                self._pause_reading()
        elif not self.reading_paused:  # with TLS some may still come
            self._take_in()

    def eof_received(self) -> None:
        """The transport closes itself when this returns."""
        self._end(ABNORMAL)

    def connection_lost(self, error: Exception | None) -> None:
        self._server_state.connections.discard(self)
        self._set_timer(None)
        self._end(ABNORMAL)

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        self._release_senders()
        if self._pong is not None:
            self._write(build_frame(PONG, self._pong))
            self._pong = None

    def shutdown(self) -> None:
        """The server ends: close now."""
        if self._state is OPEN:
            self._close(SERVICE_RESTART, "", LAST_TIMEOUT_S)
        elif self._state is CLOSING:
            self._set_timer(LAST_TIMEOUT_S)
        elif self._state is OFFERED:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "The server is ending.")
        # A denial under way and what is closed end by themselves.

    # The application's side

    async def receive(self) -> Message:
        """ASGI. One task at a time; after the end it tells the disconnect again and again."""
        messages = self._messages
        while not messages:
            if self._disconnect is not None:
                return self._disconnect
            if self._receiver is not None and not self._receiver.done():
                raise RuntimeError("two tasks await receive()")
            self._receiver = receiver = self._loop.create_future()
            await receiver
        message = messages.pop(0)
        if not messages:
            self._waiting_bytes = 0
            if self.reading_paused and self._state is not OFFERED:
                self._resume_reading()
        return message

    async def send(self, message: Message) -> None:
        """ASGI. Waits while the client takes nothing. Raises ClientDisconnected once the connection has ended."""
        while self._writable is not None and self._state is OPEN and message["type"] != "websocket.close":
            await self._writable.wait()
        if self._state is not OPEN:
            self._send_unopened(message)
            return
        kind = message["type"]
        if kind == "websocket.send":
            data = message.get("bytes")
            if data is None:
                self._transport.write(build_frame(TEXT, message["text"].encode()))
            else:
                self._transport.write(build_frame(BINARY, data))
        elif kind == "websocket.close":
            self._close(message.get("code") or NORMAL, message.get("reason") or "", self.close_timeout_s)
            self._closed_by_application = True
        else:
            raise RuntimeError(f"Expected 'websocket.send' or 'websocket.close', but got '{kind}'.")

    def take_binary(self, taker: Taker) -> None:
        """As in DirectConnection."""
        self._taker = taker

    @property
    def can_send(self) -> bool:
        """As in DirectConnection."""
        return self._state is OPEN and self._writable is None

    def send_text(self, text: str) -> None:
        """As in DirectConnection."""
        self._transport.write(build_frame(TEXT, text.encode()))

    def _send_unopened(self, message: Message) -> None:
        kind = message["type"]
        match self._state, kind:
            case State.OFFERED, "websocket.accept":
                self._accept(message)
            case State.OFFERED, "websocket.close":
                self._closed_by_application = True
                self._answer(HTTPStatus.FORBIDDEN)
            case State.OFFERED, "websocket.http.response.start":
                self._state = DENYING
                self._frames = None
                self._denial = message["status"], list(message.get("headers", ()))
            case State.DENYING, "websocket.http.response.body":
                self._deny(message.get("body", b""), is_last=not message.get("more_body", False))
            case ((State.OFFERED | State.DENYING), _):
                raise RuntimeError(f"Unexpected ASGI message '{kind}' before the WebSocket is open.")
            case _ if self._closed_by_application:
                raise RuntimeError(f"Unexpected ASGI message '{kind}', after sending 'websocket.close'.")
            case _:
                raise ClientDisconnected

    async def _run(self, scope: Message) -> None:
        try:
            result: Any = await self._config.loaded_app(scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        # Whatever an application raises ends its own connection only.
        except BaseException:
            log.exception("Exception in ASGI application\n")
        else:
            if self._state is OFFERED:
                log.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                log.error("ASGI callable should return None, but returned '%s'.", result)
        if self._state is OFFERED:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
        elif self._state is DENYING:
            self._hang_up(ABNORMAL)
        elif self._state is OPEN:
            self._break_off(INTERNAL_ERROR)

    # The handshake

    def _on_request(self, head: bytes) -> None:
        try:
            request = Request.parse(head)
        except Refused as refused:
            self._answer(refused.status, f"No WebSocket: {refused}.", [*refused.headers])
            return
        self._state = OFFERED
        self._accept_request = request
        self._messages.append({"type": "websocket.connect"})
        scope = build_scope(request, self._transport, self._config)
        scope["extensions"][EXTENSION] = {"connection": self}
        task = self._loop.create_task(self._run(scope | {"state": self._app_state.copy()}))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def _accept(self, message: Message) -> None:
        assert self._accept_request is not None  # noqa: S101 - for the type checker
        headers = [*self._server_state.default_headers, *message.get("headers", ())]
        self._write(build_acceptance(self._accept_request, message.get("subprotocol"), headers))
        self._accept_request = None
        self._state = OPEN
        self._keepalive = find_keepalive(self._server_state, self._config, self._loop)
        if self._keepalive is not None:
            self._keepalive.add(self)
        # What came before the answer.
        self._resume_reading()

    def _answer(self, status: int, text: str = "", headers: Headers | None = None) -> None:
        """Refuse the WebSocket with a whole HTTP response."""
        headers = [*self._server_state.default_headers, *(headers or ())]
        self._write(build_response(status, headers, text.encode()))
        self._hang_up(ABNORMAL)

    def _deny(self, body: bytes, *, is_last: bool) -> None:
        """Write the application's own refusal as it comes; its end is the end of the connection."""
        if self._denial is not None:
            status, headers = self._denial
            self._denial = None
            own = [*self._server_state.default_headers, (b"connection", b"close")]
            self._write(build_head(status, own + headers))
        self._write(body)
        if is_last:
            self._closed_by_application = True
            self._hang_up(ABNORMAL)

    # Reading

    def _take_in(self) -> None:
        """Hand over what has come, as far as the application may be behind; beyond that reading pauses."""
        messages = self._messages
        try:
            while self._frames is not None and (event := self._frames.next()) is not None:
                kind, data = event
                if kind == PING:
                    self._on_ping(data)
                elif kind == CLOSE:
                    self._on_close(*data)
                elif kind != PONG and self._state is not CLOSING:
                    if kind == BINARY and not messages and self._is_awaited and self._taker and self._taker(data):
                        continue
                    messages.append({"type": "websocket.receive", "bytes" if kind == BINARY else "text": data})
                    self._waiting_bytes += len(data)
                    if self._waiting_bytes > MAX_WAITING_BYTES or len(messages) >= self._config.ws_max_queue:
                        self._pause_reading()
                        break
        except ProtocolError as error:
            self._break_off(error.code, error.reason)
        if messages:
            self._wake_receiver()

    @property
    def _is_awaited(self) -> bool:
        """Whether the application has done what came before and waits for more."""
        return self._receiver is not None and not self._receiver.done()

    def _on_ping(self, payload: bytes) -> None:
        if self._writable is None:
            self._write(build_frame(PONG, payload))
        else:
            # The client takes nothing: only its latest ping is answered, lest the answers fill the memory.
            self._pong = payload

    def _on_close(self, code: int, reason: str) -> None:
        if self._state is OPEN:
            self._write(build_close(code, reason))
        elif self._state is CLOSED:
            # The connection was lost before this could be taken in.
            self._disconnect = None
        self._hang_up(code, reason)

    def _pause_reading(self) -> None:
        if not self.reading_paused:
            self.reading_paused = True
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _resume_reading(self) -> None:
        """Take in what was read before; then read on, unless that was too much again."""
        was_paused, self.reading_paused = self.reading_paused, False
        self._take_in()
        if was_paused and not self.reading_paused and not self._transport.is_closing():
            # What came meanwhile is heard only now.
            self.heard = True
            self._transport.resume_reading()

    def _wake_receiver(self) -> None:
        if self._is_awaited:
            cast("asyncio.Future[None]", self._receiver).set_result(None)

    # Writing and ending

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _release_senders(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def ping(self) -> None:
        self._write(build_frame(PING, b""))

    def end_in_silence(self) -> None:
        self._break_off(INTERNAL_ERROR, "keepalive ping timeout")

    def _close(self, code: int, reason: str, timeout_s: float) -> None:
        """Send our close and wait for the client's. What it still sends is dropped."""
        self._write(build_close(code, reason))
        self._end(code, reason)
        self._state = CLOSING
        self._set_timer(timeout_s)
        self._resume_reading()

    def _break_off(self, code: int, reason: str = "") -> None:
        """Close without reading on: say why, and give the client a moment to end the connection."""
        if self._state is OPEN:
            self._write(build_close(code, reason))
        if self._transport.is_closing() or not self._transport.can_write_eof():
            self._hang_up(code, reason)
            return
        self._frames = None
        self._end(code, reason)
        # To close with bytes unread would reset the connection, and the client might not see our close.
        self._transport.write_eof()
        self._set_timer(LAST_TIMEOUT_S)
        self._resume_reading()

    def _hang_up(self, code: int, reason: str = "") -> None:
        """Close the transport once it has sent what it holds; where the client does not take that, after a moment."""
        self._frames = None
        self._end(code, reason)
        self._transport.close()
        self._set_timer(LAST_TIMEOUT_S)

    def _end(self, code: int, reason: str = "") -> None:
        """The application may send nothing more, and hears of the disconnect after what came before it."""
        if self._state is CLOSING:
            self._frames = None
        self._state = CLOSED
        self._pong = None
        # It leads back to the application, which leads back here.
        self._taker = None
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
        if self._keepalive is not None:
            self._keepalive.discard(self)
        self._release_senders()
        self._wake_receiver()

    def _set_timer(self, abort_after_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if abort_after_s is None else self._loop.call_later(abort_after_s, self._transport.abort)
