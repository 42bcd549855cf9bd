"""One worker: uvicorn on a socket that `serve` opened, draining its sessions before it ends.

    python -m speechsite.server --socket-fd 5 --life-fd 6 --parent-fd 8 [--board-fd 9 --slot 0]

socket-fd: the listening socket, shared with the other workers. life-fd: a pipe that closes when the parent
is gone; then the worker drains and ends too. parent-fd: what the parent reads; one byte says that connections are
accepted, another that somebody wants all workers drained. board-fd: where several workers say how loaded they are, and
which slot is this one's.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    # A sixth of the time it takes to start would go into looking for garbage among what stays. spare_the_collector()
    # lets it work again.
    gc.disable()

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import threading
import time

import structlog
import uvicorn
from django.template import engines
from django.urls import get_resolver

# First: it sets Django up, which transcription.process needs.
from speechsite.asgi import application
from speechsite.config import Config, get_config
from speechsite.drain import drain
from speechsite.gated_server import GatedServer
from speechsite.load_board import LoadBoard
from speechsite.supervisor import READY
from speechsite.websocket.protocol import WebSocketProtocol
from transcription.dialects.realtime import MAX_APPEND_BYTES
from transcription.process import get_process

DRAIN_TIMEOUT_S = 25.0
# The drain ends its sessions by itself; this is for one that does not.
DRAIN_GRACE_S = 1.0
# Drain and answers that are still being sent share this; releasing what the process holds comes after it.
SHUTDOWN_TIMEOUT_S = 28.0
MIN_ANSWER_TIMEOUT_S = 1.0
EXIT_TIMEOUT_S = 40.0
# Twice what a client may send in one message, so that our own refusal is heard before the server's 1009.
WEBSOCKET_MESSAGE_FACTOR = 2
PING_INTERVAL_S = PING_TIMEOUT_S = 20.0
KEEP_ALIVE_TIMEOUT_S = 5
# Files, pipes, and connections to the database, Redis and the recogniser, beside those of clients.
RESERVED_FILES = 256
MIN_HTTP_CONNECTIONS = 64
# Sessions leave next to nothing for it: most collections would find nothing.
GC_THRESHOLDS = (10_000, 20, 20)
# Pages run in threads beside the sessions. Each of a commit's half dozen ways into the database and back may have to
# wait so long for a page that computes: by Python's own 5 ms the 99th percentile of a commit was 60 to 370 ms with two
# people searching and exporting, with this 20 to 80 ms, and the pages took as long as before.
SWITCH_INTERVAL_S = 0.001

log = structlog.stdlib.get_logger(__name__)


class WorkerServer(GatedServer):
    """uvicorn, except that shutting down first lets the live sessions finish.

    uvicorn alone closes every WebSocket with 1012 before the last finals can be sent.
    """

    def __init__(
        self, config: uvicorn.Config, parent_fd: int, *, board: LoadBoard | None = None, slot: int = 0
    ) -> None:
        super().__init__(config, board=board, slot=slot)
        self._parent_fd = parent_fd

    @property
    def wants_connections(self) -> bool:
        return not get_process().draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            spare_the_collector()
            # The parent may be gone already; the life pipe tells.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._parent_fd, READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        started_at_s = time.monotonic()
        await self.stop_accepting()
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S + DRAIN_GRACE_S):
                await get_process().drain(DRAIN_TIMEOUT_S)
        except TimeoutError:
            log.error("the drain did not end in time")
        # Whatever went wrong in draining, the server must still shut down.
        except Exception:
            log.exception("the drain failed")
        left_s = SHUTDOWN_TIMEOUT_S - (time.monotonic() - started_at_s)
        self.config.timeout_graceful_shutdown = round(max(MIN_ANSWER_TIMEOUT_S, left_s))
        await super().shutdown(sockets)


def spare_the_collector() -> None:
    """What was made while starting stays as long as the process: the collector need not look at it again.

    A full collection would otherwise hold up every session for 0.2 s at 300 of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def load_pages() -> None:
    """What Django imports for the first page it shows: later it would hold up every session for a third of a second."""
    _patterns = get_resolver().url_patterns
    _engine = engines["django"]


def switch_threads_sooner() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def let_the_loop_finish() -> None:
    """Keep threads that are woken from interrupting the one that woke them (SCHED_BATCH): they run when it waits.

    Each message to the recogniser wakes threads of gRPC, and on one core the loop was interrupted for each: a stream
    took a quarter more CPU. Threads that are made from here on have it too. Linux only; whoever chose another policy
    keeps it.
    """
    if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def uvicorn_config(config: Config, open_files: int) -> uvicorn.Config:
    """open_files: how many this process may open."""
    return uvicorn.Config(
        application,
        loop="speechsite.loop:make_loop",
        http="httptools",
        ws=WebSocketProtocol,
        ws_max_size=WEBSOCKET_MESSAGE_FACTOR * largest_message_bytes(config),
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        # Costs memory per connection, gains nothing on audio, and compression beside secrets leaks them.
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(config.forwarded_allow_ips),
        forwarded_allow_ips=config.forwarded_allow_ips,
        limit_concurrency=max(MIN_HTTP_CONNECTIONS, open_files - RESERVED_FILES),
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_S,
        timeout_graceful_shutdown=round(SHUTDOWN_TIMEOUT_S),
    )


def largest_message_bytes(config: Config) -> int:
    """Of any dialect; that of `/v1/realtime` takes the largest."""
    return max(config.max_audio_message_bytes, config.max_text_message_bytes, MAX_APPEND_BYTES)


def raise_open_files() -> int:
    """Lift the soft limit of open files to the hard one. Returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says "unlimited" and then refuses more than this.
    wanted = 10240 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def end_with_parent(life_fd: int) -> None:
    """Drain and end when the parent is gone, by force if the loop no longer turns."""

    def watch() -> None:
        # Nothing is ever written: reading returns when the last writer is gone.
        os.read(life_fd, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(EXIT_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m speechsite.server")
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--life-fd", type=int, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--board-fd", type=int)
    parser.add_argument("--slot", type=int, default=0)
    arguments = parser.parse_args()
    end_with_parent(arguments.life_fd)
    drain.has_parent(arguments.parent_fd)
    board = None if arguments.board_fd is None else LoadBoard(arguments.board_fd)
    server = WorkerServer(
        uvicorn_config(get_config(), raise_open_files()), arguments.parent_fd, board=board, slot=arguments.slot
    )
    load_pages()
    switch_threads_sooner()
    let_the_loop_finish()
    server.run(sockets=[socket.socket(fileno=arguments.socket_fd)])


if __name__ == "__main__":
    main()
