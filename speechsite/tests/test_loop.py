"""The event loop of a worker."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from speechsite import loop as loops
from speechsite.loop import Loop, Ts


class PollerCompletionQueue:
    """As grpc.aio's: takes one byte for each call."""

    def __init__(self, wakes: socket.socket) -> None:
        self.wakes = wakes
        self.handled = 0

    def handle(self, _loop: Any) -> None:
        assert self.wakes.recv(1)
        self.handled += 1


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


def _handled(wake_bytes: int) -> int:
    """How often a queue is called for so many bytes."""
    wakes, waker = socket.socketpair()
    wakes.setblocking(False)
    loop = loops.make_loop()
    try:
        queue = PollerCompletionQueue(wakes)
        waker.send(bytes(wake_bytes))
        loop.add_reader(wakes, functools.partial(queue.handle, loop))
        loop.run_until_complete(_turns(10))
        loop.remove_reader(wakes)
        return queue.handled
    finally:
        loop.close()
        wakes.close()
        waker.close()


def test_a_queue_is_called_once_however_often_its_thread_woke_the_loop() -> None:
    assert _handled(1) == 1
    assert _handled(200) == 1


def test_other_readers_are_called_as_ever() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    read: list[bytes] = []
    loop = loops.make_loop()
    try:
        theirs.send(b"abc")
        loop.add_reader(ours, lambda: read.append(ours.recv(1)))
        loop.run_until_complete(_turns(10))
        loop.remove_reader(ours)
    finally:
        loop.close()
        ours.close()
        theirs.close()
    assert read == [b"a", b"b", b"c"]


class NotingLoop(Loop):
    """Notes whose readers are recognised."""

    def __init__(self) -> None:
        super().__init__()
        self.recognised = 0

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        self.recognised += loops._handles_completions(callback)
        super().add_reader(fd, callback, *args)


def test_the_queue_of_the_grpc_in_use_is_recognised() -> None:
    async def open_channel() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1"):
            pass

    loop = NotingLoop()
    try:
        loop.run_until_complete(open_channel())
        assert loop.recognised == 1
    finally:
        loop.close()
