"""A scripted Riva that costs little: it answers by audio position, whatever the messages' sizes, with words.

    python -m benchmarks.riva --port 50051 --interim-ms 100

Speaks just enough HTTP/2 for StreamingRecognize over plain text; every other method is UNIMPLEMENTED. Every stream
hears the same words, so each answer is built once for all streams. An utterance is words and then silence, as where
people speak; the last word of each result names the position of the audio that it covers: `position-1700`. On SIGTERM
it prints its own time for each result as JSON: from audio having arrived to its result being handed to the kernel.

Frames and flow control: RFC 9113. Messages in frames: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import signal
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import hpack
import uvloop
from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[attr-defined]
from riva.client.proto import riva_asr_pb2 as messages

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER = struct.Struct(">BHBBI")
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 0x3, 0x4
MAX_WINDOW_BYTES = 2**31 - 1
DEFAULT_WINDOW_BYTES = 65_535
# Of the connection's window; after so much audio it is given anew.
RENEW_WINDOW_BYTES = 2**30
MAX_FRAME_BYTES = 16_384

BYTES_PER_MS = 32
WORD_MS = 325
FINAL_MS = 2000
SPOKEN_MS = 1300
WORDS = ("listening", "carefully", "recorded", "sentence", "yesterday", "morning", "together", "question")

RESPONSE_HEADERS = b"\x88" + b"\x0f\x10" + bytes([len(b"application/grpc")]) + b"application/grpc"


@dataclass(frozen=True)
class Script:
    """interim_ms: audio after which an interim follows; at the first after FINAL_MS it is a final instead."""

    interim_ms: int = 100

    @functools.cached_property
    def step_bytes(self) -> int:
        return self.interim_ms * BYTES_PER_MS


@functools.lru_cache(maxsize=65_536)
def answer(position_ms: int, begin_ms: int, is_final: bool) -> bytes:
    """One length-prefixed StreamingRecognizeResponse about the audio [begin_ms, position_ms)."""
    words = []
    spoken_to_ms = min(position_ms, begin_ms + SPOKEN_MS)
    for number, start_ms in enumerate(range(begin_ms, spoken_to_ms, WORD_MS)):
        end_ms = min(start_ms + WORD_MS, spoken_to_ms)
        is_last = end_ms == spoken_to_ms
        word = f"position-{position_ms}" if is_last else WORDS[(begin_ms // FINAL_MS + number) % len(WORDS)]
        words.append(messages.WordInfo(word=word, start_time=start_ms, end_time=end_ms, confidence=0.9))
    text = " ".join(word.word for word in words)
    alternative = messages.SpeechRecognitionAlternative(transcript=text, confidence=0.9, words=words)
    result = messages.StreamingRecognitionResult(
        alternatives=[alternative],
        is_final=is_final,
        stability=1.0 if is_final else 0.5,
        audio_processed=position_ms / 1000,
    )
    payload: bytes = messages.StreamingRecognizeResponse(results=[result]).SerializeToString()
    return struct.pack(">BI", 0, len(payload)) + payload


@dataclass(slots=True)
class OwnTime:
    """How long results took inside this program."""

    results: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def add(self, results: int, took_s: float) -> None:
        self.results += results
        self.total_s += took_s * results
        self.longest_s = max(self.longest_s, took_s)


@dataclass(slots=True)
class Stream:
    """One call. window: what may still be sent on it."""

    window: int
    partial: bytearray = field(default_factory=bytearray)
    heard_bytes: int = 0
    answered_ms: int = 0
    begin_ms: int = 0
    is_open: bool = False
    waiting: deque[tuple[bytes, int, int]] = field(default_factory=deque)


class RivaProtocol(asyncio.Protocol):
    """One connection with any number of streams."""

    def __init__(self, script: Script, own_time: OwnTime) -> None:
        self._script = script
        self._own_time = own_time
        self._buffer = bytearray()
        self._decoder = hpack.Decoder()
        self._streams: dict[int, Stream] = {}
        self._window = DEFAULT_WINDOW_BYTES
        self._peer_window = DEFAULT_WINDOW_BYTES
        self._consumed = 0
        self._greeted = False
        self._header_block = bytearray()
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        settings = struct.pack(">HIHI", MAX_CONCURRENT_STREAMS, MAX_WINDOW_BYTES, INITIAL_WINDOW_SIZE, MAX_WINDOW_BYTES)
        self._put(SETTINGS, 0, 0, settings)
        self._put(WINDOW_UPDATE, 0, 0, struct.pack(">I", MAX_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))
        self._flush()

    def data_received(self, data: bytes) -> None:
        started_s = time.perf_counter()
        results_before = self._own_time.results
        buffer = self._buffer
        buffer += data
        at = 0
        if not self._greeted:
            if len(buffer) < len(PREFACE):
                return
            self._greeted, at = True, len(PREFACE)
        while len(buffer) - at >= FRAME_HEADER.size:
            high, low, kind, flags, stream_id = FRAME_HEADER.unpack_from(buffer, at)
            end = at + FRAME_HEADER.size + (high << 16 | low)
            if end > len(buffer):
                break
            self._on_frame(kind, flags, stream_id, bytes(memoryview(buffer)[at + FRAME_HEADER.size : end]))
            at = end
        del buffer[:at]
        self._flush()
        results = self._own_time.results - results_before
        self._own_time.results = results_before
        self._own_time.add(results, time.perf_counter() - started_s)

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case 0:
                self._on_data(flags, stream_id, payload)
            case 1 | 9:
                self._on_headers(kind, flags, stream_id, payload)
            case 3:
                self._streams.pop(stream_id, None)
            case 4 if not flags & ACK:
                self._on_settings(payload)
            case 6 if not flags & ACK:
                self._put(PING, ACK, 0, payload)
            case 8:
                self._on_window(stream_id, int.from_bytes(payload) & MAX_WINDOW_BYTES)

    # Requests

    def _on_headers(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == HEADERS:
            padding = payload[0] if flags & PADDED else 0
            start = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
            payload = payload[start : len(payload) - padding]
        self._header_block += payload
        if not flags & END_HEADERS:
            return
        headers: dict[Any, Any] = dict(self._decoder.decode(bytes(self._header_block)))
        self._header_block.clear()
        if not str(headers.get(":path", "")).endswith("/StreamingRecognize"):
            self._put(HEADERS, END_HEADERS | END_STREAM, stream_id, RESPONSE_HEADERS + _status(12))
            return
        self._streams[stream_id] = Stream(self._peer_window)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed >= RENEW_WINDOW_BYTES:
            self._put(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._consumed))
            self._consumed = 0
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        partial = stream.partial
        partial += payload
        at = 0
        while len(partial) - at >= 5:
            end = at + 5 + int.from_bytes(partial[at + 1 : at + 5])
            if end > len(partial):
                break
            stream.heard_bytes += _audio_bytes(partial, at + 5, end)
            at = end
        del partial[:at]
        self._answer(stream_id, stream)
        if flags & END_STREAM:
            self._end(stream_id, stream)

    # Answers

    def _answer(self, stream_id: int, stream: Stream) -> None:
        step_ms = self._script.interim_ms
        heard_ms = stream.heard_bytes // BYTES_PER_MS
        while heard_ms - stream.answered_ms >= step_ms:
            stream.answered_ms += step_ms
            is_final = stream.answered_ms - stream.begin_ms >= FINAL_MS
            self._say(stream_id, stream, is_final)

    def _say(self, stream_id: int, stream: Stream, is_final: bool) -> None:
        self._own_time.results += 1
        self._send(stream_id, stream, answer(stream.answered_ms, stream.begin_ms, is_final))
        if is_final:
            stream.begin_ms = stream.answered_ms

    def _end(self, stream_id: int, stream: Stream) -> None:
        stream.answered_ms = stream.heard_bytes // BYTES_PER_MS
        if stream.answered_ms > stream.begin_ms:
            self._say(stream_id, stream, True)
        self._send(stream_id, stream, b"", is_last=True)

    def _send(self, stream_id: int, stream: Stream, message: bytes, *, is_last: bool = False) -> None:
        if not stream.is_open:
            stream.is_open = True
            self._put(HEADERS, END_HEADERS, stream_id, RESPONSE_HEADERS)
        stream.waiting.append((message, stream_id, is_last))
        self._send_waiting(stream)

    def _send_waiting(self, stream: Stream) -> None:
        while stream.waiting:
            message, stream_id, is_last = stream.waiting[0]
            if len(message) > min(stream.window, self._window):
                return
            stream.waiting.popleft()
            if is_last:
                self._put(HEADERS, END_HEADERS | END_STREAM, stream_id, _status(0))
                self._streams.pop(stream_id, None)
                return
            stream.window -= len(message)
            self._window -= len(message)
            for start in range(0, len(message), MAX_FRAME_BYTES):
                self._put(DATA, 0, stream_id, message[start : start + MAX_FRAME_BYTES])

    # The connection

    def _on_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._peer_window
                self._peer_window = value
        self._put(SETTINGS, ACK, 0, b"")

    def _on_window(self, stream_id: int, more: int) -> None:
        if stream_id == 0:
            self._window += more
            for stream in list(self._streams.values()):
                if stream.waiting:
                    self._send_waiting(stream)
        elif (stream_or_none := self._streams.get(stream_id)) is not None:
            stream_or_none.window += more
            self._send_waiting(stream_or_none)

    def _put(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._out.append(FRAME_HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id))
        self._out.append(payload)

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()


def _audio_bytes(buffer: bytearray, at: int, end: int) -> int:
    """How much audio a StreamingRecognizeRequest carries: audio_content (field 2) comes first or not at all."""
    if at == end or buffer[at] != 0x12:
        return 0
    size, _ = _DecodeVarint(buffer, at + 1)
    return int(size)


def _status(code: int) -> bytes:
    """Trailers: grpc-status as a literal without indexing."""
    name, value = b"grpc-status", str(code).encode()
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


async def serve(port: int, script: Script) -> OwnTime:
    """Serve until SIGTERM or SIGINT. Prints the port once it listens."""
    loop = asyncio.get_running_loop()
    own_time = OwnTime()
    server = await loop.create_server(lambda: RivaProtocol(script, own_time), "127.0.0.1", port)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    return own_time


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.riva")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interim-ms", type=int, default=100)
    arguments = parser.parse_args()
    own_time = uvloop.run(serve(arguments.port, Script(arguments.interim_ms)))
    mean_ms = own_time.total_s / own_time.results * 1000 if own_time.results else 0.0
    print(json.dumps({"results": own_time.results, "mean_ms": mean_ms, "longest_ms": own_time.longest_s * 1000}))


if __name__ == "__main__":
    main()
