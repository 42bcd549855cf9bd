"""The parent of all processes of `manage.py serve`: starts them, restarts them, ends them.

It holds the listening socket, so that connections wait in its queue while a worker is replaced, and the
writing ends of two pipes by which children notice that it is gone, even after `kill -9`. Children live in
process sessions of their own: Ctrl-C reaches only the parent, which ends them in order, the recogniser last.

SIGUSR1, here or as a word in a worker's pipe, has every worker take no new sessions and hand the live ones over.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from speechsite.config import BASE_DIR

FIRST_RESTART_DELAY_S = 0.1
MAX_RESTART_DELAY_S = 10.0
# A child that lived this long was healthy: its next death starts with the shortest delay again.
HEALTHY_AFTER_S = 30.0
KILL_AFTER_S = 40.0
WORKER_READY_TIMEOUT_S = 60.0
# A worker that has never come up and ends this often will not come up.
START_TRIES = 3
# What workers write into their pipes.
READY = b"1"
DRAIN_ALL = b"d"

log = structlog.stdlib.get_logger(__name__)


class StartFailed(Exception):
    """The service could not be started; the text is for the person who started it."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child. open_fds: descriptors it inherits; {parent_fd} in arguments is filled in.

    tells_ready: it writes READY into parent_fd once it is up, and may write DRAIN_ALL later.
    """

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    open_fds: tuple[int, ...]
    tells_ready: bool = False


def restart_delays_s() -> Iterator[float]:
    """How long to wait before the first restart, the second and so on: doubling up to a bound."""
    delay_s = FIRST_RESTART_DELAY_S
    while True:
        yield delay_s
        delay_s = min(delay_s * 2, MAX_RESTART_DELAY_S)


@dataclass
class Child:
    """One program, kept running until it is stopped.

    on_exit: called with the process id of each process that ended. on_drain: called when it asks that all be
    drained. kill_after_s: how long a process may take to end once it was asked to.
    """

    spec: ChildSpec
    on_exit: Callable[[int], None] = lambda pid: None
    on_drain: Callable[[], None] = lambda: None
    kill_after_s: float = KILL_AFTER_S
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    failed_starts: int = 0
    process: asyncio.subprocess.Process | None = None
    _is_up: bool = False
    _draining: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        delays_s = restart_delays_s()
        while not self._stopping.is_set():
            started_at = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            if not self.ready.is_set():
                self.failed_starts += 1
            if time.monotonic() - started_at > HEALTHY_AFTER_S:
                delays_s = restart_delays_s()
            delay_s = next(delays_s)
            log.error("child ended", child=self.spec.name, code=code, restart_after_s=delay_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run_once(self) -> int:
        read_fd, write_fd = os.pipe() if self.spec.tells_ready else (-1, -1)
        arguments = [argument.format(parent_fd=write_fd) for argument in self.spec.arguments]
        fds = (*self.spec.open_fds, write_fd) if self.spec.tells_ready else self.spec.open_fds
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                env=self.spec.environment,
                cwd=BASE_DIR,
                pass_fds=fds,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            if self.spec.tells_ready:
                os.close(write_fd)
        if self._stopping.is_set():
            # stop() came between the decision to start and the process, and found nothing to signal.
            self._signal(signal.SIGTERM)
        try:
            if self.spec.tells_ready:
                asyncio.get_running_loop().add_reader(read_fd, self._hear, read_fd)
            return await self.process.wait()
        finally:
            self._is_up = False
            self.on_exit(self.process.pid)
            if self.spec.tells_ready:
                asyncio.get_running_loop().remove_reader(read_fd)
                os.close(read_fd)

    def _hear(self, read_fd: int) -> None:
        match os.read(read_fd, 1):
            case b"":
                asyncio.get_running_loop().remove_reader(read_fd)
            case word if word == DRAIN_ALL:
                self.on_drain()
            case _:
                self.ready.set()
                self._is_up = True
                if self._draining:
                    self._signal(signal.SIGUSR1)

    def drain(self) -> None:
        """Have it, and whatever is started in its place, take no new sessions."""
        self._draining = True
        # One that is not up yet does not listen for the signal, which would end it.
        if self._is_up:
            self._signal(signal.SIGUSR1)

    async def stop(self) -> None:
        """TERM, and KILL for one that is still there kill_after_s later. Returns once it is gone."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if self._task is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._task), self.kill_after_s)
        except TimeoutError:
            log.error("child had to be killed", child=self.spec.name)
            self.kill()
            await self._task

    def kill(self) -> None:
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Runs workers and, where one is wanted, the embedded recogniser, until a signal ends them all.

    worker: makes a worker's spec from its slot, which no other live worker has; there are workers + 1, as a
    successor starts before its predecessor ends. on_worker_exit: a process ended; called with its id and its slot.
    recogniser_ready: returns once the recogniser answers; raises StartFailed. on_ready: the service is up.
    """

    def __init__(
        self,
        *,
        worker: Callable[[int], ChildSpec],
        workers: int,
        recogniser: ChildSpec | None,
        recogniser_ready: Callable[[], Awaitable[None]] | None,
        on_ready: Callable[[], None],
        on_worker_exit: Callable[[int, int], None] = lambda pid, slot: None,
    ) -> None:
        self._worker = worker
        self._on_ready = on_ready
        self._on_worker_exit = on_worker_exit
        self._recogniser_ready = recogniser_ready
        self._recogniser = Child(recogniser) if recogniser else None
        self._workers: dict[int, Child] = {}
        for _ in range(workers):
            self._add_worker()
        self._stopping = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Start everything, stay until a signal, end everything. Raises StartFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        # From a terminal it says that the window was closed; elsewhere it is the usual word for "renew yourself".
        from_terminal = sys.stdin is not None and sys.stdin.isatty()
        loop.add_signal_handler(signal.SIGHUP, self._on_signal if from_terminal else self._on_hangup)
        loop.add_signal_handler(signal.SIGUSR1, self._on_drain)
        try:
            if self._recogniser:
                self._recogniser.start()
            for child in self._workers.values():
                child.start()
            if await self._start():
                self._on_ready()
                await self._stopping.wait()
        finally:
            await self._end()

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            log.warning("killing what has not ended yet")
            for child in self._children():
                child.kill()
        else:
            log.info("stopping", live_processes=len(self._children()))
        self._stopping.set()

    def _add_worker(self) -> tuple[int, Child]:
        slot = next(slot for slot in itertools.count() if slot not in self._workers)
        child = Child(self._worker(slot), lambda pid: self._on_worker_exit(pid, slot), self._on_drain)
        self._workers[slot] = child
        return slot, child

    def _on_drain(self) -> None:
        log.info("draining", workers=len(self._workers))
        for child in self._workers.values():
            child.drain()

    def _on_hangup(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace_workers())

    async def _start(self) -> bool:
        """Wait until recogniser and workers are up. False: a signal came first."""
        stopping = asyncio.create_task(self._stopping.wait())
        starting = asyncio.create_task(self._all_ready())
        try:
            await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return False
            await starting
            return True
        finally:
            for task in (stopping, starting):
                task.cancel()
            await asyncio.gather(stopping, starting, return_exceptions=True)

    async def _all_ready(self) -> None:
        if self._recogniser_ready is not None:
            await self._recogniser_ready()
        for child in list(self._workers.values()):
            await self._worker_ready(child)

    async def _worker_ready(self, child: Child) -> None:
        deadline = time.monotonic() + WORKER_READY_TIMEOUT_S
        while not child.ready.is_set():
            if child.failed_starts >= START_TRIES:
                raise StartFailed("The server process ends while it starts; the lines above say why.")
            if time.monotonic() > deadline:
                raise StartFailed(f"The server process was not ready within {WORKER_READY_TIMEOUT_S:g} s.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.ready.wait(), FIRST_RESTART_DELAY_S)

    async def _replace_workers(self) -> None:
        """On SIGHUP: for each worker start its successor first, then drain it. One at a time.

        Successors of workers that were drained take sessions again.
        """
        for old_slot, old in list(self._workers.items()):
            new_slot, new = self._add_worker()
            new.start()
            try:
                await self._worker_ready(new)
            except StartFailed as error:
                log.error("worker not replaced", reason=str(error))
                await new.stop()
                del self._workers[new_slot]
                return
            await old.stop()
            del self._workers[old_slot]

    def _children(self) -> list[Child]:
        return [*self._workers.values(), *([self._recogniser] if self._recogniser else [])]

    async def _end(self) -> None:
        """Workers first, all at once; the recogniser once nobody speaks to it any more."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.gather(self._replacing, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._workers.values()))
        if self._recogniser:
            await self._recogniser.stop()
