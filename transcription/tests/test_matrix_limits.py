"""Clients that read too slowly, send too fast, or only hold connections: rows 39 to 45, 54 and 59 of the fault matrix.

Over real sockets to a whole server. What a limit does after tens of seconds is tested in virtual time too
(test_consumers.py); here such tests are marked `long`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from speechsite.config import BASE_DIR
from speechsite.server import PING_INTERVAL_S, PING_TIMEOUT_S
from speechsite.tests.served import Served, manage, wait_for
from transcription.engine.outbox import STUCK_S
from transcription.fake_riva.audio import spoken, word_texts
from transcription.tests.servers import Client, Server, running_server

pytestmark = pytest.mark.timeout(240)

MIB = 1024 * 1024
SECOND = 32000
AUDIO = spoken(5)
WORDS = " ".join(word_texts(5))
CAPACITY = 20
WORKER = "speechsite.server"


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path]) -> Iterator[Server]:
    with running_server(new_data_dir(), MAX_CONCURRENT_SESSIONS=str(CAPACITY)) as running:
        yield running


def memory_bytes(service: Served) -> int:
    [worker] = service.children(WORKER)
    listing = ["ps", "-o", "rss=", "-p", str(worker)]
    return 1024 * int(subprocess.run(listing, capture_output=True, text=True, check=True).stdout)


class Bystander:
    """`async with` one: a session that speaks meanwhile and must not notice anything."""

    def __init__(self, server: Server, session_id: str) -> None:
        self._client = server.client(session_id)

    async def __aenter__(self) -> None:
        await self._client.__aenter__()
        await self._client.start()
        await self._client.speak(AUDIO[: len(AUDIO) // 2])

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: Any) -> None:
        if kind is None:
            await self._client.speak(AUDIO[len(AUDIO) // 2 :])
            assert await self._client.stop() == 1000
            assert self._client.finals == [WORDS]
        await self._client.__aexit__(None, None, None)


def deaf_socket(server: Server) -> socket.socket:
    """A connection that takes few bytes before the other side must wait."""
    host, port = server.served.url.removeprefix("http://").split(":")
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.setblocking(False)
    return connection


async def test_row_42_a_client_that_does_not_read_costs_little_memory_and_no_final(server: Server) -> None:
    utterances, words = 12, 60
    speech = spoken(utterances * words, words_per_utterance=words, gap_ms=0)
    warm_up = await memory_after_a_session(server)
    options = {"sock": deaf_socket(server), "max_queue": 1, "ping_interval": None}
    async with Bystander(server, "row-42-bystander"), server.client("row-42", **options) as client:
        await client.start(words_in_interims=True)
        for start in range(0, len(speech), SECOND // 10):
            await client.socket.send(speech[start : start + SECOND // 10])
            # Not faster than the limit moves: this client does not read it.
            await asyncio.sleep(0.002)
        wait_for(lambda: len(server.segments("row-42")) == utterances, "every final is stored")
        grown = memory_bytes(server.served) - warm_up
        client.socket.transport.abort()

    print(f"row 42: the worker grew by {grown / MIB:.1f} MiB")
    assert " ".join(row["text"] for row in server.segments("row-42")) == " ".join(word_texts(utterances * words))
    # The ring of audio is 2.9 MB of it, the rest for what waits to be sent.
    assert grown < 12 * MIB
    assert " 0.0\n" not in metric(server, "speech_outbound_dropped_interims_total")


async def memory_after_a_session(server: Server) -> int:
    async with server.client(f"warm-up-{time.monotonic_ns()}") as client:
        await client.start(words_in_interims=True)
        await client.speak(AUDIO)
        await client.stop()
    return memory_bytes(server.served)


def metric(server: Server, name: str) -> str:
    return "".join(f"{line}\n" for line in server.served.get("/metrics")[1].splitlines() if line.startswith(name))


@pytest.mark.long
async def test_row_42_a_client_that_is_stuck_is_let_go(server: Server) -> None:
    speech = spoken(600, words_per_utterance=60, gap_ms=0)
    options = {"sock": deaf_socket(server), "max_queue": 1, "ping_interval": None}
    async with server.client("row-42-stuck", **options) as client:
        await client.start(words_in_interims=True)
        started_at_s = time.monotonic()
        for start in range(0, len(speech), SECOND // 10):
            await client.socket.send(speech[start : start + SECOND // 10])
            await asyncio.sleep(0.002)
        wait_for(lambda: has_left(server, "row-42-stuck"), "it is let go", STUCK_S + 30)
        took_s = time.monotonic() - started_at_s
        client.socket.transport.abort()

    print(f"row 42: let go after {took_s:.1f} s")
    assert took_s > STUCK_S
    assert server.session("row-42-stuck")["end_reason"] == "slow_reader"  # type: ignore[index]


def has_left(server: Server, session_id: str) -> bool:
    row = server.session(session_id)
    return row is not None and row["state"] not in ("created", "live")


async def test_row_45_a_frame_that_is_declared_huge_is_not_waited_for(server: Server) -> None:
    before = await memory_after_a_session(server)
    async with Bystander(server, "row-45-bystander"), server.client("row-45") as client:
        await client.start()
        await client.speak(AUDIO)
        # A masked binary frame of 1 GiB of which only the head comes.
        client.socket.transport.write(b"\x82\xff" + (1024**3).to_bytes(8, "big") + b"\0\0\0\0")
        code = await client.closed()

    assert code == 1009
    grown = memory_bytes(server.served) - before
    print(f"row 45: the worker grew by {grown / MIB:.1f} MiB")
    assert grown < 8 * MIB


@pytest.mark.long
async def test_row_39_a_peer_that_is_frozen_is_found_by_the_ping(server: Server, tmp_path: Path) -> None:
    """Its machine still acknowledges what it is sent, but nobody answers."""
    program = (
        "import asyncio, json, sys, websockets\n"
        "async def main():\n"
        "    async with websockets.connect(sys.argv[1]) as socket:\n"
        "        await socket.send(json.dumps({'type': 'start_transcription'}))\n"
        "        while json.loads(await socket.recv())['event'] != 'transcription_started': pass\n"
        "        print('started', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    url = server.socket_url("/api/v1/transcribe/row-39")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, url, cwd=BASE_DIR, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"started\n"
        child.send_signal(signal.SIGSTOP)
        frozen_at_s = time.monotonic()
        wait_for(lambda: has_left(server, "row-39"), "it is found", PING_INTERVAL_S + PING_TIMEOUT_S + 30)
        took_s = time.monotonic() - frozen_at_s
    finally:
        child.kill()
        await child.wait()

    print(f"row 39: found after {took_s:.1f} s")
    assert PING_TIMEOUT_S < took_s < PING_INTERVAL_S + PING_TIMEOUT_S + 12
    assert server.session("row-39")["end_reason"] == "client_lost"  # type: ignore[index]


async def test_row_54_a_thousand_idle_sockets_cost_little(server: Server) -> None:
    before = await memory_after_a_session(server)
    url = server.socket_url("/api/v1/transcribe/row-54-")
    async with Bystander(server, "row-54-bystander"):
        sockets = []
        try:
            for first in range(0, 1000, 50):
                sockets += await asyncio.gather(
                    *(connect(f"{url}{number}", compression=None) for number in range(first, first + 50))
                )
            grown = memory_bytes(server.served) - before
            assert server.served.get("/healthz")[0] == 200
        finally:
            await asyncio.gather(*(open_socket.close() for open_socket in sockets))

    print(f"row 54: the worker grew by {grown / MIB:.1f} MiB")
    assert grown < 100 * MIB
    assert server.session("row-54-0") is None


async def test_row_59_beyond_the_capacity_starts_are_refused_at_once_and_the_others_go_on(server: Server) -> None:
    clients = [server.client(f"row-59-{number}") for number in range(2 * CAPACITY)]
    outcomes: list[str] = []
    waits_s: list[float] = []

    async def start(client: Client) -> None:
        await client.receive()
        sent_at_s = time.monotonic()
        await client.send({"type": "start_transcription", "config": {}})
        event = await client.receive()
        if event["event"] == "error":
            waits_s.append(time.monotonic() - sent_at_s)
            assert (event["code"], event["retryable"]) == (4503, True)
            assert event["retry_after_ms"] > 0
        outcomes.append(event["event"])

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.__aenter__())
    try:
        await asyncio.gather(*map(start, clients))
        started = [client for client in clients if client.of("transcription_started")]
        for client in started:
            await client.speak(AUDIO)
        assert {await client.stop() for client in started} == {1000}
    finally:
        await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))

    assert (outcomes.count("transcription_started"), outcomes.count("error")) == (CAPACITY, CAPACITY)
    assert [client.finals for client in started] == [[WORDS]] * CAPACITY
    print(f"refused after p50 {sorted(waits_s)[len(waits_s) // 2]:.3f} s, at most {max(waits_s):.3f} s")


async def test_an_address_has_so_many_connections_without_a_session_and_no_more(
    new_data_dir: Callable[[], Path],
) -> None:
    folder = new_data_dir()
    key = manage("create_api_key", "of-the-test", "--quiet", data_dir=folder, DATABASE_URL="sqlite://").stdout.strip()
    settings = {"FORWARDED_ALLOW_IPS": "127.0.0.1", "MAX_WAITING_CONNECTIONS_PER_ADDRESS": "3"}
    with running_server(folder, **settings) as server:

        def client(number: int, address: str = "203.0.113.5") -> Client:
            headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": address}
            return server.client(f"waiting-{number}", additional_headers=headers)

        async with client(1) as first, client(2) as second, client(3):
            for waiting in (first, second):
                await waiting.receive()
            async with client(4) as fourth:
                assert await fourth.closed() == 4429
            assert (fourth.error["reason"], fourth.error["retryable"]) == ("too_many_connections", True)
            async with client(5, "203.0.113.6") as elsewhere:
                assert (await elsewhere.receive())["event"] == "session_created"
            await first.start()
            async with client(6) as sixth:
                assert (await sixth.receive())["event"] == "session_created"
            await first.stop()
