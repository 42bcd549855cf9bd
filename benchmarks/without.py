"""The service without some of its parts, to see what they cost.

    python -m benchmarks.without --leave-out storing --leave-out acks --port 8000

storing: sessions and finals are held in memory and nothing is committed. acks: clients are not told what arrived.
The live view costs nothing while nobody watches, so it is left out by having no viewers.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import uvicorn

# First: it sets Django up.
from speechsite.asgi import application  # noqa: F401
from speechsite.config import get_config
from speechsite.loop import make_loop
from speechsite.server import (
    let_the_loop_finish,
    load_pages,
    raise_open_files,
    spare_the_collector,
    switch_threads_sooner,
    uvicorn_config,
)
from transcription import process
from transcription.consumers import TranscriptionConsumer
from transcription.dialects.native import NativeDialect
from transcription.events import Ack, Event
from transcription.storage.steps import Ending, NewSession, SessionHandle, Step

PARTS = ("storing", "acks")


class NoStore:
    """Has the store's interface and stores nothing."""

    def __init__(self) -> None:
        self._made = 0

    async def create(self, new: NewSession) -> SessionHandle:
        self._made += 1
        return SessionHandle(self._made, new.public_id, 1, 0, 0, datetime.now(UTC))

    async def opened(self, handle: SessionHandle, **_facts: Any) -> None: ...

    async def commit(self, step: Step) -> None: ...

    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...

    async def created_config(self, *_args: Any) -> None:
        return None

    def held_sessions(self) -> list[Any]:
        return []

    async def lost(self, _handles: Any) -> dict[SessionHandle, Any]:
        return {}

    async def aclose(self) -> None: ...


class QuietDialect(NativeDialect):
    def render(self, event: Event) -> Sequence[str]:
        return [] if isinstance(event, Ack) else super().render(event)


async def serve(port: int, without: set[str]) -> None:
    config = get_config()
    if "storing" in without:
        process._process = process.Process(config, store=NoStore())
        process._loop = asyncio.get_running_loop()
    if "acks" in without:
        TranscriptionConsumer.dialect_class = QuietDialect
    server = uvicorn.Server(uvicorn_config(config, raise_open_files()))
    listening = socket.create_server(("127.0.0.1", port))
    spare_the_collector()
    await server.serve(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.without")
    parser.add_argument("--leave-out", action="append", default=[], choices=PARTS)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    # As a worker of `serve` does.
    load_pages()
    switch_threads_sooner()
    let_the_loop_finish()
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(serve(arguments.port, set(arguments.leave_out)))


if __name__ == "__main__":
    main()
