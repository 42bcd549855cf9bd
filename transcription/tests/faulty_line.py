"""A whole service whose connections on both sides can be told to fail, for the rows of the fault matrix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from speechsite.tests.served import Served, wait_for
from transcription.fake_riva.audio import Speech, word_numbers
from transcription.fake_riva.script import Script
from transcription.fake_riva.server import ScriptedRiva
from transcription.tests.chaos.checker import TIME_TOLERANCE_MS, Violation, check
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.fault_proxy import HOST, FaultProxy
from transcription.tests.chaos.microphone import Microphone
from transcription.tests.chaos.records import StoredSegment, StoredSession
from transcription.tests.loop_thread import LoopThread
from transcription.tests.servers import Server

WORKER_MODULE = "speechsite.server"
PLAIN = Script()
# Eight times as fast as it is spoken, so that tests are short; a replay may be half as fast as that.
SPEED = 8.0
SPEECH = Speech(20, words_per_utterance=5, word_ms=100, gap_ms=60, pause_ms=1000)


class FaultyLine:
    """server: the running service. riva, riva_proxy: its recogniser and what stands before it. front: a proxy
    before the service. thread: the loop in which these three live."""

    def __init__(
        self, server: Server, thread: LoopThread, riva: ScriptedRiva, riva_proxy: FaultProxy, front: FaultProxy
    ) -> None:
        self.server = server
        self.thread = thread
        self.riva = riva
        self.riva_proxy = riva_proxy
        self.front = front

    def reset(self) -> None:
        """Whole again, between two tests."""
        self.thread.run(self.riva_proxy.heal())
        self.thread.run(self.front.heal())
        self.thread.call(self.riva.thaw)
        self.riva.default, self.riva.refuse_next = PLAIN, 0
        self.riva.scripts.clear()

    def take_riva_away(self) -> None:
        """As when its process ends: connections break, new ones are refused."""
        self.thread.run(self.riva_proxy.refuse())
        self.thread.call(self.riva_proxy.reset)

    def bring_riva_back(self) -> None:
        self.thread.run(self.riva_proxy.heal())

    def client(
        self,
        session_id: str,
        speech: Speech = SPEECH,
        *,
        speed: float = SPEED,
        buffer_s: float = 600.0,
        through_proxy: bool = False,
        **config: Any,
    ) -> ResilientClient:
        url = self.server.socket_url(f"/api/v1/transcribe/{session_id}")
        if through_proxy:
            url = urlsplit(url)._replace(netloc=self.front.address).geturl()
        microphone = Microphone.speaking(speech, speed=speed, buffer_s=buffer_s)
        return ResilientClient(url, session_id, microphone, config=config)

    def workers(self) -> list[int]:
        return self.server.served.children(WORKER_MODULE)

    def stored(self, session_id: str) -> StoredSession:
        [row] = self.server.rows("SELECT * FROM transcription_transcriptionsession WHERE public_id = ?", session_id)
        segments = self.server.rows(
            'SELECT * FROM transcription_transcriptsegment WHERE session_id = ? ORDER BY "index"', row["id"]
        )
        return StoredSession(
            session_id,
            row["state"],
            row["epoch"],
            row["next_seq"],
            row["committed_bytes"],
            tuple(_segment(segment) for segment in segments),
            row["flushed_bytes"],
            tuple((start, end) for start, end in json.loads(row["gaps"])),
        )

    def state(self, session_id: str) -> str:
        return self.stored(session_id).state

    def wait_for_state(self, session_id: str, state: str, timeout_s: float) -> None:
        wait_for(lambda: self.state(session_id) == state, f"{session_id} is {state}", timeout_s)

    def violations(self, client: ResilientClient, time_tolerance_ms: int | None = TIME_TOLERANCE_MS) -> list[Violation]:
        """What the checker finds, `[]` for lossless."""
        record = client.record
        heard = {number for text in self.riva.finals for number in word_numbers(text)}
        stored = {record.session_id: self.stored(record.session_id)}
        return check([record], stored, heard, time_tolerance_ms=time_tolerance_ms).violations


def _segment(row: dict[str, Any]) -> StoredSegment:
    words = tuple((word["word"], word["start_ms"], word["end_ms"]) for word in json.loads(row["words"]))
    return StoredSegment(
        row["index"],
        row["epoch"],
        row["start_ms"],
        row["end_ms"],
        row["asr_text"],
        words,
        bool(row["tail"]),
        bool(row["promoted"]),
    )


@contextmanager
def running_line(
    data_dir: Path, *, workers: int = 1, riva_options: dict[str, Any] | None = None, **settings: str
) -> Iterator[FaultyLine]:
    """A service on SQLite with a recogniser that tells word times and declares nothing."""
    with ExitStack() as stack:
        thread = stack.enter_context(LoopThread())

        async def make_riva() -> tuple[ScriptedRiva, FaultProxy]:
            riva = ScriptedRiva(host=HOST, **(riva_options or {}))
            await riva.start()
            proxy = FaultProxy(HOST, riva.port)
            await proxy.__aenter__()
            return riva, proxy

        riva, riva_proxy = thread.run(make_riva())
        stack.callback(lambda: thread.run(riva.stop()))
        stack.callback(lambda: thread.run(riva_proxy.__aexit__(None, None, None)))
        served = stack.enter_context(
            Served(
                data_dir,
                "--workers",
                str(workers),
                RIVA_SERVER=riva_proxy.address,
                DATABASE_URL="sqlite://",
                REDIS_URL="",
                **settings,
            )
        )
        wait_for(served.is_ready, "ready")

        async def make_front() -> FaultProxy:
            front = FaultProxy(HOST, urlsplit(served.url).port or 0)
            return await front.__aenter__()

        front = thread.run(make_front())
        stack.callback(lambda: thread.run(front.__aexit__(None, None, None)))
        server = Server(served, riva, data_dir / "speechsite.sqlite3")
        yield FaultyLine(server, thread, riva, riva_proxy, front)


class Running:
    """`async with Running(client) as client:` speaks in the background; `finished()` waits for the end."""

    def __init__(self, client: ResilientClient) -> None:
        self.client = client

    async def __aenter__(self) -> ResilientClient:
        self.task = asyncio.create_task(self.client.run())
        return self.client

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Waits for the end of the session, unless the test has failed."""
        if kind is not None:
            self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=kind is not None)
