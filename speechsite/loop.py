"""The event loop of a worker: uvloop, made for hundreds of gRPC calls at once."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any, TypeVarTuple

import uvloop

Ts = TypeVarTuple("Ts")

# The class of grpc.aio whose method handles what its thread has found done.
QUEUE_CLASS = "PollerCompletionQueue"
MAX_WAKE_BYTES = 4096


class Loop(uvloop.Loop):
    """grpc.aio's thread writes a byte to a socket for each operation that is done. The loop is woken, handles all of
    them and takes one byte away, so it is woken as often again for nothing; and once some 280 bytes wait the socket is
    full, and the thread stands still until the loop has turned once more. Here the bytes go together.
    """

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        if isinstance(fd, socket.socket) and _handles_completions(callback):
            super().add_reader(fd, _take_wake_bytes, fd, callback, *args)
        else:
            super().add_reader(fd, callback, *args)


def make_loop() -> Loop:
    """What uvicorn's `loop=` names."""
    return Loop()


def _handles_completions(callback: Callable[..., Any]) -> bool:
    method = callback.func if isinstance(callback, functools.partial) else callback
    return type(getattr(method, "__self__", None)).__name__ == QUEUE_CLASS


def _take_wake_bytes(wakes: socket.socket, callback: Callable[..., Any], *args: Any) -> None:
    """Leave the one byte that the callback takes itself, and does not do without."""
    waiting = len(wakes.recv(MAX_WAKE_BYTES, socket.MSG_PEEK))
    if waiting > 1:
        wakes.recv(waiting - 1)
    callback(*args)
