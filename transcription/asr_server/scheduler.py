"""Worker threads that run the model: finals before interims, the earliest deadline first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

from .engine import Engine
from .errors import EngineError, TooManyStreams

logger = logging.getLogger(__name__)

T = TypeVar("T")
# A decode of 20 s of speech takes about a second; a thread that is not back by then is left to die
# with the process.
JOIN_TIMEOUT_S = 5.0


class Urgency(IntEnum):
    """What a job is for; every FINAL runs before any INTERIM."""

    FINAL = 0
    INTERIM = 1


@dataclass(order=True, slots=True)
class _Job(Generic[T]):
    urgency: Urgency
    deadline: float
    number: int
    work: Callable[[Engine], T] | None = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    result: asyncio.Future[T] = field(compare=False)


class Scheduler:
    """One thread per engine. With two or more, one is kept free of interims, so that a final waits
    for finals only: a running decode cannot be interrupted.

    max_jobs bounds the queue; each stream has at most one interim and a few finals in it.
    """

    def __init__(self, engines: Sequence[Engine], max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._max_interims = max(1, len(engines) - 1)
        self._running_interims = 0
        self._finals: list[_Job[Any]] = []
        self._interims: list[_Job[Any]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, args=(engine,), name=f"asr-worker-{n}", daemon=True)
            for n, engine in enumerate(engines)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queued(self) -> int:
        """Jobs waiting for a thread."""
        with self._changed:
            return len(self._finals) + len(self._interims)

    def submit(self, urgency: Urgency, deadline: float, work: Callable[[Engine], T]) -> asyncio.Future[T]:
        """Queue work; the future gives its result, or EngineError if the model failed.

        deadline: event-loop time by which the result is wanted. Cancelling the future takes a job
        that has not begun out of the queue, and frees what it holds, at once.
        Raises TooManyStreams if the queue is full.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        job = _Job(urgency, deadline, next(self._numbers), work, loop, result)
        queue = self._finals if urgency is Urgency.FINAL else self._interims
        with self._changed:
            if self._closed or len(self._finals) + len(self._interims) >= self._max_jobs:
                raise TooManyStreams("the recogniser's queue is full")
            heapq.heappush(queue, job)
            self._changed.notify()
        result.add_done_callback(lambda done: self._withdraw(job) if done.cancelled() else None)
        return result

    def close(self) -> None:
        """Drop what waits and end the threads. Blocks for the decodes that are running."""
        with self._changed:
            self._closed = True
            waiting = self._finals + self._interims
            self._finals.clear()
            self._interims.clear()
            self._changed.notify_all()
        for job in waiting:
            job.loop.call_soon_threadsafe(job.result.cancel)
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_S)

    def _withdraw(self, job: _Job[T]) -> None:
        queue = self._finals if job.urgency is Urgency.FINAL else self._interims
        with self._changed:
            if job in queue:
                queue.remove(job)
                heapq.heapify(queue)
        job.work = None

    def _next(self) -> _Job[Any] | None:
        with self._changed:
            while not self._closed:
                if self._finals:
                    return heapq.heappop(self._finals)
                if self._interims and self._running_interims < self._max_interims:
                    self._running_interims += 1
                    return heapq.heappop(self._interims)
                self._changed.wait()
            return None

    def _run(self, engine: Engine) -> None:
        try:
            while (job := self._next()) is not None:
                self._run_job(job, engine)
                if job.urgency is Urgency.INTERIM:
                    with self._changed:
                        self._running_interims -= 1
                        self._changed.notify()
                # Not kept until the next job comes: it holds a segment of audio.
                del job
        finally:
            engine.close()

    def _run_job(self, job: _Job[Any], engine: Engine) -> None:
        work = job.work
        if work is None:
            return
        try:
            outcome, error = work(engine), None
        except EngineError as failed:
            outcome, error = None, failed
        except Exception as failed:  # a dead worker thread would leave every stream waiting
            logger.exception("a recognition job failed")
            outcome, error = None, EngineError(f"recognition failed: {type(failed).__name__}")
        if not job.loop.is_closed():
            job.loop.call_soon_threadsafe(_resolve, job.result, outcome, error)


def _resolve(result: asyncio.Future[Any], outcome: object, error: EngineError | None) -> None:
    if result.done():
        return
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(outcome)
