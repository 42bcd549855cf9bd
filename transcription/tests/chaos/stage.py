"""A whole service with everything around it, behind proxies that can be told to fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from speechsite.tests.served import Served, manage, wait_for
from transcription.tests.chaos.fault_proxy import HOST, FaultProxy
from transcription.tests.chaos.processes import FakeRivaProcess

WORKER_MODULE = "speechsite.server"
SQLITE_FILE = "speechsite.sqlite3"


class Stage:
    """`async with Stage(...) as stage:` has a migrated database, two fake Rivas and a running service.

    Everything it writes lies in DATA_DIR. rivas: the scripts of the recognisers, `name=value` texts each.
    database_url, redis_url: of servers that run already; without one SQLite and no Redis. settings: of the service.
    """

    def __init__(
        self,
        rivas: list[list[str]],
        *,
        workers: int = 2,
        database_url: str = "",
        redis_url: str = "",
        settings: dict[str, str] | None = None,
    ) -> None:
        self.folder = Path(os.environ["DATA_DIR"])
        self.rivas = [FakeRivaProcess(self.folder, f"riva{n}", *script) for n, script in enumerate(rivas)]
        self.riva_proxies: list[FaultProxy] = []
        self.database_proxy: FaultProxy | None = None
        self.redis_proxy: FaultProxy | None = None
        self._workers = workers
        self._database_url = database_url or "sqlite://"
        self._redis_url = redis_url
        self._settings = settings or {}
        self._stack = contextlib.AsyncExitStack()

    @property
    def uses_sqlite(self) -> bool:
        return self._database_url.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path:
        return self.folder / SQLITE_FILE

    def socket_url(self, session_id: str) -> str:
        return self.served.url.replace("http", "ws", 1) + f"/api/v1/transcribe/{session_id}"

    async def workers(self) -> list[int]:
        """Process ids of the workers."""
        return await asyncio.to_thread(self.served.children, WORKER_MODULE)

    def words_heard(self) -> set[int]:
        return set().union(*(riva.words_heard() for riva in self.rivas))

    async def __aenter__(self) -> Self:
        try:
            await self._enter()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _enter(self) -> None:
        migrated = await asyncio.to_thread(
            manage, "migrate", "--verbosity", "0", data_dir=self.folder, DATABASE_URL=self._database_url
        )
        if migrated.returncode:
            raise RuntimeError(migrated.stderr)
        for riva in self.rivas:
            await riva.start()
            self._stack.push_async_callback(riva.stop)
            self.riva_proxies.append(await self._stack.enter_async_context(FaultProxy(HOST, riva.port)))
        database_url, redis_url = self._database_url, self._redis_url
        if not self.uses_sqlite:
            self.database_proxy, database_url = await self._behind_proxy(database_url)
        if redis_url:
            self.redis_proxy, redis_url = await self._behind_proxy(redis_url)
        settings = {
            "RIVA_SERVER": ",".join(proxy.address for proxy in self.riva_proxies),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            **self._settings,
        }
        self.served = Served(self.folder, "--workers", str(self._workers), **settings)
        # Starting and ending it blocks, and the proxies must go on meanwhile.
        await asyncio.to_thread(self.served.__enter__)
        self._stack.push_async_callback(asyncio.to_thread, self.served.__exit__, None, None, None)
        await asyncio.to_thread(wait_for, self.served.is_ready, "the service is ready")

    async def _behind_proxy(self, url: str) -> tuple[FaultProxy, str]:
        parts = urlsplit(url)
        proxy = await self._stack.enter_async_context(FaultProxy(parts.hostname or HOST, parts.port or 0))
        login = f"{parts.username}@" if parts.username else ""
        return proxy, urlunsplit(parts._replace(netloc=f"{login}{proxy.address}"))

    def clean_up(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def services_from_environment(database: str) -> tuple[str, str]:
    """URLs of database and Redis; what `scripts/with-services` started for postgres, none for sqlite."""
    if database == "sqlite":
        return "", ""
    return os.environ["TEST_DATABASE_URL"], os.environ["TEST_REDIS_URL"]
