"""Rows 30-37 of the fault matrix: processes that die, stand still or are replaced, two of them under one parent."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from speechsite.tests.served import wait_for
from transcription.fake_riva.audio import Speech
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.faulty_line import FaultyLine, Running, running_line

RESUME_WINDOW_S = 10
WORKERS = 2
MAX_CLIENTS = 20

patient = pytest.mark.timeout(240)
slow = pytest.mark.long


@pytest.fixture(scope="module")
def line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    with running_line(new_data_dir(), workers=WORKERS, RESUME_WINDOW_SECONDS=str(RESUME_WINDOW_S)) as line:
        yield line


def holder(line: FaultyLine, session_id: str) -> int:
    """Process id of the worker that has a session."""
    [row] = line.server.rows(
        "SELECT w.pid FROM transcription_transcriptionsession s JOIN transcription_worker w ON w.id = s.worker_id "
        "WHERE s.public_id = ?",
        session_id,
    )
    return int(row["pid"])


def all_workers_up(line: FaultyLine) -> None:
    wait_for(lambda: len(line.workers()) == WORKERS and line.server.served.is_ready(), "all workers are up")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def has_final(client: ResilientClient) -> None:
    await client.saw("transcript", lambda event: event["is_final"])


async def test_rows_30_35_a_killed_worker_costs_no_word(line: FaultyLine) -> None:
    async with Running(line.client("row-30")) as client:
        await has_final(client)
        os.kill(holder(line, "row-30"), signal.SIGKILL)
        await client.saw("transcription_resumed")
    assert client.closes[0] == 1006
    assert line.violations(client) == []
    assert line.stored("row-30").epoch >= 2
    all_workers_up(line)


@slow
@patient
async def test_row_31_a_session_that_nobody_takes_up_again_is_interrupted(line: FaultyLine) -> None:
    async with Running(line.client("row-31", speed=1.0)) as client:
        await has_final(client)
        settled = line.stored("row-31").segments
        client.leave()
        os.kill(holder(line, "row-31"), signal.SIGKILL)
    started_at = time.monotonic()
    line.wait_for_state("row-31", "detached", 45)
    line.wait_for_state("row-31", "interrupted", RESUME_WINDOW_S + 25)
    assert time.monotonic() - started_at < 60
    assert line.stored("row-31").segments[: len(settled)] == settled
    assert line.violations(client) == []
    all_workers_up(line)


@slow
@patient
async def test_row_32_workers_that_are_replaced_hand_their_sessions_over(line: FaultyLine) -> None:
    old = line.workers()
    speech = Speech(100)
    async with asyncio.TaskGroup() as group:
        clients = [line.client(f"row-32-{number}", speech, speed=1.0) for number in range(6)]
        for client in clients:
            group.create_task(client.run())
        for client in clients:
            await has_final(client)
        line.server.served.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(wait_for, lambda: not set(old) & set(line.workers()), "every worker is replaced", 90)
        for client in clients:
            client.switch_off()
    for client in clients:
        assert line.violations(client) == []
        assert 4503 in client.closes
        expiring = client.of("session_expiring")[0]
        assert (expiring["reason"], expiring["resume_elsewhere"]) == ("draining", True)
    all_workers_up(line)


@slow
@patient
async def test_row_33_a_worker_that_stands_still_for_three_seconds_disturbs_no_other(line: FaultyLine) -> None:
    clients: list[ResilientClient] = []
    async with asyncio.TaskGroup() as group:
        # Which worker takes a connection is a matter of chance.
        while len({holder(line, client.record.session_id) for client in clients}) < WORKERS:
            assert len(clients) < MAX_CLIENTS, "only one worker has sessions"
            client = line.client(f"row-33-{len(clients)}", Speech(60), speed=1.0)
            clients.append(client)
            group.create_task(client.run())
            await client.started.wait()
        for client in clients:
            await has_final(client)
        still = holder(line, "row-33-0")
        others = [client for client in clients if holder(line, client.record.session_id) != still]
        with stopped(still):
            for client in others:
                await client.saw("transcript", count=len(client.of("transcript")) + 3)
            await asyncio.sleep(3)
        for client in clients:
            client.switch_off()
    for client in clients:
        assert line.violations(client) == []
        assert client.closes == []


@slow
@patient
async def test_row_37_a_worker_that_wakes_up_writes_nothing_into_a_session_taken_from_it(line: FaultyLine) -> None:
    async with Running(line.client("row-37", Speech(80), speed=1.0)) as client:
        await has_final(client)
        with stopped(holder(line, "row-37")):
            client.cut()
            await client.saw("transcription_resumed")
            await client.saw("transcript", lambda event: event["is_final"], 4)
    assert line.violations(client) == []
    assert client.closes == [1006]
