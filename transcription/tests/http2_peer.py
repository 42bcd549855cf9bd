"""A server that speaks HTTP/2 as a test tells it to, frame by frame, and a channel to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import hpack

from transcription.riva.http2.call import StreamCall
from transcription.riva.http2.channel import Http2Channel
from transcription.riva.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    FRAME_HEAD_BYTES,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    STREAM_ID_MASK,
    WINDOW_UPDATE,
    build_frame,
    build_message,
    build_settings,
)

PATIENCE_S = 10
METHOD = "/test.Service/Method"
ANSWER = ((":status", "200"), ("content-type", "application/grpc"))
Headers = Sequence[tuple[str, str]]


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


class PeerConnection:
    """One client's connection. Its methods that send do so at once; those that read wait for a bounded time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()

    async def greet(self, settings: dict[int, int] | None = None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            assert await self._reader.readexactly(len(PREFACE)) == PREFACE
        self.send(build_settings(settings or {}))

    async def next_frame(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            high, low, kind, flags, stream_id = FRAME_HEAD.unpack(await self._reader.readexactly(FRAME_HEAD_BYTES))
            return Frame(kind, flags, stream_id, await self._reader.readexactly(high << 8 | low))

    async def next_of(self, kind: int) -> Frame:
        """The next frame of a kind; others are passed over."""
        while (frame := await self.next_frame()).kind != kind:
            pass
        return frame

    async def next_call(self) -> tuple[int, dict[str, str]]:
        """The stream and the headers of the next call."""
        frame = await self.next_of(HEADERS)
        block, is_whole = frame.payload, frame.flags & END_HEADERS
        while not is_whole:
            more = await self.next_of(CONTINUATION)
            block, is_whole = block + more.payload, more.flags & END_HEADERS
        return frame.stream_id, {str(name): str(value) for name, value in self._decoder.decode(block)}

    async def heard(self) -> list[Frame]:
        """All that the client has sent once it has heard all that was sent to it: it answers a ping after that."""
        self.send(build_frame(PING, 0, 0, b"question"))
        frames = []
        while (frame := await self.next_frame())[:2] != (PING, ACK):
            frames.append(frame)
        return frames

    async def end_of_connection(self) -> list[Frame]:
        """What the client sent before it closed the connection."""
        frames = []
        while True:
            try:
                frames.append(await self.next_frame())
            except (asyncio.IncompleteReadError, ConnectionError):
                return frames

    async def rest(self) -> bytes:
        """All that the client still sends before it closes the connection, of frames or not."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read()

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    def block(self, headers: Headers) -> bytes:
        return self._encoder.encode(headers)

    def headers(self, stream_id: int, headers: Headers = ANSWER, *, ends: bool = False) -> None:
        self.send(build_frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream_id, self.block(headers)))

    def message(self, stream_id: int, message: bytes) -> None:
        self.send(build_frame(DATA, 0, stream_id, build_message(message)))

    def end(self, stream_id: int, code: int = 0, text: str = "") -> None:
        self.headers(stream_id, [("grpc-status", str(code)), ("grpc-message", text)], ends=True)

    def close(self) -> None:
        self.writer.close()


class Http2Peer:
    """Listens, and hands each connection to the test."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[PeerConnection] = asyncio.Queue()
        self._connections: list[PeerConnection] = []
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._accept, host, 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.writer.transport.abort()
        await self._server.wait_closed()

    async def accept(self) -> PeerConnection:
        async with asyncio.timeout(PATIENCE_S):
            return await self._accepted.get()

    async def greeted(self, settings: dict[int, int] | None = None) -> PeerConnection:
        connection = await self.accept()
        await connection.greet(settings)
        return connection

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = PeerConnection(reader, writer)
        self._connections.append(connection)
        self._accepted.put_nowait(connection)


@asynccontextmanager
async def peer_and_channel() -> AsyncIterator[tuple[Http2Peer, Http2Channel]]:
    peer = Http2Peer()
    await peer.start()
    channel = Http2Channel(peer.address)
    try:
        yield peer, channel
    finally:
        await channel.close()
        await peer.stop()


@asynccontextmanager
async def one_call(settings: dict[int, int] | None = None) -> AsyncIterator[tuple[PeerConnection, StreamCall]]:
    """A call of which the peer knows, on stream 1."""
    async with peer_and_channel() as (peer, channel):
        call = begin(channel)
        connection = await peer.greeted(settings)
        assert (await connection.next_call())[0] == 1
        yield connection, call


def begin(channel: Http2Channel, **options: float | None) -> StreamCall:
    """Messages are bytes."""
    return channel.stream_stream(METHOD, bytes, bytes)(**options)


def kinds(frames: list[Frame]) -> set[int]:
    """What was sent, but for what every connection brings."""
    return {frame.kind for frame in frames if frame.stream_id or frame.kind not in (SETTINGS, WINDOW_UPDATE)}


def resets(frames: list[Frame]) -> dict[int, int]:
    """By stream, with which code it was reset."""
    return {frame.stream_id: int.from_bytes(frame.payload) for frame in frames if frame.kind == RST_STREAM}


def goodbye(frames: list[Frame]) -> int:
    """The code with which the client closed the connection."""
    [frame] = [frame for frame in frames if frame.kind == GOAWAY]
    return int.from_bytes(frame.payload[4:8]) & STREAM_ID_MASK


def data_of(frames: list[Frame], stream_id: int = 1) -> bytes:
    return b"".join(frame.payload for frame in frames if (frame.kind, frame.stream_id) == (DATA, stream_id))
