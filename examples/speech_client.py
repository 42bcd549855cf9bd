"""A client of the WebSocket API to copy into a program of yours. It needs `websockets` and nothing else.

As a program: speech_client.py FILE.wav    a WAV file of 16-bit PCM, as fast as the service takes it
              speech_client.py -           raw samples from standard input, for example
                                           arecord -q -t raw -f S16_LE -r 16000 | python speech_client.py -
Final results go to standard output, the interim result and everything else to standard error. Ctrl-C stops
the recording; the last words still arrive. SPEECHSITE_API_KEY: an API key or a start token.

As a module: `stopped = await transcribe(url, chunks, config, on_transcript=...)`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
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

Event = dict[str, Any]


class SpeechError(Exception):
    """The service refused or ended the session. The fields are those of its `error` event.

    retryable: the same may work later, after retry_after_ms where that is known, under a new session id.
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
    """The connection broke before the transcript was complete. What was final until then is stored."""


class Credit:
    """How far the client may send: the `limit` of the newest `audio_ack`. None: the service sets no limit."""

    def __init__(self) -> None:
        self._sent_bytes = 0
        self._limit: int | None = 0
        self._moved = asyncio.Event()

    def move(self, limit: int | None) -> None:
        self._limit = limit
        self._moved.set()

    async def take(self, size_bytes: int) -> None:
        """Wait until so many bytes may be sent, and count them as sent."""
        while self._limit is not None and self._sent_bytes + size_bytes > self._limit:
            self._moved.clear()
            await self._moved.wait()
        self._sent_bytes += size_bytes


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

    on_transcript: called with each interim and each stored final result. An interim replaces the one before it
    of the same `segment`, a final replaces them all. on_event: called with everything else.
    Raises SpeechError, ConnectionLost, and OSError where nobody answers.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    credit = Credit()
    try:
        async with connect(
            url,
            additional_headers=headers,
            open_timeout=OPEN_TIMEOUT_S,
            ping_timeout=PING_TIMEOUT_S,
            compression=None,
        ) as socket:
            sender = asyncio.create_task(_send(socket, chunks, config, credit))
            receiver = asyncio.create_task(_receive(socket, credit, on_transcript, on_event))
            try:
                await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
                if not receiver.done():
                    # A source of audio that failed, such as a damaged file, must not look like silence.
                    await sender
                return await receiver
            finally:
                sender.cancel()
                receiver.cancel()
                await asyncio.gather(sender, receiver, return_exceptions=True)
    except (ConnectionClosed, InvalidHandshake) as error:
        raise ConnectionLost(str(error)) from None


async def _send(socket: ClientConnection, chunks: AsyncIterator[bytes], config: Event, credit: Credit) -> None:
    # Credit comes with the first audio_ack, once the recogniser is open; until then audio waits with its source.
    # When the service closes, the receiver knows why.
    with contextlib.suppress(ConnectionClosed):
        await socket.send(json.dumps({"type": "start_transcription", "config": config}))
        async for chunk in chunks:
            await credit.take(len(chunk))
            await socket.send(chunk)
        await socket.send(json.dumps({"type": "stop_transcription"}))


async def _receive(
    socket: ClientConnection,
    credit: Credit,
    on_transcript: Callable[[Event], None],
    on_event: Callable[[Event], None],
) -> Event:
    stopped: Event | None = None
    last_error: Event | None = None
    async for message in _until_closed(socket):
        event = json.loads(message)
        match event["event"]:
            case "audio_ack":
                credit.move(event["limit"])
            case "transcript":
                # A final with durable false was shown early while storage was slow; it comes again with true.
                if not event["is_final"] or event["durable"]:
                    on_transcript(event)
            case "transcription_stopped":
                stopped = event
            case "error":
                last_error = event
                on_event(event)
            case _:
                on_event(event)
    if last_error is not None and socket.close_code == last_error["code"]:
        raise SpeechError(last_error)
    if stopped is None:
        raise ConnectionLost(f"closed with {socket.close_code}")
    return stopped


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


def show_transcript(event: Event) -> None:
    is_terminal = sys.stderr.isatty()
    if is_terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if event["is_final"]:
        print(event["text"], flush=True)
    elif is_terminal:
        print(event["text"][-100:], end="", file=sys.stderr, flush=True)


def show_event(event: Event) -> None:
    match event["event"]:
        case "audio_warning":
            print(f"Warning: {event['code']}", file=sys.stderr)
        case "recogniser_status":
            print(f"The recogniser is {event['state']} ({event['lag_ms']} ms behind).", file=sys.stderr)
        case "session_expiring":
            print(f"The session ends in {event['in_ms'] / 1000:g} s ({event['reason']}).", file=sys.stderr)


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
    stopped = await transcribe(
        f"{options.server}/api/v1/transcribe/{options.session or uuid.uuid4().hex}",
        chunks,
        config,
        key=os.environ.get("SPEECHSITE_API_KEY", ""),
        on_transcript=show_transcript,
        on_event=show_event,
    )
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
