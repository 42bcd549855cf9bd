"""Sessions that are followed over real sockets, over two workers without a Redis; one of the workers is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from speechsite.tests.served import wait_for
from transcription.tests.faulty_line import FaultyLine, Running, running_line
from transcription.tests.follower import Follower
from transcription.tests.test_matrix_processes import all_workers_up, holder

FOLLOWERS = 3

pytestmark = [pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    with running_line(new_data_dir(), workers=2) as line:
        yield line


def url_of(line: FaultyLine, session_id: str) -> str:
    return line.server.socket_url(f"/api/v1/sessions/{session_id}/events")


@asynccontextmanager
async def following(line: FaultyLine, session_id: str) -> AsyncIterator[list[Follower]]:
    """Some who follow a session, on either worker; at the end all have seen its end."""
    followers = [Follower(url_of(line, session_id)) for _ in range(FOLLOWERS)]
    tasks = [asyncio.create_task(follower.run()) for follower in followers]
    try:
        for follower in followers:
            await follower.saw("snapshot")
        yield followers
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def stored_texts(line: FaultyLine, session_id: str) -> list[str]:
    return [segment.text for segment in line.stored(session_id).segments]


def check(line: FaultyLine, session_id: str, followers: list[Follower]) -> None:
    """Everybody has everything that is stored, in the right order and number."""
    stored = stored_texts(line, session_id)
    assert stored
    for follower in followers:
        assert follower.texts == stored
        assert sorted(follower.segments) == list(range(len(stored)))
        assert follower.closes[-1] == 1000
        for messages in follower.messages:
            numbered = [message["seq"] for message in messages if message["event"] != "error"]
            assert numbered == list(range(len(numbered)))


async def test_everybody_is_told_everything_whichever_worker_they_are_on(line: FaultyLine) -> None:
    async with Running(line.client("followed")) as client:
        await client.started.wait()
        async with following(line, "followed") as followers:
            pass
    check(line, "followed", followers)
    assert all(follower.closes == [1000] for follower in followers)


async def test_a_worker_that_is_killed_costs_those_who_follow_no_final(line: FaultyLine) -> None:
    async with Running(line.client("killed")) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        async with following(line, "killed") as followers:
            os.kill(holder(line, "killed"), signal.SIGKILL)
            await client.saw("transcription_resumed")
    check(line, "killed", followers)
    assert line.violations(client) == []
    all_workers_up(line)


async def test_a_speaker_who_is_cut_off_and_comes_back_is_followed(line: FaultyLine) -> None:
    async with Running(line.client("cut")) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        async with following(line, "cut") as followers:
            client.cut(offline_s=2.0)
            await client.saw("transcription_resumed")
    check(line, "cut", followers)


async def test_a_session_that_is_over_is_told_to_who_comes_late(line: FaultyLine) -> None:
    async with Running(line.client("over")):
        pass
    follower = Follower(url_of(line, "over"))
    await follower.run()
    check(line, "over", [follower])
    assert [message["event"] for message in follower.messages[0]] == ["snapshot", "ended"]


async def test_who_leaves_at_once_leaves_the_session_alone(line: FaultyLine) -> None:
    async with Running(line.client("left")) as client:
        await client.started.wait()
        for _ in range(20):
            async with connect(url_of(line, "left")) as socket:
                socket.transport.abort()
    assert line.violations(client) == []
    await asyncio.to_thread(wait_for, line.server.served.is_ready, "ready")
