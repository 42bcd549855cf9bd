"""A client that never gives up: it buffers, reconnects, resumes, and writes down what it sent and saw."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from transcription.tests.chaos.microphone import BYTES_PER_SAMPLE, Microphone
from transcription.tests.chaos.records import ClientRecord, SeenFinal

CHUNK_BYTES = 3200
CHUNK_S = 0.1
# A backlog is sent at most this much faster than it was spoken.
CATCH_UP_CHUNKS = 4
FIRST_BACKOFF_S = 0.25
MAX_BACKOFF_S = 8.0
STABLE_S = 5.0
OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
NOT_RETRYABLE = frozenset({1000, 4400, 4401, 4403, 4404, 4409, 4410, 4413, 4415, 4422, 4490})

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long something took to work again. kind: `recogniser`, `client` (it was cut on purpose) or `service`."""

    kind: str
    at_s: float
    seconds: float


class _Over(Exception):
    """The session is over; nothing more is to be done."""


class ResilientClient:
    """One session of the native protocol, whatever happens to its connections.

    url: of the session. on_event: called with each event.
    """

    def __init__(
        self,
        url: str,
        session_id: str,
        microphone: Microphone,
        *,
        config: dict[str, Any] | None = None,
        jitter: Callable[[], float] = random.random,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.record = ClientRecord(session_id)
        self.events: list[Event] = []
        self.closes: list[int] = []
        self.recoveries: list[Recovery] = []
        self.started = asyncio.Event()
        self._news = asyncio.Event()
        self._url = url
        self._microphone = microphone
        self._config = config or {}
        self._jitter = jitter
        self._on_event = on_event
        self._token: str | None = None
        self._socket: ClientConnection | None = None
        self._position = 0
        self._limit: int | None = None
        self._safe = 0
        self._held_from = 0
        self._stop_sent = False
        self._is_leaving = False
        self._cut_for_s: float | None = None
        self._lost_at_s: float | None = None
        self._lost_kind = "service"
        self._recogniser_lost_at_s: float | None = None
        self._loop = asyncio.get_running_loop()

    # What tests do to it

    def cut(self, offline_s: float = 0.0) -> None:
        """Lose the connection without a word, and come back no sooner than offline_s later."""
        self._cut_for_s = offline_s
        if self._socket is not None:
            self._socket.transport.abort()

    def move_to(self, url: str) -> None:
        """Come back by another way."""
        self._url = url
        self.cut()

    def leave(self) -> None:
        """Vanish for good."""
        self._is_leaving = True
        self.cut()

    def switch_off(self) -> None:
        """End the recording; what is not sent yet still is, and then the session is stopped."""
        self._microphone.switch_off(self._loop.time())

    async def saw(self, kind: str, holds: Callable[[Event], bool] = lambda _event: True, count: int = 1) -> Event:
        """The count-th event of a kind for which something holds; the test's own timeout bounds the wait."""
        while True:
            found = [event for event in self.of(kind) if holds(event)]
            if len(found) >= count:
                return found[count - 1]
            self._news.clear()
            await self._news.wait()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["event"] == kind]

    async def run(self) -> ClientRecord:
        """Speak until the end of the audio and return what happened."""
        backoff_s = FIRST_BACKOFF_S
        while not self._is_leaving:
            connected_at_s = self._loop.time()
            try:
                code = await self._connect_once()
            except _Over:
                break
            now_s = self._loop.time()
            self._note_loss(now_s)
            if code in NOT_RETRYABLE:
                self.record.problems.append(f"the connection was closed with {code}")
                break
            if self._token is None:
                break  # it never started, or cannot be resumed
            if now_s - connected_at_s > STABLE_S:
                backoff_s = FIRST_BACKOFF_S
            await asyncio.sleep(max(self._cut_for_s or 0.0, backoff_s * (0.5 + self._jitter())))
            self._cut_for_s = None
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
        self.record.words = self._microphone.words_before(self.record.sent_bytes)
        return self.record

    @property
    def never_started(self) -> bool:
        return not self.started.is_set()

    @property
    def text(self) -> str:
        return " ".join(final.text for _, final in sorted(self.record.finals.items()))

    # One connection

    async def _connect_once(self) -> int:
        """Speak on one connection until it is closed. Returns the close code, 1006 where there was none."""
        self._limit = None
        try:
            async with connect(
                self._url,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=1.0,
                max_size=None,
                proxy=None,
            ) as socket:
                self._socket = socket
                sender = asyncio.create_task(self._send(socket))
                try:
                    await self._receive(socket)
                finally:
                    sender.cancel()
                    await asyncio.gather(sender, return_exceptions=True)
                    self._socket = None
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
            code = 1006
        else:
            code = socket.close_code or 1006
        self.closes.append(code)
        return code

    async def _send(self, socket: ClientConnection) -> None:
        try:
            await self._send_first(socket)
            while True:
                await self._send_due(socket)
                await asyncio.sleep(CHUNK_S)
        except ConnectionClosed:
            return  # the receiver knows

    async def _send_first(self, socket: ClientConnection) -> None:
        message: dict[str, Any] = {"type": "start_transcription", "config": self._config}
        if self._token is not None:
            self._held_from = self._microphone.held_from(self._safe, self._loop.time())
            message = {
                "type": "resume_transcription",
                "resume_token": self._token,
                "received_segments": len(self.record.finals),
            }
            if self._held_from > self._safe:
                message["held_from"] = self._held_from
        self._stop_sent = False
        await socket.send(json.dumps(message))

    async def _send_due(self, socket: ClientConnection) -> None:
        if self._limit is None:
            return
        chunk_bytes = int(CHUNK_BYTES * self._microphone.speed) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        for _ in range(CATCH_UP_CHUNKS):
            last = min(self._position + chunk_bytes, self._microphone.recorded(self._loop.time()), self._limit)
            if last <= self._position:
                break
            chunk = self._microphone.read(self._position, last)
            self._position = last
            self.record.sent_bytes = max(self.record.sent_bytes, last)
            await socket.send(chunk)
        if self._position >= self._microphone.end and not self._stop_sent:
            self._stop_sent = True
            await socket.send(json.dumps({"type": "stop_transcription"}))

    async def _receive(self, socket: ClientConnection) -> None:
        try:
            while True:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    event: Event = json.loads(await socket.recv())
                self.events.append(event)
                self._take(event)
                self._on_event(event)
                self._news.set()
        except ConnectionClosed:
            if self.record.stopped is not None:
                raise _Over from None

    # Events

    def _take(self, event: Event) -> None:
        now_s = self._loop.time()
        match event["event"]:
            case "transcription_started":
                self._token = event["resume_token"] if event["resumable"] else None
                self._microphone.start(now_s)
                self.started.set()
            case "transcription_resumed":
                self._take_resumed(event, now_s)
            case "revised":
                self._take_revised(event["from_segment"])
            case "transcript" if event["is_final"] and event["durable"]:
                self._take_final(event)
            case "audio_ack":
                self._take_ack(event)
            case "recogniser_status":
                self._take_status(event["state"], now_s)
            case "transcription_stopped":
                self.record.stopped = event

    def _take_resumed(self, event: Event, now_s: float) -> None:
        if self._lost_at_s is not None:
            self.recoveries.append(Recovery(self._lost_kind, now_s, now_s - self._lost_at_s))
            self._lost_at_s = None
        offset = event["audio_offset"]
        if self._held_from > self._safe and offset == self._held_from:
            self.record.discarded.append((self._safe, offset))
        if offset < self._held_from:
            self._complain(f"byte {offset} is asked for, {self._held_from} is the first that is held")
        if offset > self.record.sent_bytes and offset != self._held_from:
            self._complain(f"resumed at {offset}, {self.record.sent_bytes} were sent")
        self.record.resumed_at.append(event["next_segment"])
        self._position = offset
        self._recogniser_lost_at_s = None

    def _take_revised(self, from_segment: int) -> None:
        for index in [index for index in self.record.finals if index >= from_segment]:
            if not self.record.finals.pop(index).tail:
                self._complain(f"segment {index} is withdrawn and was no tail")

    def _take_final(self, event: Event) -> None:
        index = event["segment"]
        known = self.record.finals.get(index)
        if known is not None and known.text != event["text"]:
            self._complain(f"segment {index} changed from {known.text!r} to {event['text']!r}")
        if known is None and index != len(self.record.finals):
            self._complain(f"segment {index} came after {len(self.record.finals)} of them")
        self.record.finals[index] = SeenFinal(event["text"], event["start_ms"], event["end_ms"], event["tail"])

    def _take_ack(self, event: Event) -> None:
        if event["safe"] < self._safe:
            self._complain(f"safe went back from {self._safe} to {event['safe']}")
        if event["received"] > self._position:
            self._complain(f"{event['received']} bytes are received, {self._position} were sent")
        self._safe = max(self._safe, event["safe"])
        self._limit = event["limit"]

    def _take_status(self, state: str, now_s: float) -> None:
        if state == "reconnecting" and self._recogniser_lost_at_s is None:
            self._recogniser_lost_at_s = now_s
        elif state == "ok" and self._recogniser_lost_at_s is not None:
            self.recoveries.append(Recovery("recogniser", now_s, now_s - self._recogniser_lost_at_s))
            self._recogniser_lost_at_s = None

    def _note_loss(self, now_s: float) -> None:
        if self._lost_at_s is None:
            self._lost_at_s = now_s + (self._cut_for_s or 0.0)
            self._lost_kind = "service" if self._cut_for_s is None else "client"

    def _complain(self, problem: str) -> None:
        self.record.problems.append(problem)
