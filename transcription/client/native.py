"""A client of the native WebSocket protocol: what `manage.py transcribe` and tests speak to a server with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from transcription.client.held_audio import HeldAudio

OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
CHUNK_MS = 100
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
NORMAL_CLOSE = 1000
SEND_BYTES = 32 * 1024
READ_AHEAD_BYTES = 64 * 1024
# 120 s of the largest format, 48 kHz stereo.
MAX_HELD_BYTES = 23_040_000
FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 8.0
STABLE_S = 5.0


class ClientError(Exception):
    """The transcription did not come about; the text says why, in words for a person."""


class NotReachable(ClientError):
    """No server answered."""


class Refused(ClientError):
    """The server ended it. code: the error's number in the protocol, or None where the connection was lost.

    may_resume: a session that was started may go on with another connection, after retry_after_s.
    """

    def __init__(
        self, message: str, code: int | None = None, *, may_resume: bool = True, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.may_resume = may_resume
        self.retry_after_s = retry_after_s


class NativeClient:
    """One transcription session, from connect to its end, over as many connections as that takes.

    finals: the final results by their index, as the server sent them.
    on_event: called with every event of the server, in order, and with {"event": "reconnecting"} before each attempt
    to go on after a lost connection.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        on_event: Callable[[dict[str, Any]], None] | None = None,
        back_off: BackOff | None = None,
    ) -> None:
        self.url = url
        self.finals: dict[int, dict[str, Any]] = {}
        self.stopped: dict[str, Any] | None = None
        self.sent_bytes = 0
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._on_event = on_event
        self._back_off = back_off or BackOff()
        self._connection: ClientConnection | None = None
        self._held = HeldAudio()
        self._is_source_over = False
        self._resume_token: str | None = None
        self._window_s = 0.0
        self._limit: int | None = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._connection = await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open_connection.close()

    async def start(self, config: dict[str, Any]) -> dict[str, Any]:
        """Start the session. Returns the `transcription_started` event. Raises ClientError."""
        created = await self._expect("session_created")
        await self._open_with({"type": "start_transcription", "config": config})
        started = await self._expect("transcription_started")
        self._resume_token = started.get("resume_token") if started.get("resumable") else None
        self._window_s = created["limits"].get("resume_window_ms", 0) / 1000
        return started

    async def stream(self, chunks: AsyncIterator[bytes], *, realtime_bytes_per_second: int | None = None) -> None:
        """Send audio within the server's credit, then stop, and stay until the last final. Raises ClientError.

        realtime_bytes_per_second: send no faster than this; None: as fast as the credit allows.
        """
        source = asyncio.create_task(self._fill(chunks, realtime_bytes_per_second))
        talk = asyncio.create_task(self._talk())
        try:
            await asyncio.wait((source, talk), return_when=asyncio.FIRST_COMPLETED)
            if not talk.done():
                # Errors of the source of audio, such as a damaged file, come out here.
                await source
            await talk
        finally:
            for task in (source, talk):
                task.cancel()
            await asyncio.gather(source, talk, return_exceptions=True)

    # One session over its connections

    async def _talk(self) -> None:
        while True:
            try:
                await self._talk_once()
                return
            except Refused as error:
                await self._resume(error)

    async def _talk_once(self) -> None:
        reader = asyncio.create_task(self._read())
        sender = asyncio.create_task(self._send_held())
        try:
            # When the server closes, the reader knows why.
            await reader
        finally:
            for task in (reader, sender):
                task.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)
        if self.stopped is None:
            may_resume = self._open_connection.close_code != NORMAL_CLOSE
            raise Refused("The server closed the connection before the transcript was complete.", may_resume=may_resume)

    async def _resume(self, error: Refused) -> None:
        """Connect again and take the session up. Raises the newest error where that is not possible."""
        lost_at = time.monotonic()
        while self._resume_token is not None and error.may_resume:
            delay_s = self._back_off.next_s(error.retry_after_s)
            if time.monotonic() - lost_at + delay_s > self._window_s:
                break
            self._tell({"event": "reconnecting", "delay_ms": round(delay_s * 1000), "message": str(error)})
            await asyncio.sleep(delay_s)
            try:
                await self._take_up()
                return
            except NotReachable as unreachable:
                error = Refused(str(unreachable))
            except Refused as refused:
                error = refused
        raise error

    async def _take_up(self) -> None:
        await self._open_connection.close()
        self._limit = 0
        self._connection = await self._connect()
        await self._expect("session_created")
        await self._open_with(
            {
                "type": "resume_transcription",
                "resume_token": self._resume_token,
                # One that was shown before it was stored may have been lost, or comes again as stored.
                "received_segments": sum(final.get("durable", True) for final in self.finals.values()),
                "held_from": self._held.start,
            }
        )
        resumed = await self._expect("transcription_resumed")
        if not self._held.start <= resumed["audio_offset"] <= self._held.end:
            raise Refused("The server wants audio that is not held.", may_resume=False)
        self._back_off.connected()
        self.sent_bytes = resumed["audio_offset"]
        self._held.forget(self.sent_bytes)
        self._changed.set()

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self.url,
                additional_headers=self._headers,
                open_timeout=OPEN_TIMEOUT_S,
                max_size=MAX_MESSAGE_BYTES,
                compression=None,
            )
        except InvalidURI:
            raise NotReachable(f"{self.url} is not an address of a server.") from None
        except InvalidHandshake as error:
            raise Refused(f"The server at {self.url} refused the connection: {error}.") from None
        except (OSError, TimeoutError) as error:
            raise NotReachable(f"No server answers at {self.url}: {_reason(error)}.") from None

    # Audio

    async def _fill(self, chunks: AsyncIterator[bytes], bytes_per_second: int | None) -> None:
        """Hold what the source gives, a little ahead of what is sent."""
        started_at = time.monotonic()
        async for chunk in chunks:
            await self._until(lambda: self._held.end - self.sent_bytes < READ_AHEAD_BYTES)
            await self._until(lambda: len(self._held) < MAX_HELD_BYTES)
            if bytes_per_second is not None:
                due_at = started_at + (self._held.end + len(chunk)) / bytes_per_second
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            self._held.append(chunk)
            self._changed.set()
        self._is_source_over = True
        self._changed.set()

    async def _send_held(self) -> None:
        try:
            while True:
                await self._until(lambda: self._room() > 0 or self._is_all_sent)
                if self._is_all_sent:
                    await self._send({"type": "stop_transcription"})
                    return
                chunk = self._held.read(self.sent_bytes, self._room())
                await self._open_connection.send(chunk)
                self.sent_bytes += len(chunk)
                if self._resume_token is None:
                    self._held.forget(self.sent_bytes)
                self._changed.set()
        except (ConnectionClosed, Refused):
            # The reader knows why.
            return

    @property
    def _is_all_sent(self) -> bool:
        return self._is_source_over and self.sent_bytes == self._held.end

    def _room(self) -> int:
        unsent = min(self._held.end - self.sent_bytes, SEND_BYTES)
        return unsent if self._limit is None else min(unsent, self._limit - self.sent_bytes)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    # Messages

    async def _read(self) -> None:
        try:
            async for message in self._open_connection:
                self._take(json.loads(message))
        except ConnectionClosed as error:
            if self.stopped is None:
                raise Refused(f"The connection was lost: {error}.") from None

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "audio_ack":
                self._limit = event["limit"]
                self._held.forget(min(event["safe"] or 0, self.sent_bytes))
                self._changed.set()
            case "transcript" if event["is_final"]:
                self.finals[event["segment"]] = event
            case "revised":
                self.finals = {i: final for i, final in self.finals.items() if i < event["from_segment"]}
            case "transcription_stopped":
                self.stopped = event
            case "error":
                self._tell(event)
                raise Refused(
                    event["message"],
                    event["code"],
                    may_resume=event.get("retryable", False),
                    retry_after_s=(event.get("retry_after_ms") or 0) / 1000,
                )
        self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(event)

    async def _expect(self, kind: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    event: dict[str, Any] = json.loads(await self._open_connection.recv())
                    self._take(event)
                    if event["event"] == kind:
                        return event
        except TimeoutError:
            raise NotReachable(f"The server did not answer within {ANSWER_TIMEOUT_S:g} s.") from None
        except ConnectionClosed as error:
            raise Refused(f"The server closed the connection: {error}.") from None

    async def _open_with(self, message: dict[str, Any]) -> None:
        # Where the server has closed already, what it said before is still to be read.
        with contextlib.suppress(Refused):
            await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._open_connection.send(json.dumps(message))
        except ConnectionClosed as error:
            raise Refused(f"The server closed the connection: {error}.") from None

    @property
    def _open_connection(self) -> ClientConnection:
        if self._connection is None:
            raise RuntimeError("NativeClient is used outside its `async with`")
        return self._connection


class BackOff:
    """Waits before connecting again: doubled each time, each ±50 %, from the first again after a stable connection."""

    def __init__(
        self, random: Callable[[], float] = random.random, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._random = random
        self._clock = clock
        self._attempt = 0
        self._connected_at: float | None = None

    def connected(self) -> None:
        self._connected_at = self._clock()

    def next_s(self, asked_s: float = 0.0) -> float:
        """The next wait. asked_s: what the server asked for, which is the least."""
        if self._connected_at is not None and self._clock() - self._connected_at >= STABLE_S:
            self._attempt = 0
        self._connected_at = None
        wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0**self._attempt) * (0.5 + self._random())
        self._attempt += 1
        return max(wait_s, asked_s)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {OPEN_TIMEOUT_S:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return getattr(error, "strerror", None) or str(error)
