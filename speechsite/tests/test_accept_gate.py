"""Workers that share a listening socket take connections evenly, and never leave one alone."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from speechsite.accept_gate import MAX_SILENCE_MS, AcceptGate, is_least_loaded, look_delays_s
from speechsite.load_board import STALE_AFTER_MS, LoadBoard

FOREVER_S = 3600.0


def test_a_worker_is_among_the_least_loaded_while_no_other_has_less() -> None:
    assert is_least_loaded(3, [3, 4, 5])
    assert is_least_loaded(0, [1])
    assert not is_least_loaded(4, [3, 5])


def test_a_worker_alone_takes_everything() -> None:
    assert is_least_loaded(10**6, [])


def test_loaded_workers_need_not_be_exactly_even() -> None:
    assert is_least_loaded(102, [96])
    assert not is_least_loaded(103, [96])
    assert is_least_loaded(10_016, [10_000])
    assert not is_least_loaded(10_017, [10_000])


def test_a_queue_left_to_others_is_looked_at_less_and_less_often() -> None:
    assert list(itertools.islice(look_delays_s(), 5)) == [0.001, 0.002, 0.004, 0.008, 0.008]


class WatchedBoard(LoadBoard):
    """Counts how often a worker looks at the loads of the others. Its time goes on only where a test says so."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, now_ms=lambda: self.now_ms)
        self.now_ms = 1_000_000
        self.looks = 0
        self.looked = asyncio.Event()

    def loads(self, *, besides: int, within_ms: int = STALE_AFTER_MS) -> list[int]:
        self.looks += 1
        self.looked.set()
        return super().loads(besides=besides, within_ms=within_ms)

    async def looked_at(self, times: int) -> None:
        until = self.looks + times
        while self.looks < until:
            self.looked.clear()
            await self.looked.wait()


class Accepted(asyncio.Protocol):
    """All connections that one worker accepted."""

    def __init__(self) -> None:
        self.transports: list[asyncio.BaseTransport] = []
        self.event = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)
        self.event.set()

    @property
    def count(self) -> int:
        return len(self.transports)


class Workers:
    """Gates of several workers, all in this loop."""

    def __init__(self, listener: socket.socket) -> None:
        self.board = WatchedBoard(LoadBoard.create(4).fd)
        self.listener = listener
        self.gates: list[AcceptGate] = []
        self.clients: list[socket.socket] = []

    def add(self, **options: Any) -> tuple[AcceptGate, Accepted]:
        accepted = Accepted()
        gate = AcceptGate(
            options.pop("listener", None) or self.listener.dup(),
            lambda: accepted,
            board=self.board,
            slot=len(self.gates),
            load=lambda: accepted.count,
            **options,
        )
        self.gates.append(gate)
        gate.open()
        return gate, accepted

    def connect(self) -> None:
        self.clients.append(socket.create_connection(self.listener.getsockname()))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
async def workers(listener: socket.socket) -> AsyncIterator[Workers]:
    workers = Workers(listener)
    yield workers
    for gate in workers.gates:
        gate.close()
        await gate.wait_closed()
    for client in workers.clients:
        client.close()


async def has(condition: Callable[[], bool], accepted: Accepted) -> None:
    while not condition():
        accepted.event.clear()
        await accepted.event.wait()


async def test_it_leaves_a_connection_to_a_less_loaded_worker(workers: Workers) -> None:
    _, accepted = workers.add(max_wait_s=FOREVER_S)
    workers.connect()
    await has(lambda: accepted.count == 1, accepted)
    _, other = workers.add(max_wait_s=FOREVER_S)

    workers.connect()
    await has(lambda: other.count == 1, other)

    assert accepted.count == 1


async def test_it_does_not_wait_for_a_less_loaded_worker_that_is_silent(workers: Workers) -> None:
    _, accepted = workers.add(max_wait_s=FOREVER_S)
    workers.connect()
    await has(lambda: accepted.count == 1, accepted)
    workers.board.post(1, 0)
    workers.board.now_ms += MAX_SILENCE_MS + 1

    for _ in range(10):
        workers.connect()

    await has(lambda: accepted.count == 11, accepted)


async def test_it_takes_what_others_leave_for_too_long_whatever_they_say(workers: Workers) -> None:
    _, accepted = workers.add(max_wait_s=0.01)
    workers.connect()
    await has(lambda: accepted.count == 1, accepted)
    # Time stands still on the board, so this one says all the time that it has nothing to do.
    workers.board.post(1, 0)

    for _ in range(10):
        workers.connect()

    await has(lambda: accepted.count == 11, accepted)


async def test_what_was_left_to_a_worker_that_ends_is_taken(workers: Workers) -> None:
    _, accepted = workers.add(max_wait_s=FOREVER_S)
    workers.connect()
    await has(lambda: accepted.count == 1, accepted)
    workers.board.post(1, 0)
    workers.connect()
    await workers.board.looked_at(3)
    assert accepted.count == 1

    workers.board.clear(1)

    await has(lambda: accepted.count == 2, accepted)


async def test_a_closed_gate_accepts_nothing_and_leaves_the_board(workers: Workers) -> None:
    gate, accepted = workers.add(max_wait_s=FOREVER_S)
    _, other = workers.add(max_wait_s=FOREVER_S)

    gate.close()
    gate.post()
    for _ in range(5):
        workers.connect()
    await has(lambda: other.count == 5, other)

    assert accepted.count == 0
    assert workers.board.loads(besides=1) == []


async def test_a_connection_that_is_only_just_accepted_counts(workers: Workers) -> None:
    gate, accepted = workers.add()
    workers.connect()
    while not gate.post():  # noqa: ASYNC110 - it is the state before any event that is looked at
        await asyncio.sleep(0)

    assert accepted.count == 0
    await gate.wait_closed()
    assert accepted.count == 1


class Exhausted(socket.socket):
    """A listening socket of a process that has no descriptor left."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(fileno=listener.dup().detach())
        self.tries = 0
        self.tried = asyncio.Event()

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        self.tried.set()
        raise OSError(errno.EMFILE, "Too many open files")


async def test_a_worker_without_descriptors_leaves_connections_to_the_others(workers: Workers) -> None:
    exhausted = Exhausted(workers.listener)
    workers.add(listener=exhausted, max_wait_s=FOREVER_S)
    workers.connect()
    await exhausted.tried.wait()
    _, other = workers.add(max_wait_s=FOREVER_S)
    workers.connect()

    await has(lambda: other.count == 2, other)
    assert exhausted.tries == 1
