"""A service on a real socket that breaks off as told: what a client of the native protocol sees of resuming."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

TOKEN = "take-me-up"
BYTES_PER_MS = 32
SEGMENT_BYTES = 32_000
LIMIT_BYTES = 160_000


class _CutOff(Exception):
    """The connection was ended here; what the client had sent into it is not looked at."""


@dataclass(frozen=True)
class Cut:
    """How one connection ends: the n-th cut is that of the n-th connection; without one it lasts.

    at: "greeting" (before anything was said), "opening" (start or resume has come, no answer), "audio" (once audio up
    to `position` has come), "stop" (the stop has come and the session is completed, but the answer is lost).
    code: an error and a close with it; 0: the connection is gone without a word.
    """

    at: str
    position: int = 0
    code: int = 0
    retryable: bool = True
    retry_after_ms: int | None = None
    tail: bool = False


@dataclass
class CuttingServer:
    """One session. A final for every second of audio, settled one second later; `audio` is all that it heard."""

    cuts: Sequence[Cut] = ()
    window_ms: int = 60_000
    resumable: bool = True
    audio: bytearray = field(default_factory=bytearray)
    openings: list[dict[str, Any]] = field(default_factory=list)
    finals: list[str] = field(default_factory=list)
    settled: int = 0
    is_completed: bool = False
    passed_limit: bool = False
    connections: int = 0
    _has_tail: bool = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serve(self._talk, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}/api/v1/transcribe/a"

    async def _talk(self, connection: ServerConnection) -> None:
        cut = self.cuts[self.connections] if self.connections < len(self.cuts) else None
        self.connections += 1
        try:
            await self._session(connection, cut)
        except (ConnectionClosed, _CutOff):
            return

    async def _session(self, connection: ServerConnection, cut: Cut | None) -> None:
        await self._cut(connection, cut, "greeting")
        await tell(connection, "session_created", session_id="a", limits={"resume_window_ms": self.window_ms})
        opening = json.loads(await connection.recv())
        self.openings.append(opening)
        await self._cut(connection, cut, "opening")
        if opening["type"] == "start_transcription":
            token = TOKEN if self.resumable else None
            await tell(
                connection, "transcription_started", resume_token=token, resumable=self.resumable, audio_offset=0
            )
        else:
            await self._resume(connection, opening)
        await self._acknowledge(connection)
        if self.is_completed:
            await self._stop(connection)
            return
        await self._listen(connection, cut)

    async def _resume(self, connection: ServerConnection, opening: dict[str, Any]) -> None:
        if opening["resume_token"] != TOKEN:
            await self._fail(connection, Cut("opening", code=4404, retryable=False))
        assert opening["held_from"] <= self.settled, "the client forgot what was not settled"
        del self.audio[self.settled :]
        await tell(connection, "transcription_resumed", audio_offset=self.settled, next_segment=len(self.finals))
        received = opening["received_segments"]
        if self._has_tail or received > len(self.finals):
            self._has_tail = False
            await tell(connection, "revised", from_segment=len(self.finals))
        for index, text in enumerate(self.finals[received:], received):
            await final(connection, index, text)

    async def _listen(self, connection: ServerConnection, cut: Cut | None) -> None:
        while isinstance(message := await connection.recv(), bytes):
            self.audio += message
            self.passed_limit |= len(self.audio) > self.settled + LIMIT_BYTES
            await self._settle(connection, len(self.audio) - SEGMENT_BYTES)
            await self._acknowledge(connection)
            if cut is not None and len(self.audio) >= cut.position:
                await self._cut(connection, cut, "audio")
        assert json.loads(message)["type"] == "stop_transcription"
        self.is_completed = True
        if cut is not None and cut.at == "stop":
            # Nobody hears the last finals; the next resume gives them.
            await self._settle(None, len(self.audio))
            await self._fail(connection, cut)
        await self._stop(connection)

    async def _stop(self, connection: ServerConnection) -> None:
        await self._settle(connection, len(self.audio))
        await tell(
            connection,
            "transcription_stopped",
            reason="client",
            audio_ms=len(self.audio) // BYTES_PER_MS,
            received=len(self.audio),
            safe=len(self.audio),
            segments=len(self.finals),
            gaps=[],
        )

    async def _settle(self, connection: ServerConnection | None, upto: int) -> None:
        while self.settled + SEGMENT_BYTES <= upto:
            self.settled += SEGMENT_BYTES
            self.finals.append(f"segment {len(self.finals)}")
            if connection is not None:
                await final(connection, len(self.finals) - 1, self.finals[-1])

    async def _acknowledge(self, connection: ServerConnection) -> None:
        limit = self.settled + LIMIT_BYTES
        await tell(connection, "audio_ack", received=len(self.audio), safe=self.settled, limit=limit)

    async def _cut(self, connection: ServerConnection, cut: Cut | None, at: str) -> None:
        if cut is not None and cut.at == at:
            await self._fail(connection, cut)

    async def _fail(self, connection: ServerConnection, cut: Cut) -> None:
        if cut.tail:
            self._has_tail = True
            await final(connection, len(self.finals), "half a sent", tail=True)
        if cut.code:
            when = {"retryable": cut.retryable, "retry_after_ms": cut.retry_after_ms}
            what = {"code": cut.code, "reason": "scripted", "message": "As told.", "field": None, "request_id": "r"}
            await tell(connection, "error", **what, **when, safe=self.settled)
            await connection.close(cut.code)
        else:
            connection.transport.abort()
        raise _CutOff


async def tell(connection: ServerConnection, event: str, **fields: Any) -> None:
    await connection.send(json.dumps({"event": event, **fields}))


async def final(connection: ServerConnection, index: int, text: str, *, tail: bool = False) -> None:
    await tell(connection, "transcript", segment=index, is_final=True, text=text, durable=True, tail=tail)


def numbered_audio(seconds: int) -> bytes:
    """Audio in which every byte depends on its position, so that none can be lost, added or moved unnoticed."""
    samples = seconds * SEGMENT_BYTES // 4
    return b"".join(index.to_bytes(4, "little") for index in range(samples))


async def chunks_of(audio: bytes, chunk_bytes: int = 3200) -> AsyncIterator[bytes]:
    for start in range(0, len(audio), chunk_bytes):
        yield audio[start : start + chunk_bytes]
