"""A whole server in a process of its own, with a scripted Riva and a real database, for tests over real sockets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGTERM
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from speechsite.tests.served import Served, wait_for
from transcription.fake_riva.script import Script
from transcription.fake_riva.server import ScriptedRiva

EVENT_TIMEOUT_S = 20.0
SIGNS_OF_BUGS = ("connection_failed", "session_failed", "tick_failed", "Exception in ASGI", "never retrieved")
SESSION_COLUMNS = (
    "state, end_reason, end_message, audio_bytes, audio_ms, segment_count, committed_bytes, client_address"
)


class RivaThread:
    """A ScriptedRiva on a loop of its own, so that it outlives the loops of single tests."""

    def __init__(self, script: Script) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-riva")
        self._script = script

    def __enter__(self) -> ScriptedRiva:
        self._thread.start()
        self._riva = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(EVENT_TIMEOUT_S)
        return self._riva

    async def _start(self) -> ScriptedRiva:
        riva = ScriptedRiva(default=self._script)
        await riva.start()
        return riva

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._riva.stop(), self._loop).result(EVENT_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(EVENT_TIMEOUT_S)
        self._loop.close()


class Server:
    """A running service, the Riva behind it and the database under it."""

    def __init__(self, served: Served, riva: ScriptedRiva, database: Path) -> None:
        self.served = served
        self.riva = riva
        self._database = database

    def socket_url(self, path: str) -> str:
        return self.served.url.replace("http", "ws", 1) + path

    def client(self, session_id: str, **options: Any) -> Client:
        return Client(self.socket_url(f"/api/v1/transcribe/{session_id}"), **options)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self._database, timeout=20)) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute(sql, values)]
            database.commit()
        return found

    def session(self, session_id: str) -> dict[str, Any] | None:
        """The row of a session, or None."""
        found = self.rows(
            f"SELECT {SESSION_COLUMNS} FROM transcription_transcriptionsession WHERE public_id = ?",  # noqa: S608
            session_id,
        )
        return found[0] if found else None

    def ended(self, session_id: str) -> dict[str, Any]:
        """The row of a session, once nobody holds it any more: ended, or detached for its client to come back."""
        row: dict[str, Any] = {}

        def has_ended() -> bool:
            row.update(self.session(session_id) or {})
            return row.get("state") in ("completed", "interrupted", "failed", "detached")

        wait_for(has_ended, f"{session_id} has ended", EVENT_TIMEOUT_S)
        return row

    def segments(self, session_id: str) -> list[dict[str, Any]]:
        return self.rows(
            'SELECT "index", g.text, g.tail FROM transcription_transcriptsegment g '
            "JOIN transcription_transcriptionsession s ON s.id = g.session_id "
            'WHERE s.public_id = ? ORDER BY "index"',
            session_id,
        )

    def all_released(self) -> None:
        """Wait until the recogniser holds no stream."""
        wait_for(lambda: self.riva.open_streams == 0, "every stream is released", EVENT_TIMEOUT_S)


@contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[Server]:
    """A server with these settings, whose recogniser settles what it heard.

    At the end every stream must be released, the exit clean and no bug in the log.
    """
    with RivaThread(Script(settles=True)) as riva:
        usual = {"RIVA_SERVER": riva.address, "DATABASE_URL": "sqlite://", "REDIS_URL": ""}
        with Served(data_dir, **(usual | settings)) as served:
            server = Server(served, riva, data_dir / "speechsite.sqlite3")
            wait_for(served.is_ready, "ready")
            yield server
            server.all_released()
            code = served.stop(SIGTERM)
        assert code == 0, served.output
        bugs = [line for line in served.output.splitlines() if any(sign in line for sign in SIGNS_OF_BUGS)]
        assert not bugs, served.output


class Client:
    """One connection of the native protocol, nothing smoothed over: every event as it came, and the close."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.events: list[dict[str, Any]] = []
        self._options = {"compression": None, "open_timeout": EVENT_TIMEOUT_S, "max_size": None} | options

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await connect(self.url, **self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def send(self, message: dict[str, Any] | bytes | str) -> None:
        await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def receive(self) -> dict[str, Any]:
        """The next event. Raises ConnectionClosed."""
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            event: dict[str, Any] = json.loads(await self.socket.recv())
        self.events.append(event)
        return event

    async def until(self, kind: str, holds: Callable[[dict[str, Any]], bool] = lambda _event: True) -> dict[str, Any]:
        """The next event of a kind for which something holds."""
        while True:
            event = await self.receive()
            if event["event"] == kind and holds(event):
                return event

    async def start(self, **config: Any) -> dict[str, Any]:
        await self.send({"type": "start_transcription", "config": config})
        return await self.until("transcription_started")

    async def speak(self, audio: bytes, chunk_bytes: int = 3200) -> None:
        for start in range(0, len(audio), chunk_bytes):
            await self.send(audio[start : start + chunk_bytes])

    async def stop(self) -> int:
        await self.send({"type": "stop_transcription"})
        return await self.closed()

    async def closed(self) -> int:
        """Read to the end. Returns the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.socket.close_code or 0

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def finals(self) -> list[str]:
        return [event["text"] for event in self.of("transcript") if event["is_final"] and event["durable"]]

    @property
    def error(self) -> dict[str, Any]:
        """The last event, which must be an error."""
        assert self.events[-1]["event"] == "error", self.events
        return self.events[-1]
