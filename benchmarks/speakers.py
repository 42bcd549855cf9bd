"""One stream of the load client, in each protocol that is measured.

The WebSocket protocol is spoken by hand: a library would cost as much as the servers that are measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
# How the scripted Riva says which audio a result covers.
POSITION = re.compile(rb"position-(\d+)")
FINAL_MS = 2000
# A mask of zeros: the server unmasks all the same.
MASK = bytes(4)


def frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame of a client."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + MASK + payload


@dataclass(frozen=True, slots=True)
class Load:
    """What is spoken. warm_up_s comes before what is measured."""

    host: str
    port: int
    streams: int
    chunk_ms: int
    warm_up_s: float
    seconds: float
    key: str = ""
    interim_ms: int = 100

    @property
    def final_ms(self) -> int:
        """How much audio an utterance of the scripted Riva has."""
        return -(-FINAL_MS // self.interim_ms) * self.interim_ms


@dataclass(slots=True)
class Heard:
    """Results within the measured time, over all streams."""

    finals_s: list[float] = field(default_factory=list)
    interims_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost_finals: int = 0
    repeated_finals: int = 0


class Speaker(asyncio.Protocol, ABC):
    """One stream. A subclass says how a server is spoken to: `path`, `audio_frame`, `on_open`, `on_text`, `stop`."""

    path = "/"
    subprotocol = ""

    def __init__(self, number: int, load: Load, heard: Heard, clock: Callable[[], float]) -> None:
        self.number = number
        self.load = load
        self.heard = heard
        self.clock = clock
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent_at_s: list[float] = []
        self.finals_at_ms: list[int] = []
        self.is_stopping = False
        self._buffer = bytearray()
        self._is_open = False
        self._audio = self.audio_frame(bytes(self._chunk()))
        self._measured = (0.0, 0.0)

    def _chunk(self) -> bytes:
        """Something to hear: a square wave of 200 Hz at -20 dBFS."""
        samples = self.load.chunk_ms * 16
        return struct.pack(f"<{samples}h", *(3276 if n // 40 % 2 else -3276 for n in range(samples)))

    # What a server's protocol is

    def audio_frame(self, chunk: bytes) -> bytes:
        return frame(BINARY, chunk)

    def on_open(self) -> None:
        self.is_ready()

    @abstractmethod
    def on_text(self, text: bytes) -> None:
        """A message of the server."""

    def stop(self) -> None:
        self.transport.write(frame(CLOSE, struct.pack(">H", 1000)))

    # Results

    def hear(self, text: bytes, *marks_of_finals: bytes) -> bool:
        """Look for a result in a message. Returns whether it was one. To parse it would cost more than to serve it."""
        found = POSITION.search(text)
        if found is None:
            return False
        self.result(int(found[1]), any(mark in text for mark in marks_of_finals))
        return True

    def is_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def result(self, position_ms: int, is_final: bool) -> None:
        """A result came that covers the audio before position_ms."""
        now_s = self.clock()
        index = -(-position_ms // self.load.chunk_ms) - 1
        if is_final:
            self.finals_at_ms.append(position_ms)
        begin_s, end_s = self._measured
        if 0 <= index < len(self.sent_at_s) and begin_s <= self.sent_at_s[index] < end_s:
            latencies_s = self.heard.finals_s if is_final else self.heard.interims_s
            latencies_s.append(now_s - self.sent_at_s[index])

    def fail(self, reason: str) -> None:
        self.heard.errors.append(reason[:200])
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(reason))

    def check_finals(self) -> None:
        """Every final of what was said whole must have come once."""
        said_ms = len(self.sent_at_s) * self.load.chunk_ms
        final_ms = self.load.final_ms
        wanted = set(range(final_ms, said_ms - self.load.interim_ms, final_ms))
        self.heard.lost_finals += len(wanted - set(self.finals_at_ms))
        self.heard.repeated_finals += len(self.finals_at_ms) - len(set(self.finals_at_ms))

    # Speaking

    def measure(self, begin_s: float, end_s: float) -> None:
        self._measured = (begin_s, end_s)

    def send_chunk(self) -> None:
        self.sent_at_s.append(self.clock())
        self.transport.write(self._audio)

    # The WebSocket

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.load.host}:{self.load.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if self.load.key:
            lines.append(f"Authorization: Bearer {self.load.key}")
        self.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._buffer += data
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer.clear()
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.fail(head.decode("latin-1"))
                return
            self._is_open = True
            self.on_open()
            data = rest
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer)
            self._buffer.clear()
        at, size = 0, len(data)
        while size - at >= 2:
            opcode, length, start = data[at] & 0x0F, data[at + 1], at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 10]), at + 10
            if size - start < length:
                break
            at = start + length
            if opcode == TEXT:
                self.on_text(data[start:at])
            else:
                self._on_control(opcode, data[start:at])
        if at < size:
            self._buffer += data[at:]

    def _on_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2]) if payload else 1005
            if not self.is_stopping:
                self.fail(f"closed with {code}")
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_stopping:
            self.fail(f"connection lost: {error}")
        if not self.closed.done():
            self.closed.set_result(None)


class Native(Speaker):
    """This service's own protocol, as it is used: credit is heeded by speaking in real time."""

    @property
    def path(self) -> str:  # type: ignore[override]
        return f"/api/v1/transcribe/bench-{os.getpid()}-{self.number}"

    def on_open(self) -> None:
        self.transport.write(frame(TEXT, b'{"type": "start_transcription", "config": {}}'))

    def on_text(self, text: bytes) -> None:
        if not self.hear(text, b'"is_final":true'):
            if b'"event":"transcription_started"' in text:
                self.is_ready()
            elif b'"event":"error"' in text:
                self.fail(text.decode())

    def stop(self) -> None:
        self.transport.write(frame(TEXT, b'{"type": "stop_transcription"}'))


class Binary(Speaker):
    """A peer that takes raw audio and answers JSON with the text and `is_final`."""

    path = "/ws"

    def on_text(self, text: bytes) -> None:
        self.hear(text, b'"is_final": true', b'"is_final":true')


class Json(Binary):
    """The same, with the audio as base64 in JSON."""

    def audio_frame(self, chunk: bytes) -> bytes:
        return frame(TEXT, json.dumps({"audio": base64.b64encode(chunk).decode()}).encode())


class SocketIo(Speaker):
    """Socket.IO 5 over a WebSocket: event `audio` with a binary attachment, answered by events `transcript`."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def audio_frame(self, chunk: bytes) -> bytes:
        placeholder = b'451-["audio",{"_placeholder":true,"num":0}]'
        return frame(TEXT, placeholder) + frame(BINARY, chunk)

    def on_open(self) -> None:
        """The server speaks first."""

    def on_text(self, text: bytes) -> None:
        if text.startswith(b"0"):
            self.transport.write(frame(TEXT, b"40"))
        elif text.startswith(b"40"):
            self.is_ready()
        elif text == b"2":
            self.transport.write(frame(TEXT, b"3"))
        elif text.startswith(b'42["transcript"'):
            self.hear(text, b'"is_final":true')

    def stop(self) -> None:
        self.transport.write(frame(TEXT, b"41") + frame(CLOSE, struct.pack(">H", 1000)))


PROTOCOLS: dict[str, type[Speaker]] = {"native": Native, "binary": Binary, "json": Json, "socketio": SocketIo}
