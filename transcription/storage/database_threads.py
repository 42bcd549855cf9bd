"""The live path's own threads for database work.

Django's async ORM and `database_sync_to_async` share one thread per process, where one slow query stalls every
connection; and closing a connection around each job costs 5-8 ms a commit. Threads here keep theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from copy import deepcopy
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

MAX_WAITING_JOBS = 1000
IDLE_CONNECTION_S = 60.0
JOIN_TIMEOUT_S = 5.0

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "Future[Any]"]


class TooManyJobs(Exception):
    """MAX_WAITING_JOBS are waiting: the database is far behind; the caller gives up or tries later."""


class DatabaseThreads:
    """Runs database functions on a few threads, each with a connection of its own outside Django's pool.

    A connection is closed after a job that left it in doubt and after idle_s without a job, so that web pages
    that exhaust the pool, or a database that restarts, do not reach live transcription.
    """

    def __init__(self, size: int = 4, *, name: str = "database", idle_s: float = IDLE_CONNECTION_S) -> None:
        self.size = size
        self._name = name
        self._idle_s = idle_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING_JOBS)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, function: Callable[..., T], *args: Any, timeout_s: float | None = None, **kwargs: Any) -> T:
        """Run a function on one of the threads and return its result.

        Cancelling the await does not stop the job: it finishes and its result is dropped. Raises TimeoutError
        after timeout_s, when a job that had not begun never will and one that had may still finish; and
        TooManyJobs. What the function raises is raised here.
        """
        future = self._submit(lambda: function(*args, **kwargs))
        waiter = asyncio.shield(asyncio.wrap_future(future))
        try:
            # Not wait_for: up to Python 3.11 it forgets a cancellation that comes in the same turn as the result.
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            future.cancel()  # does nothing to a job that runs
            raise

    async def aclose(self) -> None:
        """Let the waiting jobs finish, close the connections and end the threads; waits JOIN_TIMEOUT_S at most."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        for _ in threads:
            with contextlib.suppress(queue.Full):
                self._jobs.put_nowait(None)
        await asyncio.to_thread(_join, threads, deadline)

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these database threads are closed")
            try:
                self._jobs.put_nowait((job, future))
            except queue.Full:
                raise TooManyJobs(f"{MAX_WAITING_JOBS} database jobs are waiting") from None
            if len(self._threads) < self.size:
                # Daemons: a job stuck in a dead network must not keep the process from ending.
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def _work(self) -> None:
        _use_own_connection()
        while True:
            try:
                item = self._jobs.get(timeout=self._idle_s)
            except queue.Empty:
                self._close_idle()
                continue
            if item is None:
                break
            _run_job(*item)
            del item  # or the last job's result would live as long as the thread waits
        _close_connections()

    def _close_idle(self) -> None:
        _close_connections()


def _run_job(job: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = job()
    except BaseException as error:
        # Whatever a job raises belongs to who waits for it; the thread must live on.
        _close_doubtful_connections()
        future.set_exception(error)
    else:
        _close_doubtful_connections()
        future.set_result(result)


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
