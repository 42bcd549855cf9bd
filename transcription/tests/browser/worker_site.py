"""A site of two workers on PostgreSQL and Redis, with people who speak on both of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from speechsite.tests.served import Served, manage, wait_for
from transcription.fake_riva.audio import Speech
from transcription.fake_riva.server import ScriptedRiva
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.microphone import Microphone
from transcription.tests.faulty_line import WORKER_MODULE
from transcription.tests.loop_thread import LoopThread

WORKERS = 2
# Connections go to whichever worker has fewer; so many are enough for both to have a session.
MAX_SPEAKERS = 6
# Longer than any test takes.
SPEECH = Speech(1500, words_per_utterance=6)


class WorkerSite:
    """served: the running service. Who speaks does so until hush()."""

    def __init__(self, served: Served, thread: LoopThread, database_url: str, settings: dict[str, str]) -> None:
        self.served = served
        self.settings = settings
        self._thread = thread
        self._database_url = database_url
        self._speaking: list[asyncio.Task[object]] = []

    @property
    def url(self) -> str:
        return self.served.url

    def processes(self) -> set[int]:
        """Process ids of the workers."""
        return set(self.served.children(WORKER_MODULE))

    def speak(self, session_id: str) -> ResilientClient:
        """A session that has started."""
        client = self._thread.run(self._start(session_id))
        self._thread.run(client.started.wait())
        return client

    def speak_on_both_workers(self, name: str) -> list[ResilientClient]:
        """Two sessions, NAME-0 and another, each on a worker of its own."""
        clients = [self.speak(f"{name}-0")]
        first = self._worker_of(f"{name}-0")
        for number in range(1, MAX_SPEAKERS):
            clients.append(self.speak(f"{name}-{number}"))
            if self._worker_of(f"{name}-{number}") != first:
                return [clients[0], clients[-1]]
        raise AssertionError("only one worker has sessions")

    def hush(self) -> None:
        """All leave, without a word to the service."""

        async def leave() -> None:
            for task in self._speaking:
                task.cancel()
            await asyncio.gather(*self._speaking, return_exceptions=True)
            self._speaking.clear()

        self._thread.run(leave())

    async def _start(self, session_id: str) -> ResilientClient:
        address = self.url.replace("http", "ws", 1)
        client = ResilientClient(
            f"{address}/api/v1/transcribe/{session_id}",
            session_id,
            Microphone.speaking(SPEECH),
            config={"title": f"Title of {session_id}", "keep_audio": True},
        )
        self._speaking.append(asyncio.create_task(client.run()))
        return client

    def _worker_of(self, session_id: str) -> object:
        query = "SELECT worker_id FROM transcription_transcriptionsession WHERE public_id = %s"
        with psycopg.connect(self._database_url) as database:
            row = database.execute(query, [session_id]).fetchone()
        assert row is not None
        return row[0]


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    """An empty PostgreSQL database of its own beside the one that server_url names; its address."""
    name = f"site_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def running_workers(data_dir: Path, server_url: str, redis_url: str, *seeds: Path, **more: str) -> Iterator[WorkerSite]:
    """seeds: scripts that fill the database first."""
    with LoopThread() as thread, new_database(server_url) as database_url:
        riva = ScriptedRiva(host="127.0.0.1")
        thread.run(riva.start())
        settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RIVA_SERVER": riva.address, **more}
        seed = "\n".join(path.read_text() for path in seeds)
        for arguments in (("migrate", "--verbosity", "0"), ("shell", "--command", seed)):
            outcome = manage(*arguments, data_dir=data_dir, **settings)
            assert outcome.returncode == 0, outcome.stderr
        try:
            with Served(data_dir, "--workers", str(WORKERS), **settings) as served:
                wait_for(served.is_ready, "ready")
                site = WorkerSite(served, thread, database_url, settings)
                try:
                    yield site
                finally:
                    site.hush()
        finally:
            thread.run(riva.stop())
