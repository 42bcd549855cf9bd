"""The design that this service began from: FastAPI on uvicorn with grpc.aio, a task per session.

One WebSocket at `/ws`. The recogniser's stream opens with it.
Client to server, as text: {"audio": "<base64 of PCM16, 16 kHz, mono>"}, {"type": "stop_transcription"}.
With AUDIO=binary in the environment audio is the binary message itself.
Server to client: {"type": "transcript", "transcript", "is_final", "confidence", "audio_ms"} and
{"type": "error", "message"}.
After stop_transcription the last results come, then the socket closes.

What it lacks: nothing is stored. No acknowledgement of audio, no resume of either leg, no limit on sessions, audio or
time, no authentication, no check of what comes in, no live view, no metrics, no draining, no alarms on the audio.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from riva.client.proto import riva_asr_pb2_grpc as services

from benchmarks.peers.command_line import HOST, Options, parse_options, say_ready
from benchmarks.peers.riva_messages import CONFIG_REQUEST, audio_request, result_messages

INTERNAL_ERROR = 1011


async def send_results(websocket: WebSocket, call: Any) -> None:
    """Send what Riva answers until it ends the stream, then close."""
    try:
        async for response in call:
            for message in result_messages(response):
                await websocket.send_json(message)
    except grpc.aio.AioRpcError as error:
        await websocket.send_json({"type": "error", "message": error.details()})
        await websocket.close(INTERNAL_ERROR)
    else:
        await websocket.close()


async def write_json_audio(websocket: WebSocket, call: Any) -> None:
    while True:
        message = await websocket.receive_json()
        if "audio" in message:
            await call.write(audio_request(base64.b64decode(message["audio"])))
        elif message.get("type") == "stop_transcription":
            await call.done_writing()


async def write_binary_audio(websocket: WebSocket, call: Any) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        if message.get("bytes"):
            await call.write(audio_request(message["bytes"]))
        else:
            await call.done_writing()


def build_app(riva_address: str, write_audio: Any) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with grpc.aio.insecure_channel(riva_address) as channel:
            app.state.riva = services.RivaSpeechRecognitionStub(channel)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/ws")
    async def transcribe(websocket: WebSocket) -> None:
        await websocket.accept()
        call = websocket.app.state.riva.StreamingRecognize()
        results = asyncio.create_task(send_results(websocket, call))
        try:
            await call.write(CONFIG_REQUEST)
            await write_audio(websocket, call)
        except WebSocketDisconnect:
            pass
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # Riva ended the stream, and send_results tells the client.
            await asyncio.wait([results])
        finally:
            call.cancel()
            results.cancel()
            await asyncio.gather(results, return_exceptions=True)

    return app


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        say_ready()


def run(options: Options) -> None:
    write_audio = write_binary_audio if os.environ.get("AUDIO") == "binary" else write_json_audio
    config = uvicorn.Config(
        build_app(options.riva_address, write_audio),
        host=HOST,
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="auto",
        # Off for every gateway that is measured.
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
    )
    Server(config).run()


if __name__ == "__main__":
    run(parse_options("the design that this service began from"))
