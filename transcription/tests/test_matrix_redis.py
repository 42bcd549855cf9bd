"""Redis goes away, or hangs, while sessions speak and somebody watches: rows 26 and 27 of the fault matrix."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect

from transcription.fake_riva.audio import spoken, word_texts
from transcription.tests.chaos.fault_proxy import FaultProxy
from transcription.tests.servers import Client, Server, running_server

REDIS_URL = os.environ.get("TEST_REDIS_URL", "")
NEWS_TIMEOUT_S = 20.0
WORDS_EACH = 3

pytestmark = [
    pytest.mark.databases,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not REDIS_URL, reason="needs a Redis: `make test-databases` starts one"),
]


class Watched:
    """One session that speaks a few words at a time, and one page that watches it."""

    def __init__(self, server: Server, session_id: str) -> None:
        self.server = server
        self.session_id = session_id
        self.client: Client = server.client(session_id)
        self.page: ClientConnection
        self._spoken = 0

    async def say(self) -> str:
        """The next words, spoken and told to the client as stored. Returns them."""
        first = self._spoken + 1
        self._spoken += WORDS_EACH
        words = " ".join(word_texts(WORDS_EACH, first=first))
        await self.client.speak(spoken(WORDS_EACH, first=first))
        await self.client.until("transcript", lambda event: event["text"] == words and event["durable"] is True)
        return words

    async def sees(self, words: str) -> None:
        """Wait until the page was told these words."""
        async with asyncio.timeout(NEWS_TIMEOUT_S):
            while True:
                message: dict[str, Any] = json.loads(await self.page.recv())
                if any(segment.get("text") == words for segment in [message, *message.get("segments", ())]):
                    return


@asynccontextmanager
async def watched(data_dir: Path, session_id: str) -> AsyncIterator[tuple[Watched, FaultProxy]]:
    redis = urlsplit(REDIS_URL)
    async with FaultProxy(redis.hostname or "127.0.0.1", redis.port or 6379) as proxy:
        settings = {"REDIS_URL": redis._replace(netloc=proxy.address).geturl(), "WORKERS": "2"}
        async with running_elsewhere(data_dir, settings) as server:
            watched = Watched(server, session_id)
            async with watched.client:
                await watched.client.start()
                async with connect(server.socket_url(f"/api/v1/sessions/{session_id}/events")) as watched.page:
                    await watched.sees(await watched.say())
                    yield watched, proxy
                assert await watched.client.stop() == 1000


@asynccontextmanager
async def running_elsewhere(data_dir: Path, settings: dict[str, str]) -> AsyncIterator[Server]:
    """running_server, in a thread while it waits: the proxy is in this loop."""
    running = running_server(data_dir, **settings)
    server = await asyncio.to_thread(running.__enter__)
    try:
        yield server
    except BaseException:
        server.served.process.kill()
        raise
    else:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def goes_on_without_redis(
    data_dir: Path, session_id: str, break_redis: Callable[[FaultProxy], Awaitable[None]]
) -> None:
    async with watched(data_dir, session_id) as (session, proxy):
        await break_redis(proxy)
        for _ in range(3):
            await session.sees(await session.say())
        async with session.server.client(f"{session_id}-later") as later:
            await later.start()
            await later.speak(spoken(2))
            assert await later.stop() == 1000

        await proxy.heal()
        await session.sees(await session.say())

    assert session.client.finals == [" ".join(word_texts(WORDS_EACH, first=1 + WORDS_EACH * n)) for n in range(5)]


async def test_row_26_without_redis_transcription_goes_on_and_pages_are_told_from_the_database(
    new_data_dir: Callable[[], Path],
) -> None:
    async def stop(proxy: FaultProxy) -> None:
        await proxy.refuse()
        proxy.reset()

    await goes_on_without_redis(new_data_dir(), "row-26", stop)


async def test_row_27_a_redis_that_does_not_answer_holds_up_nothing(new_data_dir: Callable[[], Path]) -> None:
    async def hang(proxy: FaultProxy) -> None:
        proxy.hang()

    await goes_on_without_redis(new_data_dir(), "row-27", hang)
