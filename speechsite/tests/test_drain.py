"""A drain that is asked for: every worker refuses new sessions and ends its live ones, and goes on answering."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speechsite.config import BASE_DIR
from speechsite.drain import Drain
from speechsite.tests.served import EVENT_TIMEOUT_S, Served, environment, wait_for
from transcription.fake_riva.audio import spoken, word_texts
from transcription.tests.servers import Server, running_server

# Most start whole services, which takes seconds alone and much longer on a busy machine.
pytestmark = pytest.mark.timeout(240)

WORKER = "speechsite.server"
# Each probe may meet any of the workers.
PROBES = 12


def post(url: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, method="POST")  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return response.status, json.load(response)


def is_draining(service: Served) -> bool:
    """Whether every one of several probes met a worker that is not ready."""
    return all(service.get("/readyz")[0] == 503 for _ in range(PROBES))


class StillProcess:
    """What a drain needs of a process."""

    def __init__(self) -> None:
        self.draining = False
        self.live_session_count = 0
        self.drains = 0

    async def drain(self) -> None:
        self.drains += 1


async def test_a_process_without_a_parent_drains_itself_once() -> None:
    process = StillProcess()
    drain = Drain(lambda: process)  # type: ignore[arg-type,return-value]
    drain.attach()

    drain.request()
    process.draining = True
    drain.request()
    await drain.begun()

    assert process.drains == 1


async def test_a_worker_asks_its_parent_and_drains_when_that_says_so() -> None:
    process = StillProcess()
    drain = Drain(lambda: process)  # type: ignore[arg-type,return-value]
    read_fd, write_fd = os.pipe()
    drain.attach()
    drain.has_parent(write_fd)

    drain.request()

    assert os.read(read_fd, 1) == b"d"
    assert process.drains == 0
    os.close(read_fd)
    drain.request()
    await drain.begun()
    os.close(write_fd)
    assert process.drains == 1


async def test_a_drain_that_is_asked_for_while_the_process_starts_begins_once_it_serves() -> None:
    process = StillProcess()
    drain = Drain(lambda: process)  # type: ignore[arg-type,return-value]
    before = signal.getsignal(signal.SIGUSR1)
    try:
        drain.listen()
        signal.raise_signal(signal.SIGUSR1)
        assert process.drains == 0

        drain.attach()
        await drain.begun()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert process.drains == 1


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path]) -> Iterator[Server]:
    with running_server(new_data_dir(), WORKERS="2") as running:
        yield running


async def test_a_drain_reaches_every_worker_and_every_session(server: Server) -> None:
    async with server.client("first") as first, server.client("second") as second:
        tokens = []
        for client in (first, second):
            tokens.append((await client.start())["resume_token"])
            await client.speak(spoken(3))

        status, told = post(f"{server.served.url}/drain")

        codes = [await first.closed(), await second.closed()]

    assert (status, told) == (202, {"status": "draining", "live_sessions": 2})
    assert codes == [4503, 4503]
    assert {client.error["reason"] for client in (first, second)} == {"draining"}
    for client in (first, second):
        [warning] = client.of("session_expiring")
        assert (warning["reason"], warning["resume_elsewhere"]) == ("draining", True)
        assert [event["text"] for event in client.of("transcript") if event["is_final"]] == [" ".join(word_texts(3))]
    wait_for(lambda: is_draining(server.served), "no worker is ready")
    async with server.client("first") as again:
        await again.send({"type": "resume_transcription", "resume_token": tokens[0]})
        assert await again.closed() == 4503
    assert again.error["reason"] == "draining"
    async with server.client("third") as third:
        await third.send({"type": "start_transcription", "config": {}})
        assert await third.closed() == 4503
    assert (third.error["reason"], third.error["retryable"]) == ("draining", True)
    assert server.served.get("/healthz")[0] == 200
    await a_worker_started_later_drains_too(server.served)


async def a_worker_started_later_drains_too(service: Served) -> None:
    before = service.children(WORKER)
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(set(service.children(WORKER)) - set(before)) == 1, "another worker")
    wait_for(lambda: is_draining(service), "it is not ready either")


def test_a_hangup_takes_the_service_back_from_a_drain(new_data_dir: Callable[[], Path]) -> None:
    with running_server(new_data_dir()) as server:
        server.served.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: is_draining(server.served), "draining")

        server.served.process.send_signal(signal.SIGHUP)

        wait_for(server.served.is_ready, "ready again")


@pytest.mark.long
async def test_a_worker_ends_in_time_although_its_recogniser_has_a_minute_to_catch_up(
    new_data_dir: Callable[[], Path],
) -> None:
    with running_server(new_data_dir()) as server:
        server.riva.default = replace(server.riva.default, speed=0.5)
        async with server.client("backlog") as client:
            await client.start()
            await client.speak(spoken(100))
            started_at_s = time.monotonic()
            server.served.process.send_signal(signal.SIGTERM)
            code = await client.closed()
        await asyncio.to_thread(server.served.process.wait, EVENT_TIMEOUT_S)
        took_s = time.monotonic() - started_at_s
        row = server.session("backlog")

    print(f"ended after {took_s:.1f} s")
    assert took_s < 30
    assert code == 4503
    assert row is not None
    assert (row["state"], row["end_reason"]) == ("detached", "draining")


@contextmanager
def daphne(server: Server, folder: Path) -> Iterator[tuple[Served, subprocess.Popen[bytes]]]:
    """The application under daphne, with the recogniser of another server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "daphne", "--port", str(port), "speechsite.asgi:application"],
        cwd=BASE_DIR,
        env=environment(folder, {"RIVA_SERVER": server.riva.address}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    service = Served(folder)
    service.url = f"http://127.0.0.1:{port}"
    try:
        wait_for(service.is_ready, "daphne is ready")
        yield service, process
    finally:
        process.terminate()
        process.wait(30)


def test_daphne_drains_at_the_signal(server: Server, new_data_dir: Callable[[], Path]) -> None:
    with daphne(server, new_data_dir()) as (service, process):
        process.send_signal(signal.SIGUSR1)

        wait_for(lambda: service.get("/readyz")[0] == 503, "not ready any more")
        assert '"name": "draining", "ok": false' in service.get("/readyz")[1]
        assert process.poll() is None


def test_daphne_drains_when_it_is_posted_to(server: Server, new_data_dir: Callable[[], Path]) -> None:
    with daphne(server, new_data_dir()) as (service, _):
        assert post(f"{service.url}/drain")[0] == 202

        wait_for(lambda: service.get("/readyz")[0] == 503, "not ready any more")
