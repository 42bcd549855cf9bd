"""Several workers behind one socket, in processes of their own: balance, and what happens when one fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from types import TracebackType
from typing import Self

import pytest
from websockets.asyncio.client import ClientConnection, connect

from speechsite.config import BASE_DIR
from speechsite.gated_server import CountedConnections
from speechsite.load_board import LoadBoard
from speechsite.tests.served import wait_for

BACKLOG = 512
MOST_UNEVEN = 0.1
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class GatedWorkers:
    """Workers that answer with their process id."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.board = LoadBoard.create(self._count)
        fds = (self.listener.fileno(), self.board.fd)
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "speechsite.tests.gated_worker", *map(str, fds), str(slot)],
                pass_fds=fds,
                cwd=BASE_DIR,
                stdout=subprocess.PIPE,
            )
            for slot in range(self._count)
        ]
        self.processes = {process.pid: process for process in started}
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"accepting\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self.listener.close()
        os.close(self.board.fd)

    @property
    def pids(self) -> list[int]:
        return list(self.processes)

    def signal(self, number: signal.Signals, *pids: int) -> None:
        for pid in pids:
            self.processes[pid].send_signal(number)

    async def open_websocket(self) -> tuple[int, ClientConnection]:
        """Which worker took it, and the connection."""
        port = self.listener.getsockname()[1]
        connection = await connect(f"ws://127.0.0.1:{port}/", compression=None, open_timeout=60, proxy=None)
        return int(await connection.recv()), connection

    def ask(self) -> socket.socket:
        """A request that waits in the socket's queue until a worker accepts its connection."""
        client = socket.create_connection(self.listener.getsockname(), timeout=60)
        client.sendall(REQUEST)
        return client


def answer(client: socket.socket) -> int:
    """Which worker answered."""
    response = HTTPResponse(client)
    response.begin()
    assert response.status == 200
    return int(response.read())


def asked(workers: GatedWorkers) -> int:
    with workers.ask() as client:
        return answer(client)


@pytest.fixture
def make_workers() -> Iterator[Callable[[int], GatedWorkers]]:
    made: list[GatedWorkers] = []

    def make(count: int) -> GatedWorkers:
        made.append(GatedWorkers(count).__enter__())
        return made[-1]

    yield make
    for workers in made:
        workers.__exit__(None, None, None)


@pytest.mark.parametrize(("count", "at_once"), [(4, 200), (2, 200)])
async def test_websockets_opened_at_once_spread_evenly(
    make_workers: Callable[[int], GatedWorkers], count: int, at_once: int
) -> None:
    workers = make_workers(count)

    opened = await asyncio.gather(*(workers.open_websocket() for _ in range(at_once)))

    by_worker = Counter(pid for pid, _ in opened)
    counts = [by_worker[pid] for pid in workers.pids]
    assert max(counts) - min(counts) <= MOST_UNEVEN * at_once, counts
    for _, connection in opened:
        connection.transport.abort()


async def test_websockets_opened_one_after_another_spread_evenly(make_workers: Callable[[int], GatedWorkers]) -> None:
    workers = make_workers(4)

    opened = [await workers.open_websocket() for _ in range(60)]

    by_worker = Counter(pid for pid, _ in opened)
    counts = [by_worker[pid] for pid in workers.pids]
    assert max(counts) - min(counts) <= MOST_UNEVEN * 60, counts
    for _, connection in opened:
        connection.transport.abort()


def test_connections_kept_alive_after_an_answer_weigh_nothing(make_workers: Callable[[int], GatedWorkers]) -> None:
    """Otherwise a proxy's pool of connections at one worker would send all sessions to the others."""
    workers = make_workers(2)
    first, second = workers.pids
    workers.signal(signal.SIGSTOP, first)
    kept = [workers.ask() for _ in range(10)]
    assert {answer(client) for client in kept} == {second}
    workers.signal(signal.SIGCONT, first)

    # The slots speak for themselves once both workers have turned.
    wait_for(lambda: workers.board.loads(besides=-1) == [0, 0], "both workers say that they have nothing to do")

    for client in kept:
        client.sendall(REQUEST)
        assert answer(client) == second
        client.close()


def test_a_killed_worker_takes_no_queued_connection_with_it(make_workers: Callable[[int], GatedWorkers]) -> None:
    workers = make_workers(2)
    first, second = workers.pids
    workers.signal(signal.SIGSTOP, first, second)
    queued = [workers.ask() for _ in range(40)]

    workers.signal(signal.SIGKILL, first)
    workers.signal(signal.SIGCONT, second)

    assert [answer(client) for client in queued] == [second] * 40


def test_the_others_take_what_a_hung_worker_does_not(make_workers: Callable[[int], GatedWorkers]) -> None:
    workers = make_workers(2)
    first, second = workers.pids
    # Something to do for the second, so that the first is the least loaded as long as it seems alive.
    workers.signal(signal.SIGSTOP, first)
    busy = [socket.create_connection(workers.listener.getsockname()) for _ in range(3)]

    assert [asked(workers) for _ in range(40)] == [second] * 40

    for client in busy:
        client.close()


def test_a_worker_that_was_hung_takes_its_share_again(make_workers: Callable[[int], GatedWorkers]) -> None:
    workers = make_workers(2)
    first, second = workers.pids
    workers.signal(signal.SIGSTOP, first)
    busy = [socket.create_connection(workers.listener.getsockname()) for _ in range(3)]
    assert asked(workers) == second

    workers.signal(signal.SIGCONT, first)

    wait_for(lambda: asked(workers) == first, "the first one answers")
    for client in busy:
        client.close()


def test_every_request_is_answered_while_a_worker_ends(make_workers: Callable[[int], GatedWorkers]) -> None:
    workers = make_workers(2)
    first, second = workers.pids

    workers.signal(signal.SIGTERM, first)
    answered = []
    while workers.processes[first].poll() is None:
        answered.append(asked(workers))

    assert set(answered) <= {first, second}
    assert [asked(workers) for _ in range(10)] == [second] * 10


def test_a_connection_counts_until_its_first_answer() -> None:
    connections = CountedConnections()
    http, websocket = object(), object()
    connections.add(http)
    connections.add(websocket)
    assert connections.load == 2

    connections.answered(http)
    assert (len(connections), connections.load) == (2, 1)

    # What becomes a WebSocket is another connection to uvicorn.
    connections.discard(http)
    connections.remove(websocket)
    connections.answered(http)
    assert (len(connections), connections.load) == (0, 0)
