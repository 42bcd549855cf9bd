"""Accepts connections of a listening socket that several workers share, so that they spread evenly.

Whoever wakes first would otherwise take most of them: a plainly shared socket gave 2, 49, 50 and 99 of 200. So a
worker accepts one connection a turn of its loop, and only while it is among the least loaded (`load_board.py`).
Connections that are not taken yet wait in the socket's queue, which outlives every worker.

The gate can delay a connection but never refuse one. A worker that is free says so on the board as soon as a connection
waits. While a less loaded one has been silent for MAX_SILENCE_MS, the others take connections in its place, at
a slower pace; when its word is stale they take all. Whatever the board says, each worker accepts everything once
the queue has not been empty for MAX_WAIT_S.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

import structlog

from speechsite.load_board import LoadBoard

# How long connections wait for a less loaded worker that hangs, or is busy with something else.
MAX_SILENCE_MS = 50
# Then each of the others takes one in this time. In a burst a turn of the loop may last longer than the silence that is
# allowed, and at full speed the others would have taken most of the burst before it ends.
PACE_S = 0.008
# The longest that a connection waits because of the gate at all. Only a burst that lasts as long gets near it.
MAX_WAIT_S = 3.0
# How soon to look again at a queue that was left to others. Not at once: the socket stays readable meanwhile.
FIRST_LOOK_S = 0.001
MAX_LOOK_S = 0.008
# A worker may be ahead of the least loaded by a 16th of its load, and by no more than this. In step with each
# other, all would wait for the slowest.
SLACK_DIVISOR = 16
MAX_SLACK = 16
# As in asyncio: no descriptors or no memory left. Others take the connections meanwhile.
PAUSE_AFTER_ERROR_S = 1.0

log = structlog.stdlib.get_logger(__name__)


def is_least_loaded(own: int, others: Sequence[int]) -> bool:
    """Whether a worker with load `own` is among the least loaded, within the slack."""
    if not others:
        return True
    least = min(others)
    return own <= least + min(least // SLACK_DIVISOR, MAX_SLACK)


def look_delays_s() -> Iterator[float]:
    """How long to wait before the first look at the queue again, the second and so on."""
    delay_s = FIRST_LOOK_S
    while True:
        yield delay_s
        delay_s = min(delay_s * 2, MAX_LOOK_S)


class Move(Enum):
    TAKE = auto()
    TAKE_ONE = auto()
    LEAVE = auto()


class AcceptGate:
    """One worker's share of a listening socket.

    make_protocol: as for loop.create_server. slot: this worker's on the board. load: how loaded it is without
    the connections that are only just being accepted, which the gate adds.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        *,
        board: LoadBoard,
        slot: int,
        load: Callable[[], int],
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._board = board
        self._slot = slot
        self._load = load
        self._max_wait_s = max_wait_s
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._connecting: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._look_delays_s = look_delays_s()
        # Since when the queue was not empty, as far as this worker saw; None while it leaves nothing to others.
        self._queued_since_s: float | None = None
        self._queue = select.poll()
        self._queue.register(listener, select.POLLIN)

    def open(self) -> None:
        self._listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept nothing more, from this moment on; the others need not wait for this worker."""
        self._is_open = False
        self._board.clear(self._slot)
        self._loop.remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()

    async def wait_closed(self) -> None:
        """Wait until every connection that was accepted has its protocol."""
        await asyncio.gather(*self._connecting)

    def post(self) -> int:
        """Tell the others how loaded this worker is; they take silence for a hang. Returns the load."""
        load = self._load() + len(self._connecting)
        if self._is_open:
            self._board.post(self._slot, load)
        return load

    def _resume(self) -> None:
        self._is_open = True
        self.post()
        self._listen()

    def _pause(self) -> None:
        self.close()
        self._timer = self._loop.call_later(PAUSE_AFTER_ERROR_S, self._resume)

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._on_queued)

    def _on_queued(self) -> None:
        """A connection waits. The loop calls this once a turn while one does."""
        if self._next_move() is Move.TAKE:
            self._accept()
        else:
            self._loop.remove_reader(self._listener)
            self._look_delays_s = look_delays_s()
            self._look_later(next(self._look_delays_s))

    def _look_later(self, delay_s: float) -> None:
        if self._queued_since_s is None:
            self._queued_since_s = self._loop.time()
        self._timer = self._loop.call_later(delay_s, self._look)

    def _look(self) -> None:
        """See whether the others took what was left to them."""
        if not self._is_queued():
            self._queued_since_s = None
            self._listen()
            return
        match self._next_move():
            case Move.TAKE:
                self._listen()
                self._accept()
            case Move.TAKE_ONE:
                self._look_later(PACE_S)
                self._accept()
            case Move.LEAVE:
                self._look_later(next(self._look_delays_s))

    def _is_queued(self) -> bool:
        return bool(self._queue.poll(0))

    def _next_move(self) -> Move:
        own = self.post()
        waited_s = 0.0 if self._queued_since_s is None else self._loop.time() - self._queued_since_s
        if waited_s >= self._max_wait_s or is_least_loaded(own, self._board.loads(besides=self._slot)):
            return Move.TAKE
        if waited_s * 1000 < MAX_SILENCE_MS:
            return Move.LEAVE
        awake = self._board.loads(besides=self._slot, within_ms=MAX_SILENCE_MS)
        return Move.TAKE_ONE if is_least_loaded(own, awake) else Move.LEAVE

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            # Another worker was quicker.
            self._queued_since_s = None
            return
        except ConnectionAbortedError:
            # The client was.
            return
        except OSError as error:
            log.error("accepting failed", error=str(error), pause_s=PAUSE_AFTER_ERROR_S)
            self._pause()
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        self.post()
        if self._queued_since_s is not None and not self._is_queued():
            self._queued_since_s = None

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError as error:
            # The client has left already.
            log.debug("connection lost while it was accepted", error=str(error))
            connection.close()
        except Exception:
            log.exception("accepting failed")
            connection.close()
