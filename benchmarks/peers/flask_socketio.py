"""The predecessor of the FastAPI design: Flask-SocketIO in its threading mode with Riva's blocking stub.

Socket.IO 5 on the WebSocket transport. Connecting opens the recogniser's stream.
Client to server: event `audio` with one binary attachment (PCM16, 16 kHz, mono), event `stop_transcription`.
Server to client: event `transcript` with {"type", "transcript", "is_final", "confidence", "audio_ms"}, event `error`
with {"message"}, event `stopped` after the last result. The client answers Engine.IO's ping (`2`) with `3`.

On the wire, for a client without a Socket.IO library: connect to `/socket.io/?EIO=4&transport=websocket`, get `0{...}`,
send `40`, get `40{...}`; then each chunk is the text `451-["audio",{"_placeholder":true,"num":0}]` and the bytes in
a binary message; a result comes as `42["transcript",{...}]`.

Six threads per session: two read the socket (simple-websocket's, and the one that calls the handlers), one writes it,
one sleeps until the next ping, one reads Riva's answers, and one of gRPC's feeds Riva.

What it lacks: all that the FastAPI design lacks (nothing is stored; no acknowledgement, resume, limit, authentication,
live view, metrics or draining), and besides, the audio that waits for a slow Riva has no bound.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from flask import Flask, request
from flask_socketio import SocketIO
from riva.client.proto import riva_asr_pb2_grpc as services
from werkzeug.serving import make_server

from benchmarks.peers.command_line import HOST, Options, parse_options, say_ready
from benchmarks.peers.riva_messages import CONFIG_REQUEST, audio_request, result_messages


class Session:
    """One client's stream: handlers put audio in, a thread of its own sends results out."""

    def __init__(self, socketio: SocketIO, sid: str, riva: Any) -> None:
        self._socketio = socketio
        self._sid = sid
        self._audio: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._call = riva.StreamingRecognize(self._requests())
        threading.Thread(target=self._send_results, daemon=True).start()

    def add_audio(self, pcm: bytes) -> None:
        self._audio.put(pcm)

    def end_audio(self) -> None:
        self._audio.put(None)

    def cancel(self) -> None:
        self._call.cancel()
        self.end_audio()

    def _requests(self) -> Iterator[Any]:
        yield CONFIG_REQUEST
        while (pcm := self._audio.get()) is not None:
            yield audio_request(pcm)

    def _send_results(self) -> None:
        try:
            for response in self._call:
                for message in result_messages(response):
                    self._socketio.emit("transcript", message, to=self._sid)
        except grpc.RpcError as error:
            # What cancel() ends needs no word: nobody is there to read it.
            if error.code() != grpc.StatusCode.CANCELLED:
                self._socketio.emit("error", {"message": error.details()}, to=self._sid)
        else:
            self._socketio.emit("stopped", to=self._sid)


def build_app(riva: Any) -> Flask:
    app = Flask(__name__)
    # Without async_handlers=False every event has a thread of its own: dearer, and audio out of order.
    socketio = SocketIO(app, async_mode="threading", async_handlers=False)
    sessions: dict[str, Session] = {}

    @socketio.on("connect")
    def connect() -> None:
        sessions[request.sid] = Session(socketio, request.sid, riva)

    @socketio.on("audio")
    def audio(pcm: bytes) -> None:
        sessions[request.sid].add_audio(pcm)

    @socketio.on("stop_transcription")
    def stop_transcription() -> None:
        sessions[request.sid].end_audio()

    @socketio.on("disconnect")
    def disconnect(reason: str) -> None:
        sessions.pop(request.sid).cancel()

    return app


def run(options: Options) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with grpc.insecure_channel(options.riva_address) as channel:
        # What SocketIO.run() starts in the threading mode; made here, so that it listens before it says so.
        server = make_server(HOST, options.port, build_app(services.RivaSpeechRecognitionStub(channel)), threaded=True)
        server.daemon_threads = True  # type: ignore[attr-defined]  # a threaded one has it
        say_ready()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    run(parse_options("Flask-SocketIO with Riva's blocking stub"))
