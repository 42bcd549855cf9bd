"""A load client that costs little: real-time audio on many WebSockets, and when each result of it came back.

    python -m benchmarks.load --protocol native --port 8000 --streams 100 --key KEY

Audio is one frame that is built once; every stream begins at a phase of its own. Added latency of a result: from the
last byte of the audio that it covers being handed to the kernel to the result being parsed here. Prints one JSON
document. Speaks the WebSocket protocol by hand: a library would cost as much as the servers that are measured.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import resource
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop

from benchmarks.precise_timer import PreciseTimer

BYTES_PER_MS = 32
CONNECT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
# Connections are opened so many at a time: what is measured is speaking, not knocking.
OPENING_AT_ONCE = 16
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


class Speaker(asyncio.Protocol):
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

    def on_text(self, text: bytes) -> None:
        raise NotImplementedError

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


async def run(load: Load, protocol: type[Speaker], tell: Callable[[str], None]) -> dict[str, Any]:
    """Speak, listen, and return what was measured. tell: hears "measuring" and "measured" as they happen."""
    loop = asyncio.get_running_loop()
    heard = Heard()
    speakers = [protocol(number, load, heard, time.monotonic) for number in range(load.streams)]
    opening = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one(speaker: Speaker) -> None:
        async with opening:
            await loop.create_connection(lambda: speaker, load.host, load.port)
            await speaker.ready

    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        opened = await asyncio.gather(*map(open_one, speakers), return_exceptions=True)
    refused = [result for result in opened if isinstance(result, BaseException)]
    if refused:
        raise RuntimeError(f"{len(refused)} of {load.streams} streams did not open: {refused[0]}")
    speaking = Speaking(speakers, load)
    begin_s, end_s = speaking.start(loop)
    await asyncio.sleep(begin_s - time.monotonic())
    tell("measuring")
    cpu_before_s = _cpu_s()
    await asyncio.sleep(end_s - time.monotonic())
    tell("measured")
    cpu_s = _cpu_s() - cpu_before_s
    # What was spoken last still has its answers to come.
    await asyncio.sleep(load.chunk_ms / 1000 + 0.5)
    speaking.stop()
    for speaker in speakers:
        speaker.is_stopping = True
        speaker.stop()
    await asyncio.wait([speaker.closed for speaker in speakers], timeout=STOP_TIMEOUT_S)
    for speaker in speakers:
        speaker.check_finals()
    stream_seconds = load.streams * load.seconds
    latencies_s = heard.interims_s + heard.finals_s
    return {
        "streams": load.streams,
        "results": len(latencies_s),
        "results_per_stream_s": len(latencies_s) / stream_seconds,
        "latency_ms": percentiles_ms(latencies_s),
        "final_latency_ms": percentiles_ms(heard.finals_s),
        "lost_finals": heard.lost_finals,
        "repeated_finals": heard.repeated_finals,
        "errors": len(heard.errors),
        "first_error": heard.errors[0] if heard.errors else None,
        "client_cpu_ms_per_stream_s": cpu_s * 1000 / stream_seconds,
        "late_ms": percentiles_ms(speaking.late_s),
    }


class Speaking:
    """Sends every stream's chunks when they are due, from one timer."""

    def __init__(self, speakers: list[Speaker], load: Load) -> None:
        self._speakers = speakers
        self._chunk_s = load.chunk_ms / 1000
        self._load = load
        self._next = 0
        # How late each chunk was sent: this client's own trouble.
        self.late_s: list[float] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> tuple[float, float]:
        """Returns the moments between which it is measured."""
        self._timer = PreciseTimer(loop, self._send)
        self._began_s = time.monotonic() + 0.05
        self._measured_from_s = self._began_s + self._load.warm_up_s
        ends_s = self._measured_from_s + self._load.seconds
        for speaker in self._speakers:
            speaker.measure(self._measured_from_s, ends_s)
        self._schedule()
        return self._measured_from_s, ends_s

    def stop(self) -> None:
        self._timer.close()

    def _due_s(self, number: int) -> float:
        """Chunks are due in turn, one stream after another, evenly over a chunk's time."""
        return self._began_s + number * self._chunk_s / len(self._speakers)

    def _schedule(self) -> None:
        self._timer.call_at(self._due_s(self._next))

    def _send(self) -> None:
        now_s = time.monotonic()
        while (due_s := self._due_s(self._next)) <= now_s:
            self._speakers[self._next % len(self._speakers)].send_chunk()
            if due_s >= self._measured_from_s:
                self.late_s.append(now_s - due_s)
            self._next += 1
        self._schedule()


def percentiles_ms(values_s: list[float]) -> dict[str, float | None]:
    ordered = sorted(values_s)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None, "max": None}
    pick = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for name, share in pick.items()}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--chunk-ms", type=int, default=100)
    parser.add_argument("--interim-ms", type=int, default=100, help="as the scripted Riva was told")
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--key", default="")
    arguments = parser.parse_args()
    load = Load(
        arguments.host,
        arguments.port,
        arguments.streams,
        arguments.chunk_ms,
        arguments.warm_up,
        arguments.seconds,
        arguments.key,
        arguments.interim_ms,
    )
    try:
        measured = uvloop.run(run(load, PROTOCOLS[arguments.protocol], lambda word: print(word, flush=True)))
    except (OSError, RuntimeError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
