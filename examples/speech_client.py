"""A client of the WebSocket API to copy into a program of yours. It needs `websockets` and nothing else.

As a program: speech_client.py FILE.wav    a WAV file of 16-bit PCM, as fast as the service takes it
              speech_client.py -           raw samples from standard input, for example
                                           arecord -q -t raw -f S16_LE -r 16000 | python speech_client.py -
Final results go to standard output, the interim result and everything else to standard error. Ctrl-C stops
the recording; the last words still arrive. A lost connection is made again, and nothing is lost.
SPEECHSITE_API_KEY: an API key or a start token.

As a module: `stopped = await transcribe(url, chunks, config, on_transcript=...)`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
import uuid
import wave
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

CHUNK_MS = 100
OPEN_TIMEOUT_S = 10
# The service pings every 20 s; a longer silence than this means that it is gone.
PING_TIMEOUT_S = 40
BYTES_PER_SAMPLE = 2
MESSAGE_BYTES = 32 * 1024
# Audio that is not settled is kept to be sent again: 120 s of 48 kHz stereo, 12 min of 16 kHz mono.
MAX_HELD_BYTES = 23_040_000
FIRST_RETRY_S, LONGEST_RETRY_S = 0.25, 8.0
# A connection that held for so long begins again with the first wait.
STABLE_S = 5.0

Event = dict[str, Any]


class SpeechError(Exception):
    """The service refused or ended the session. The fields are those of its `error` event.

    retryable: the session may be resumed, or the same may work later as a new one, after retry_after_ms.
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event["message"])
        self.code: int = event["code"]
        self.reason: str = event["reason"]
        self.retryable: bool = event["retryable"]
        self.retry_after_ms: int | None = event["retry_after_ms"]
        self.field: str | None = event["field"]
        self.request_id: str = event["request_id"]


class ConnectionLost(Exception):
    """The connection broke and the session could not be resumed. What was final until then is stored."""


class HeldAudio:
    """Audio from the first byte that the service may ask for again to the newest; positions count from the first."""

    def __init__(self) -> None:
        self.start = 0
        self.is_over = False
        self._bytes = bytearray()
        self._changed = asyncio.Event()

    @property
    def end(self) -> int:
        return self.start + len(self._bytes)

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Take audio from its source until that ends; also while there is no connection."""
        async for chunk in chunks:
            await self.until(lambda: len(self._bytes) < MAX_HELD_BYTES)
            self._bytes += chunk
            self.wake()
        self.is_over = True
        self.wake()

    def read(self, position: int, max_bytes: int) -> bytes:
        begin = position - self.start
        return bytes(self._bytes[begin : begin + max_bytes])

    def forget(self, position: int) -> None:
        if position > self.start:
            del self._bytes[: position - self.start]
            self.start = position
            self.wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            changed = self._changed
            await changed.wait()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()


class Session:
    """One session, over as many connections as it takes."""

    def __init__(
        self,
        url: str,
        config: Event,
        key: str,
        on_transcript: Callable[[Event], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self.held = HeldAudio()
        self._url = url
        self._config = config
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._on_transcript = on_transcript
        self._on_event = on_event
        self._token: str | None = None
        self._window_s = 0.0
        self._received_segments = 0
        self._sent_bytes = 0
        # How far may be sent: nothing before the first audio_ack; None: as far as there is audio.
        self._limit: int | None = 0
        self._is_open = False

    async def run(self) -> Event:
        """Stay until the session is over. Returns its `transcription_stopped`."""
        attempt, lost_at = 0, 0.0
        while True:
            try:
                began_at = time.monotonic()
                return await self._talk()
            except (ConnectionLost, SpeechError, OSError) as error:
                if self._token is None or (isinstance(error, SpeechError) and not error.retryable):
                    raise
                if self._is_open:
                    lost_at = time.monotonic()
                    attempt = attempt if lost_at - began_at < STABLE_S else 0
                delay_s = back_off_s(attempt, error)
                if time.monotonic() + delay_s - lost_at > self._window_s:
                    raise
                self._on_event({"event": "reconnecting", "in_ms": round(delay_s * 1000), "message": str(error)})
                await asyncio.sleep(delay_s)
                attempt += 1

    async def _talk(self) -> Event:
        """One connection, from the handshake to the close."""
        self._is_open, self._limit = False, 0
        try:
            async with connect(
                self._url,
                additional_headers=self._headers,
                open_timeout=OPEN_TIMEOUT_S,
                ping_timeout=PING_TIMEOUT_S,
                compression=None,
            ) as socket:
                sender = asyncio.create_task(self._send(socket))
                try:
                    return await self._receive(socket)
                finally:
                    sender.cancel()
                    await asyncio.gather(sender, return_exceptions=True)
        except (ConnectionClosed, InvalidHandshake) as error:
            raise ConnectionLost(str(error)) from None

    def _opening(self) -> Event:
        if self._token is None:
            return {"type": "start_transcription", "config": self._config}
        return {
            "type": "resume_transcription",
            "resume_token": self._token,
            "received_segments": self._received_segments,
            "held_from": self.held.start,
        }

    async def _send(self, socket: ClientConnection) -> None:
        # When the service closes, the receiver knows why.
        with contextlib.suppress(ConnectionClosed):
            await socket.send(json.dumps(self._opening()))
            while True:
                await self.held.until(lambda: self._room() > 0 or self._is_all_sent)
                if self._is_all_sent:
                    break
                chunk = self.held.read(self._sent_bytes, self._room())
                await socket.send(chunk)
                self._sent_bytes += len(chunk)
                if self._token is None:
                    self.held.forget(self._sent_bytes)
            await socket.send(json.dumps({"type": "stop_transcription"}))

    def _room(self) -> int:
        """How many bytes the next message may have. Until the session is open this is none."""
        room = min(self.held.end - self._sent_bytes, MESSAGE_BYTES)
        return room if self._limit is None else min(room, self._limit - self._sent_bytes)

    @property
    def _is_all_sent(self) -> bool:
        return self._is_open and self.held.is_over and self._sent_bytes == self.held.end

    async def _receive(self, socket: ClientConnection) -> Event:
        stopped: Event | None = None
        last_error: Event | None = None
        async for message in _until_closed(socket):
            event = json.loads(message)
            self._take(event)
            match event["event"]:
                case "transcription_stopped":
                    stopped = event
                case "error":
                    last_error = event
        if last_error is not None and socket.close_code == last_error["code"]:
            raise SpeechError(last_error)
        if stopped is None:
            raise ConnectionLost(f"closed with {socket.close_code}")
        return stopped

    def _take(self, event: Event) -> None:
        match event["event"]:
            case "session_created":
                self._window_s = event["limits"]["resume_window_ms"] / 1000
            case "transcription_started":
                self._token, self._is_open = event["resume_token"], True
            case "transcription_resumed":
                # Everything before this is settled; from here on audio is sent again.
                if event["audio_offset"] < self.held.start:
                    raise ValueError(f"byte {event['audio_offset']} was settled and is no longer held")
                self._sent_bytes, self._is_open = event["audio_offset"], True
                self.held.forget(self._sent_bytes)
            case "revised":
                self._received_segments = min(self._received_segments, event["from_segment"])
            case "audio_ack":
                self._limit = event["limit"]
                self.held.forget(min(event["safe"] or 0, self._sent_bytes))
            case "transcript":
                # A final with durable false was shown early while storage was slow; it comes again with true.
                if event["is_final"] and not event["durable"]:
                    return
                if event["is_final"]:
                    self._received_segments = event["segment"] + 1
                self._on_transcript(event)
                return
        self.held.wake()
        if event["event"] not in ("session_created", "audio_ack", "transcription_stopped"):
            self._on_event(event)


def back_off_s(attempt: int, error: Exception) -> float:
    """0.25 s, doubled up to 8 s, each ±50 % so that many clients do not come back at once; or what the service asks."""
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    wait_s: float = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**attempt) * jitter
    asked_ms = error.retry_after_ms if isinstance(error, SpeechError) else None
    return max(wait_s, (asked_ms or 0) / 1000)


async def transcribe(
    url: str,
    chunks: AsyncIterator[bytes],
    config: Event,
    *,
    key: str = "",
    on_transcript: Callable[[Event], None],
    on_event: Callable[[Event], None] = lambda event: None,
) -> Event:
    """Send audio until it ends and return the `transcription_stopped` event.

    A lost connection is made again and the session resumed, with the audio that came meanwhile.
    on_transcript: called with each interim and each stored final result. An interim replaces the one before it
    of the same `segment`, a final replaces them all. on_event: called with everything else; after {"event": "revised"}
    the finals from `from_segment` on are withdrawn and come again, {"event": "reconnecting"} is this client's own.
    Raises SpeechError, ConnectionLost, and OSError where nobody answers.
    """
    session = Session(url, config, key, on_transcript, on_event)
    source = asyncio.create_task(session.held.fill(chunks))
    talk = asyncio.create_task(session.run())
    try:
        await asyncio.wait({source, talk}, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            # A source of audio that failed, such as a damaged file, must not look like silence.
            await source
        return await talk
    finally:
        for task in (source, talk):
            task.cancel()
        await asyncio.gather(source, talk, return_exceptions=True)


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str]:
    """Messages until the server closes, whatever the close code: the events before it say why."""
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            yield str(message)


async def wav_chunks(path: str, stop: asyncio.Event) -> AsyncIterator[bytes]:
    with wave.open(path) as audio:
        frames = audio.getframerate() * CHUNK_MS // 1000
        while not stop.is_set() and (chunk := await asyncio.to_thread(audio.readframes, frames)):
            yield chunk


async def stdin_chunks(sample_rate_hz: int, stop: asyncio.Event) -> AsyncIterator[bytes]:
    size = sample_rate_hz * BYTES_PER_SAMPLE * CHUNK_MS // 1000
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            reading = asyncio.create_task(reader.read(size))
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() or not reading.result():
                reading.cancel()
                return
            yield reading.result()
    finally:
        stopping.cancel()


def config_of(options: argparse.Namespace) -> Event:
    """The format of the audio and the options; a WAV file says its format itself."""
    config = {"language": options.language, "sample_rate_hertz": options.rate}
    if options.file != "-":
        with wave.open(options.file) as audio:
            if audio.getsampwidth() != BYTES_PER_SAMPLE:
                raise SystemExit(f"{options.file} has {audio.getsampwidth() * 8}-bit samples; 16 bits are needed.")
            config["sample_rate_hertz"] = audio.getframerate()
            config["audio_channel_count"] = audio.getnchannels()
    return config


class Screen:
    """Finals on standard output; the interim result, where standard error is a terminal, on a line of its own."""

    def __init__(self) -> None:
        # Words that a broken connection cut off: either they come again, whole, or nothing comes after them.
        self._tails: list[str] = []

    def show(self, event: Event) -> None:
        is_terminal = sys.stderr.isatty()
        if is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if event["is_final"] and event["tail"]:
            self._tails.append(event["text"])
        elif event["is_final"]:
            print(event["text"], flush=True)
        elif is_terminal:
            print(event["text"][-100:], end="", file=sys.stderr, flush=True)

    def show_event(self, event: Event) -> None:
        if event["event"] == "revised":
            self._tails.clear()
        show_event(event)

    def finish(self) -> None:
        for text in self._tails:
            print(text, flush=True)


def show_event(event: Event) -> None:
    match event["event"]:
        case "audio_warning":
            print(f"Warning: {event['code']}", file=sys.stderr)
        case "recogniser_status":
            print(f"The recogniser is {event['state']} ({event['lag_ms']} ms behind).", file=sys.stderr)
        case "session_expiring":
            print(f"The session ends in {event['in_ms'] / 1000:g} s ({event['reason']}).", file=sys.stderr)
        case "reconnecting":
            print(f"{event['message']}; connecting again.", file=sys.stderr)
        case "transcription_resumed":
            print("The session goes on.", file=sys.stderr)


async def run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        stop.set()
        # A second Ctrl-C ends the program at once.
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    config = config_of(options)
    is_stdin = options.file == "-"
    chunks = stdin_chunks(options.rate, stop) if is_stdin else wav_chunks(options.file, stop)
    screen = Screen()
    try:
        stopped = await transcribe(
            f"{options.server}/api/v1/transcribe/{options.session or uuid.uuid4().hex}",
            chunks,
            config,
            key=os.environ.get("SPEECHSITE_API_KEY", ""),
            on_transcript=screen.show,
            on_event=screen.show_event,
        )
    finally:
        screen.finish()
    print(f"{stopped['segments']} segments of {stopped['audio_ms'] / 1000:.1f} s.", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Stream audio to the service and print what was said.")
    parser.add_argument("file", help="a WAV file, or - for raw 16-bit mono samples from standard input")
    parser.add_argument("--server", default="ws://127.0.0.1:8000", help="%(default)s")
    parser.add_argument("--session", help="session id; default: a random one")
    parser.add_argument("--language", default="en-US", help="%(default)s")
    parser.add_argument("--rate", type=int, default=16000, help="samples a second on standard input; %(default)s")
    try:
        asyncio.run(run(parser.parse_args()))
    except SpeechError as error:
        later = f" Try again in {error.retry_after_ms / 1000:g} s." if error.retry_after_ms else ""
        raise SystemExit(f"{error} ({error.code} {error.reason}){later}") from None
    except (ConnectionLost, OSError, EOFError, wave.Error) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
