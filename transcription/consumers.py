"""The transcription socket: one consumer for every dialect. An adapter: read, call, send."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer

from speechsite.websocket.direct import DirectConnection, direct_connection
from transcription import commands, metrics
from transcription.dialects.base import Denial, Dialect, Handshake, PlainDialect, TickingDialect, WishingDialect
from transcription.dialects.native import NativeDialect
from transcription.engine import end as ends
from transcription.engine.live import LiveTranscription
from transcription.engine.outbox import Outbox
from transcription.engine.resuming import build_ended, digest_of
from transcription.errors import InternalError, NothingToResume, TimedOutClient, TooFast, TranscriptionError
from transcription.events import Ack, Answered, Event, Failed, Final, Interim
from transcription.identity.auth import Principal, WrongOrigin, authenticate_socket, token_expired
from transcription.identity.origins import socket_headers
from transcription.inbox import DISCONNECTED, Disconnected, Inbox
from transcription.limits.connection_limits import CONTROL_MESSAGES_PER_SECOND, COUNTED_BELOW_BYTES, ConnectionLimits
from transcription.limits.waiting_connections import Waiting
from transcription.process import Process, get_process
from transcription.storage.steps import Resume

log = structlog.get_logger(__name__)

# Of what takes 30 s to be wrong; thousands of idle connections are looked at as often.
WATCH_EVERY_S = 5.0
MIN_WATCH_S = 0.01
CLOSE_PATIENCE_S = 5.0
DIALECT_TICK_S = 0.25
# What each message past a limit costs a client that knows of none: as long as one control message's place takes.
SLOW_DOWN_S = 1 / CONTROL_MESSAGES_PER_SECOND
# Of a client that closes its connection: done, leaving the page, and without saying why.
ORDERLY_CLOSES = (1000, 1001, 1005)
DENIABLE = "websocket.http.response"
SENT_DIRECTLY = (Interim, Final, Ack, Answered)


class TranscriptionConsumer(AsyncWebsocketConsumer):
    """Audio in, transcript out.

    It has no channel layer, so a broken Redis cannot end it, and touches the database only through the store's
    own threads: Channels' `dispatch` would visit the one shared database thread for each message.

    dialect_class: of the address, which `as_asgi` is told.
    """

    __slots__ = (
        "_accepted",
        "_clock",
        "_dialect",
        "_direct",
        "_error",
        "_gone",
        "_has_begun",
        "_has_stopped",
        "_inbox",
        "_limits",
        "_live",
        "_outbox",
        "_principal",
        "_process",
        "_running",
        "_tasks",
        "_waiting",
    )

    # No layer has this name: the consumer gets none.
    channel_layer_alias = "none"
    dialect_class: type[Dialect] = NativeDialect

    def __init__(
        self,
        *,
        dialect_class: type[Dialect] | None = None,
        process_of: Callable[[], Process] = get_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if dialect_class is not None:
            self.dialect_class = dialect_class
        self._process = process_of()
        self._clock = clock
        self._outbox = Outbox(clock)
        self._limits = ConnectionLimits()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: Waiting | None = None
        self._inbox: Inbox | None = None
        self._principal: Principal | None = None
        self._live: LiveTranscription | None = None
        self._running: asyncio.Task[None] | None = None
        self._error: TranscriptionError | None = None
        self._accepted = False
        self._has_begun = False
        self._has_stopped = False
        self._gone = False
        # Where the server offers it: audio and results then go without a task of their own.
        self._direct: DirectConnection | None = None

    # The connection's edge

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection from handshake to release. A broad except stands only here."""
        self.scope, self.base_send = scope, send
        try:
            await self._process.start()
            message = await receive()
            if message["type"] == "websocket.connect" and await self._open():
                self._inbox = Inbox(receive)
                self._direct = direct_connection(scope)
                if self._direct is not None and isinstance(self._dialect, PlainDialect):
                    self._direct.take_binary(functools.partial(self._take_directly, self._dialect, self._inbox))
                await self._serve(self._inbox)
        except Exception:
            log.exception("connection_failed")
            await self._tell_internal_error()
        finally:
            await self._release()

    async def _serve(self, inbox: Inbox) -> None:
        writer = self._start(self._write())
        tasks = {writer, self._start(self._read(inbox)), self._start(self._watch())}
        if isinstance(self._dialect, TickingDialect):
            tasks.add(self._start(self._tick(self._dialect)))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        if not writer.done():
            # The client went, or reads nothing: what is left has no reader, its finals are in the database.
            self._gone = True
            self._outbox.close()
        if self._live is not None and self._running is not None:
            self._live.end(ends.client_stop() if self._has_stopped else ends.client_lost())
            await self._running

    def _start(self, coroutine: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        return task

    async def _tell_internal_error(self) -> None:
        if self._gone or not self._accepted:
            return
        error = InternalError("Something went wrong on our side.")
        # The connection itself may be what failed: then there is nobody to tell.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_PATIENCE_S):
                await self._refuse(error)

    async def _release(self) -> None:
        self._leave_waiting()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Their tracebacks lead back here.
        self._tasks.clear()
        self._direct = None
        if self._inbox is not None:
            await self._inbox.aclose()
        if self._live is not None and self._running is not None:
            # A connection that was cancelled or failed still stores the end of its session.
            self._live.end(ends.client_lost())
            await asyncio.gather(self._running, return_exceptions=True)

    def _leave_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.leave()

    # Opening

    @property
    def _user_agent(self) -> str:
        return socket_headers(self.scope).get("user-agent", "")

    @property
    def _client_address(self) -> str | None:
        client = self.scope.get("client")
        return client[0] if client else None

    async def _open(self) -> bool:
        """Handshake. False if the connection was refused and ended here."""
        scope: dict[str, Any] = dict(self.scope)
        self._dialect = self.dialect_class(
            _handshake_of(scope), limits=self._process.dialect_limits, request_id=scope.get("request_id", "")
        )
        try:
            self._waiting = self._process.waiting_connections.enter(self._client_address)
            principal = await authenticate_socket(
                self.scope, takes_expired_tokens=self._dialect.can_resume, credential_of=self._dialect.credential_of
            )
            refusal = self._dialect.refusal()
            if refusal is None and isinstance(self._dialect, WishingDialect):
                await self._process.check_wish(principal, self._dialect.wish)
        except WrongOrigin:
            await self.close()
            return False
        except TranscriptionError as error:
            refusal = error
        denial = self._dialect.denial(refusal) if refusal is not None else None
        if denial is not None and DENIABLE in scope.get("extensions", ()):
            await self._deny(denial)
            return False
        await self.accept(self._dialect.subprotocol)
        self._accepted = True
        if refusal is not None:
            await self._refuse(refusal)
            return False
        self._principal = principal
        for text in self._dialect.opened(principal):
            await self.send(text_data=text)
        return True

    async def _deny(self, denial: Denial) -> None:
        # The stubs of Channels and of ASGI disagree about what may be sent.
        send = cast(Any, self.base_send)
        await send({"type": f"{DENIABLE}.start", "status": denial.status, "headers": list(denial.headers)})
        await send({"type": f"{DENIABLE}.body", "body": denial.body})

    async def _refuse(self, error: TranscriptionError) -> None:
        for text in self._dialect.render(Failed(error)):
            await self.send(text_data=text)
        await self._close(error)

    # Reading

    async def _read(self, inbox: Inbox) -> None:
        """Take messages until the client goes. After an error that ends the connection they are dropped."""
        while True:
            message = await inbox.next()
            if message["type"] == DISCONNECTED:
                self._has_stopped = self._dialect.closing_stops and message.get("code") in ORDERLY_CLOSES
                return
            if message["type"] != "websocket.receive" or self._error is not None:
                continue
            try:
                await self._take(message, inbox)
            except Disconnected:
                return
            except TranscriptionError as error:
                self._on_error(error)
                if self._error is None and not self._dialect.has_credit:
                    # Such a dialect may let bad messages go by without end.
                    await asyncio.sleep(SLOW_DOWN_S)

    async def _take(self, message: dict[str, Any], inbox: Inbox) -> None:
        chunk = message.get("bytes")
        if chunk is not None:
            try:
                self._limits.count_message(len(chunk), self._clock())
            except TooFast as error:
                await self._slow_down(error)
            for command in self._dialect.on_binary(chunk):
                await self._do(command, inbox)
            return
        text = message.get("text") or ""
        found = self._dialect.on_text(text)
        try:
            self._limits.count_message(len(text), self._clock())
            if not found or not all(map(_is_free, found)):
                self._limits.count_control(self._clock())
        except TooFast as error:
            await self._slow_down(error)
        for command in found:
            await self._do(command, inbox)

    def _take_directly(self, dialect: PlainDialect, inbox: Inbox, chunk: bytes) -> bool:
        """Take audio as it is read. False: something about it takes time, or is the reader's to find."""
        live, size = self._live, len(chunk)
        if live is None or not inbox.is_waiting or self._error is not None or size < COUNTED_BELOW_BYTES:
            return False
        if not (dialect.is_plain_audio(size) and live.intake.has_room_for(size)):
            return False
        try:
            live.feed(chunk)
        except TranscriptionError as error:
            self._on_error(error)
        return True

    async def _slow_down(self, error: TooFast) -> None:
        """Read on a little later where the client cannot know its limits; raise the error where it can."""
        if self._dialect.has_credit:
            raise error
        await asyncio.sleep(SLOW_DOWN_S)

    async def _do(self, command: commands.Command, inbox: Inbox) -> None:
        match command:
            case commands.Start():
                await self._begin(command)
            case commands.Resume():
                await self._resume(command, inbox)
            case commands.Stop() if self._live is None:
                # It leaves without having started anything.
                self._outbox.close()
            case commands.Answer():
                self._emit(Answered(command.texts))
                if not self._outbox.has_room:
                    await self._outbox.wait_for_room()
            case _ if self._live is not None:
                if isinstance(command, commands.Audio) and not self._live.has_room_for(len(command.chunk)):
                    await self._live.wait_for_room(len(command.chunk), has_credit=self._dialect.has_credit)
                self._do_at_once(command, self._live)

    def _do_at_once(self, command: commands.Command, live: LiveTranscription) -> None:
        match command:
            case commands.Audio():
                live.feed(command.chunk)
            case commands.Finalize():
                live.finalize()
            case commands.KeepAlive():
                live.keep_alive()
            case commands.Stop():
                live.end(ends.client_stop())

    async def _begin(self, command: commands.Start) -> None:
        assert self._principal is not None  # noqa: S101 - authenticated before the first message is read
        self._has_begun = True
        if self._principal.has_expired:
            raise token_expired()
        new = await self._process.new_session(
            session_id=self._dialect.session_id,
            principal=self._principal,
            options=command.options,
            client_address=self._client_address,
            user_agent=self._user_agent,
            dialect=self._dialect.name,
        )
        live = self._process.transcribe(
            new,
            emit=self._emit,
            can_resume=self._dialect.can_resume,
            idle_timeout_s=self._dialect.idle_timeout_ms / 1000,
        )
        self._go_live(live)

    async def _resume(self, command: commands.Resume, inbox: Inbox) -> None:
        assert self._principal is not None  # noqa: S101 - authenticated before the first message is read
        self._has_begun = True
        if self._principal.session_id not in (None, self._dialect.session_id):
            raise NothingToResume("There is nothing to resume.")
        resume = Resume(
            public_id=self._dialect.session_id,
            principal=self._principal,
            token_digest=digest_of(command.resume_token),
            received_segments=command.received_segments,
            held_from=command.held_from,
            client_address=self._client_address,
            user_agent=self._user_agent,
            max_age_s=self._process.session_timeout_s,
        )
        taken = await inbox.while_connected(self._process.take(resume))
        if taken.ended is None:
            self._go_live(self._process.go_on(taken, resume, dialect=self._dialect.name, emit=self._emit))
            return
        # Its client had stopped it, and lost the connection before it heard of the end.
        for event in build_ended(resume.public_id, taken):
            self._outbox.put(event)
        self._outbox.close()

    def _go_live(self, live: LiveTranscription) -> None:
        self._leave_waiting()
        self._live = live
        self._running = asyncio.create_task(self._run(live))

    async def _run(self, live: LiveTranscription) -> None:
        try:
            await self._process.run(live)
        except Exception:
            # Here and not in __call__: the writer would close as after a stop before anybody hears of it.
            log.exception("session_failed", session_id=live.public_id)
            if live.closing_error is None:
                self._error = InternalError("Something went wrong on our side.")
                self._outbox.put(Failed(self._error))
        finally:
            self._outbox.close()

    def _on_error(self, error: TranscriptionError) -> None:
        metrics.PROTOCOL_ERRORS_TOTAL.labels(kind=error.reason).inc()
        fatal = self._dialect.is_fatal(error)
        if fatal and self._live is not None and self._live.is_ending:
            # The session ends already, and its close says why.
            return
        if not fatal:
            self._outbox.put(Failed(error))
            return
        self._error = error
        if self._running is not None and self._live is not None:
            self._live.end(ends.client_fault(error))
        else:
            self._outbox.put(Failed(error))
            self._outbox.close()

    # Writing

    def _emit(self, event: Event) -> None:
        """Send what comes most right away where nothing waits before it: no task has to run first."""
        direct = self._direct
        if direct is None or not (isinstance(event, SENT_DIRECTLY) and direct.can_send and self._outbox.is_idle):
            self._outbox.put(event)
            return
        for text in self._dialect.render(event):
            direct.send_text(text)

    async def _write(self) -> None:
        """Send events until the outbox is closed and empty, then close the connection."""
        error: TranscriptionError | None = None
        async for event in self._outbox.events():
            if self._gone:
                continue
            if isinstance(event, Failed):
                error = event.error
            await self._tell_of(event)
        if not self._gone:
            await self._close(self._closing_error(error))

    async def _tell_of(self, event: Event) -> None:
        for text in self._dialect.render(event):
            await self._tell(text)

    async def _tell(self, text: str) -> None:
        if self._gone:
            return
        try:
            # Past two methods of the base class, which would do the same.
            await self.base_send({"type": "websocket.send", "text": text, "bytes": None})
        except (OSError, RuntimeError):
            # The server's ways of saying that the client has just gone, and that it closed the connection itself
            # (1009 to a huge message, 1011 to a peer that answers no ping).
            self._gone = True

    def _closing_error(self, last: TranscriptionError | None) -> TranscriptionError | None:
        """The error that ended the connection; one that did not (a first bad message) must not name its close."""
        return self._error or (self._live.closing_error if self._live is not None else last)

    async def _close(self, error: TranscriptionError | None) -> None:
        code = self._dialect.close_code(error)
        metrics.WS_CLOSED_TOTAL.labels(code=str(code)).inc()
        with contextlib.suppress(OSError, RuntimeError):  # as in _tell
            await self.close(code, self._dialect.close_reason(error))

    async def _watch(self) -> None:
        """Ends a connection that does not start in time; returns when it is read too slowly."""
        start_by_s = self._clock() + self._dialect.start_timeout_ms / 1000
        while True:
            left_s = start_by_s - self._clock() if not self._has_begun else WATCH_EVERY_S
            await asyncio.sleep(min(WATCH_EVERY_S, max(MIN_WATCH_S, left_s)))
            if not self._has_begun and self._error is None and self._clock() >= start_by_s:
                self._on_error(self._dialect.start_timed_out())
            try:
                self._outbox.check()
            except TimedOutClient as error:
                metrics.WS_CLOSED_TOTAL.labels(code=str(error.code)).inc()
                if self._live is not None:
                    self._live.end(ends.client_fault(error))
                return

    async def _tick(self, dialect: TickingDialect) -> None:
        while True:
            await asyncio.sleep(DIALECT_TICK_S)
            live = self._live
            if live is None or not live.is_open or live.is_ending or live.has_untold_finals or not self._outbox.is_idle:
                continue
            texts = dialect.tick(heard_ms=live.heard_ms, now_s=self._clock())
            if texts:
                self._emit(Answered(texts))


def _handshake_of(scope: Mapping[str, Any]) -> Handshake:
    return Handshake(
        session_id=scope["url_route"]["kwargs"].get("session_id", ""),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=socket_headers(scope),
        subprotocols=scope.get("subprotocols", ()),
    )


def _is_free(command: commands.Command) -> bool:
    """Whether a command comes with the audio, and so as often as its client likes."""
    return isinstance(command, commands.Audio) or (isinstance(command, commands.Answer) and command.is_free)
