"""The live path's own threads for database work.

Django's async ORM and `database_sync_to_async` share one thread per process, where one slow query stalls every
connection; and closing a connection around each job costs 5-8 ms a commit. Threads here keep theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

MAX_WAITING_JOBS = 1000
IDLE_CONNECTION_S = 60.0
JOIN_TIMEOUT_S = 5.0

T = TypeVar("T")


class TooManyJobs(Exception):
    """MAX_WAITING_JOBS are waiting: the database is far behind; the caller gives up or tries later."""


class _Job:
    """A function on its way to a thread, and its outcome on the way back to the loop that waits for it."""

    __slots__ = ("_function", "_loop", "_never", "outcome")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._never = False
        self.outcome: asyncio.Future[Any] = self._loop.create_future()

    def expire(self) -> None:
        """It has taken too long: if it has not begun it never will."""
        self._never = True
        self._settle(None, TimeoutError())

    def run(self) -> Callable[[], None]:
        """On a thread. Returns what tells the outcome: whoever waits has an error too, and the thread must live on."""
        if self._never:
            return _nothing
        try:
            result = self._function()
        except BaseException as error:
            return functools.partial(self._tell, None, error)
        finally:
            _close_doubtful_connections()
        return functools.partial(self._tell, result, None)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(result)
        else:
            self.outcome.set_exception(error)


class DatabaseThreads:
    """Runs database functions on a few threads, each with a connection of its own outside Django's pool.

    The thread that was busy last takes the next job: its connection has the database's pages at hand, which SQLite
    reads anew for each connection that did not make the last change itself. A connection is closed after a job that
    left it in doubt and after idle_s without a job, so that web pages that exhaust the pool, or a database that
    restarts, do not reach live transcription.
    """

    def __init__(self, size: int = 4, *, name: str = "database", idle_s: float = IDLE_CONNECTION_S) -> None:
        self.size = size
        self._name = name
        self._idle_s = idle_s
        # What no thread has taken yet.
        self._jobs: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        # Where each thread that has nothing to do gets its next job, None for the end; the one that was busy last is
        # the last.
        self._idle: list[queue.SimpleQueue[_Job | None]] = []
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, function: Callable[..., T], *args: Any, timeout_s: float | None = None, **kwargs: Any) -> T:
        """Run a function on one of the threads and return its result.

        Cancelling the await does not stop the job: it finishes and its result is dropped. Raises TimeoutError
        after timeout_s, when a job that had not begun never will and one that had may still finish; and
        TooManyJobs. What the function raises is raised here.
        """
        job = _Job(functools.partial(function, *args, **kwargs))
        self._submit(job)
        timer = None if timeout_s is None else asyncio.get_running_loop().call_later(timeout_s, job.expire)
        try:
            result: T = await job.outcome
        finally:
            if timer is not None:
                timer.cancel()
        return result

    async def aclose(self) -> None:
        """Let the waiting jobs finish, close the connections and end the threads; waits JOIN_TIMEOUT_S at most."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for next_job in idle:
            next_job.put(None)
        await asyncio.to_thread(_join, list(self._threads), time.monotonic() + JOIN_TIMEOUT_S)

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("these database threads are closed")
            if self._idle:
                self._idle.pop().put(job)
                return
            if len(self._jobs) >= MAX_WAITING_JOBS:
                raise TooManyJobs(f"{MAX_WAITING_JOBS} database jobs are waiting")
            self._jobs.append(job)
            if len(self._threads) < self.size:
                # Daemons: a job stuck in a dead network must not keep the process from ending.
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        _use_own_connection()
        mine: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        tell = _nothing
        while True:
            job = self._take(mine)
            # Told only now that this thread may be given the next job: who waits for one often has another.
            tell()
            # Or the last outcome would live as long as the thread waits.
            tell = _nothing
            if job is None and (job := self._wait(mine)) is None:
                break
            tell = job.run()
            del job
        _close_connections()

    def _take(self, mine: queue.SimpleQueue[_Job | None]) -> _Job | None:
        """The next job that waits; where none does this thread is idle from now on, or at its end."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            if self._closed:
                mine.put(None)
            else:
                self._idle.append(mine)
            return None

    def _wait(self, mine: queue.SimpleQueue[_Job | None]) -> _Job | None:
        """A job for this thread; None at the end."""
        while True:
            try:
                return mine.get(timeout=self._idle_s)
            except queue.Empty:
                self._close_idle()

    def _close_idle(self) -> None:
        _close_connections()


def _nothing() -> None:
    """There is nobody to tell."""


def _join(threads: list[threading.Thread], deadline: float) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _use_own_connection() -> None:
    """Give this thread a connection that is not taken from Django's pool."""
    shared = connections[DEFAULT_DB_ALIAS]
    if "pool" not in shared.settings_dict["OPTIONS"]:
        return
    settings = deepcopy(shared.settings_dict)
    del settings["OPTIONS"]["pool"]
    connections[DEFAULT_DB_ALIAS] = type(shared)(settings, DEFAULT_DB_ALIAS)


def _close_doubtful_connections() -> None:
    for connection in connections.all(initialized_only=True):
        # errors_occurred: anything but DataError and IntegrityError, also when the job swallowed it.
        if connection.connection is not None and (connection.errors_occurred or connection.in_atomic_block):
            _close(connection)


def _close_connections() -> None:
    for connection in connections.all(initialized_only=True):
        _close(connection)


def _close(connection: BaseDatabaseWrapper) -> None:
    try:
        connection.close()
    except Error:
        logger.warning("A database connection could not be closed; it is dropped.")
        connection.connection = None
