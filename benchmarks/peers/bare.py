"""The least that a gateway on this service's parts can do: what is left when everything that it is for is left out.

uvicorn with the service's own WebSocket class, its event loop, its way of taking audio and giving results directly, and
one channel of its own client of HTTP/2; with TRANSPORT=grpcio in the environment one of grpc.aio in its place. One
WebSocket at `/ws`: binary messages are audio (PCM16, 16 kHz, mono), any text ends it; answers as in
`article_fastapi.py`.

With TICK_MS in the environment the audio of each stream goes to Riva on a tick that all share, as the service does it.

What it lacks: everything that article_fastapi.py lacks, and that a client is waited for, or noticed, at all.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

import grpc.aio
import uvicorn
from riva.client.proto import riva_asr_pb2_grpc as services

from benchmarks.peers.command_line import HOST, Options, parse_options, say_ready
from benchmarks.peers.riva_messages import CONFIG_REQUEST, audio_request, result_messages
from speechsite.server import let_the_loop_finish, spare_the_collector
from speechsite.websocket.direct import direct_connection
from speechsite.websocket.protocol import WebSocketProtocol
from transcription.riva.http2.call import StreamCall
from transcription.riva.http2.channel import Http2Channel

TICK_S = float(os.environ.get("TICK_MS", "0")) / 1000
USES_GRPCIO = os.environ.get("TRANSPORT") == "grpcio"


class Stream:
    """One client's audio on its way to Riva."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._waiting = bytearray()
        self._wanted = asyncio.Event()

    def take(self, audio: bytes) -> bool:
        self._waiting += audio
        self._wanted.set()
        return True

    async def run(self) -> None:
        await self._call.write(CONFIG_REQUEST)
        while True:
            await self._wanted.wait()
            if TICK_S:
                await asyncio.sleep(-asyncio.get_running_loop().time() % TICK_S)
            self._wanted.clear()
            audio, self._waiting = bytes(self._waiting), bytearray()
            await self._call.write(audio_request(audio))


class Bare:
    """An ASGI application."""

    def __init__(self, riva_address: str) -> None:
        self._riva_address = riva_address
        self._stub: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._stub is None:
            channel = grpc.aio.insecure_channel(self._riva_address) if USES_GRPCIO else Http2Channel(self._riva_address)
            self._stub = services.RivaSpeechRecognitionStub(channel)
        await receive()
        await send({"type": "websocket.accept"})
        connection = direct_connection(scope)
        assert connection is not None
        call = self._stub.StreamingRecognize()
        stream = Stream(call)
        connection.take_binary(stream.take)

        def give(response: Any) -> None:
            for message in result_messages(response):
                connection.send_text(json.dumps(message))

        async def give_results() -> None:
            if isinstance(call, StreamCall):
                await call.listen(give)
                return
            async for response in call:
                give(response)

        tasks = [asyncio.create_task(stream.run()), asyncio.create_task(give_results())]
        try:
            await receive()
            await call.done_writing()
            await tasks[1]
            await send({"type": "websocket.close"})
        finally:
            call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        spare_the_collector()
        say_ready()


def run(options: Options) -> None:
    let_the_loop_finish()
    config = uvicorn.Config(
        Bare(options.riva_address),
        host=HOST,
        port=options.port,
        loop="speechsite.loop:make_loop",
        http="httptools",
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    Server(config).run()


if __name__ == "__main__":
    run(parse_options(__doc__ or ""))
