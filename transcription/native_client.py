"""A client of the native WebSocket protocol: what `manage.py transcribe` and tests speak to a server with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
CHUNK_MS = 100
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class ClientError(Exception):
    """The transcription did not come about; the text says why, in words for a person."""


class NotReachable(ClientError):
    """No server answered."""


class Refused(ClientError):
    """The server answered with an error. code: its number in the protocol, or None."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class NativeClient:
    """One transcription session, from connect to close.

    finals: the final results by their index, as the server sent them.
    on_event: called with every event, in order.
    """

    def __init__(self, url: str, *, key: str = "", on_event: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.url = url
        self.finals: dict[int, dict[str, Any]] = {}
        self.stopped: dict[str, Any] | None = None
        self.sent_bytes = 0
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._on_event = on_event
        self._connection: ClientConnection | None = None
        self._limit: int | None = None
        self._limit_moved = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._connection = await connect(
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
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def start(self, config: dict[str, Any]) -> dict[str, Any]:
        """Start the session. Returns the `transcription_started` event. Raises ClientError."""
        await self._expect("session_created")
        await self._send({"type": "start_transcription", "config": config})
        started = await self._expect("transcription_started")
        self._limit = started.get("audio_offset")
        return started

    async def stream(self, chunks: AsyncIterator[bytes], *, realtime_bytes_per_second: int | None = None) -> None:
        """Send audio within the server's credit, then stop, and stay until the last final. Raises ClientError.

        realtime_bytes_per_second: send no faster than this; None: as fast as the credit allows.
        """
        self._reader = asyncio.create_task(self._read())
        sender = asyncio.create_task(self._send_all(chunks, realtime_bytes_per_second))
        try:
            await asyncio.wait((self._reader, sender), return_when=asyncio.FIRST_COMPLETED)
            if not self._reader.done():
                # Errors of the source of audio, such as a damaged file, come out here.
                await sender
            await self._reader
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if self.stopped is None:
            raise Refused("The server closed the connection before the transcript was complete.")

    async def _send_all(self, chunks: AsyncIterator[bytes], bytes_per_second: int | None) -> None:
        started_at = time.monotonic()
        try:
            async for chunk in chunks:
                await self._wait_for_credit(len(chunk))
                if bytes_per_second is not None:
                    due_at = started_at + (self.sent_bytes + len(chunk)) / bytes_per_second
                    await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                await self._open_connection.send(chunk)
                self.sent_bytes += len(chunk)
            await self._send({"type": "stop_transcription"})
        except ConnectionClosed:
            # The reader knows why.
            return

    async def _wait_for_credit(self, size_bytes: int) -> None:
        while self._limit is not None and self.sent_bytes + size_bytes > self._limit:
            self._limit_moved.clear()
            await self._limit_moved.wait()

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
                self._limit_moved.set()
            case "transcript" if event["is_final"]:
                self.finals[event["segment"]] = event
            case "revised":
                self.finals = {i: final for i, final in self.finals.items() if i < event["from_segment"]}
            case "transcription_stopped":
                self.stopped = event
            case "error":
                raise Refused(event["message"], event["code"])
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


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {OPEN_TIMEOUT_S:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return getattr(error, "strerror", None) or str(error)
