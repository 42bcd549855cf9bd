"""Worker threads that run the model: finals before interims, the earliest deadline first.

With too much to do, interims become fewer and finals stay in time: a thread is kept free of interims,
those that run them rest between two, and one that runs nothing else gives way to all other threads.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import os
import sys
import threading
import time
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
# Of each thread's time at most so much goes into interims; the rest is for what cannot wait.
INTERIM_SHARE = 0.7
# Beside a final's decode on the same core, an interim's gets a tenth of it.
INTERIM_NICENESS = 10


class Urgency(IntEnum):
    """What a job is for; of those that wait, the more urgent runs first.

    LIKELY_FINAL: the final of a segment that ends unless speech goes on within a moment.
    """

    FINAL = 0
    LIKELY_FINAL = 1
    INTERIM = 2


@dataclass(order=True, slots=True)
class _Job(Generic[T]):
    deadline: float
    number: int
    urgency: Urgency = field(compare=False)
    work: Callable[[Engine], T] | None = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    result: asyncio.Future[T] = field(compare=False)


class Scheduler:
    """One thread per engine. With two or more, the first is kept free of interims, so that a final
    waits for finals only: a running decode cannot be interrupted.

    The others do the interims, and finals too unless there are more threads than `cores`: there they
    would only take time from the first, and so they give way to it.
    max_jobs bounds the queue; each stream has at most one interim, one likely final and a few finals in it.
    """

    def __init__(self, engines: Sequence[Engine], max_jobs: int, cores: int | None = None) -> None:
        self._max_jobs = max_jobs
        self._waiting: dict[Urgency, list[_Job[Any]]] = {urgency: [] for urgency in Urgency}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        finals, interims, everything = (Urgency.FINAL, Urgency.LIKELY_FINAL), (Urgency.INTERIM,), tuple(Urgency)
        first = finals if len(engines) > 1 else everything
        other = everything if len(engines) <= (cores or available_cores()) else interims
        self._threads = [
            threading.Thread(
                target=self._run, args=(engine, other if n else first), name=f"asr-worker-{n}", daemon=True
            )
            for n, engine in enumerate(engines)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queued(self) -> int:
        """Jobs waiting for a thread."""
        with self._changed:
            return self._count()

    def submit(self, urgency: Urgency, deadline: float, work: Callable[[Engine], T]) -> asyncio.Future[T]:
        """Queue work; the future gives its result, or EngineError if the model failed.

        deadline: event-loop time by which the result is wanted. Cancelling the future takes a job
        that has not begun out of the queue, and frees what it holds, at once.
        Raises TooManyStreams if the queue is full.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        job = _Job(deadline, next(self._numbers), urgency, work, loop, result)
        with self._changed:
            if self._closed or self._count() >= self._max_jobs:
                raise TooManyStreams("the recogniser's queue is full")
            heapq.heappush(self._waiting[urgency], job)
            self._changed.notify_all()
        result.add_done_callback(lambda done: self._withdraw(job) if done.cancelled() else None)
        return result

    def promote(self, result: asyncio.Future[T], deadline: float) -> None:
        """Make the likely final of this future a final, if it has not begun yet."""
        with self._changed:
            for job in self._waiting[Urgency.LIKELY_FINAL]:
                if job.result is result:
                    self._remove(job)
                    job.urgency, job.deadline = Urgency.FINAL, deadline
                    heapq.heappush(self._waiting[Urgency.FINAL], job)
                    self._changed.notify_all()
                    return

    def close(self) -> None:
        """Drop what waits and end the threads. Blocks for the decodes that are running."""
        with self._changed:
            self._closed = True
            waiting = [job for jobs in self._waiting.values() for job in jobs]
            for jobs in self._waiting.values():
                jobs.clear()
            self._changed.notify_all()
        for job in waiting:
            job.loop.call_soon_threadsafe(job.result.cancel)
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_S)

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _remove(self, job: _Job[T]) -> None:
        jobs = self._waiting[job.urgency]
        jobs.remove(job)
        heapq.heapify(jobs)

    def _withdraw(self, job: _Job[T]) -> None:
        with self._changed:
            if job in self._waiting[job.urgency]:
                self._remove(job)
        job.work = None

    def _next(self, tasks: Sequence[Urgency], interims_from: float) -> _Job[Any] | None:
        """The most urgent job of these kinds, waited for; no interim before this moment."""
        with self._changed:
            while not self._closed:
                rest_s = interims_from - time.monotonic()
                for urgency in tasks:
                    if self._waiting[urgency] and (urgency is not Urgency.INTERIM or rest_s <= 0):
                        return heapq.heappop(self._waiting[urgency])
                self._changed.wait(rest_s if self._waiting[Urgency.INTERIM] and rest_s > 0 else None)
            return None

    def _run(self, engine: Engine, tasks: Sequence[Urgency]) -> None:
        if Urgency.FINAL not in tasks:
            # Not where it does finals too: without privileges no thread gets its priority back.
            _give_way()
        interims_from = 0.0
        try:
            while (job := self._next(tasks, interims_from)) is not None:
                begun = time.monotonic()
                self._run_job(job, engine)
                if job.urgency is Urgency.INTERIM:
                    ended = time.monotonic()
                    interims_from = ended + (ended - begun) * (1 - INTERIM_SHARE) / INTERIM_SHARE
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


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _give_way() -> None:
    """Let other threads of the machine go before this one. On Linux a thread has a niceness of its own."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + INTERIM_NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)  # bounded by the system
