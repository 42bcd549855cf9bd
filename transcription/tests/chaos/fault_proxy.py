"""A TCP proxy that fails as told, to stand between any two parties."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
READ_BYTES = 64 * 1024
# What one direction of one connection holds while it waits for its time; then the sender is not read.
MAX_HELD_CHUNKS = 256
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to the bytes of one direction.

    latency_s: each comes so much later. bytes_per_s: no more than these pass, each connection for itself.
    slice_bytes: they are written in pieces of this size. cut_after_bytes: the connection is reset once so many
    have passed. slow_close_s: the end of the stream comes so much later. hangs: nothing passes and nothing is read.
    """

    latency_s: float = 0.0
    bytes_per_s: int | None = None
    slice_bytes: int | None = None
    cut_after_bytes: int | None = None
    slow_close_s: float = 0.0
    hangs: bool = False


HEALTHY = Faults()
HANGING = Faults(hangs=True)


class FaultProxy:
    """`async with FaultProxy(host, port) as proxy:` passes what comes to proxy.address on to host:port.

    up: faults of the bytes to the target; down: of those from it. Both may be exchanged at any time and hold for
    open connections too.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.accepted = 0
        self._up = HEALTHY
        self._down = HEALTHY
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        return len(self._links)

    @property
    def up(self) -> Faults:
        return self._up

    @property
    def down(self) -> Faults:
        return self._down

    def set(self, *, up: Faults | None = None, down: Faults | None = None) -> None:
        """Change the faults of a direction; None leaves it as it is."""
        self._up, self._down = up or self._up, down or self._down
        self._changed.set()
        self._changed = asyncio.Event()

    def hang(self) -> None:
        """Nothing passes in either direction; connections stay, and new ones are accepted."""
        self.set(up=HANGING, down=HANGING)

    def reset(self) -> int:
        """Break every connection off with RST at both ends. Returns how many."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    async def refuse(self) -> None:
        """Refuse new connections; open ones stay."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def heal(self) -> None:
        """Pass everything on again, at the same port."""
        self.set(up=HEALTHY, down=HEALTHY)
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.heal()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.refuse()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def changed(self) -> None:
        """Wait until the faults change."""
        await self._changed.wait()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """One connection and the one it is passed on by."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writers = [writer]
        self._broken = asyncio.Event()

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self._broken.set()

    async def run(self) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(*self._proxy.target)
        except OSError:
            self.reset()
            return
        client_writer = self._writers[0]
        self._writers.append(target_writer)
        if self._broken.is_set():
            self.reset()
        work = [
            asyncio.ensure_future(self._carry(self._reader, target_writer, lambda: self._proxy.up)),
            asyncio.ensure_future(self._carry(target_reader, client_writer, lambda: self._proxy.down)),
        ]
        broken = asyncio.create_task(self._broken.wait())
        both = asyncio.gather(*work)
        try:
            waiting: set[asyncio.Future[Any]] = {both, broken}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if both.done() and both.exception() is not None:
                self.reset()
        finally:
            for task in (*work, broken):
                task.cancel()
            await asyncio.gather(*work, both, broken, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Callable[[], Faults]
    ) -> None:
        """One direction, to its end. Raises OSError where one end broke the connection off."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_HELD_CHUNKS)
        writing = asyncio.create_task(self._write(held, writer, faults))
        reading = asyncio.create_task(self._read(reader, held, faults))
        try:
            done, _ = await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)

    async def _read(
        self, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]], faults: Callable[[], Faults]
    ) -> None:
        loop = asyncio.get_running_loop()
        chunk = b"."
        while chunk:
            await self._until_it_passes(faults)
            chunk = await reader.read(READ_BYTES)
            delay_s = faults().latency_s + (0.0 if chunk else faults().slow_close_s)
            await held.put((loop.time() + delay_s, chunk))

    async def _write(
        self, held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, faults: Callable[[], Faults]
    ) -> None:
        loop = asyncio.get_running_loop()
        passed = 0
        while True:
            due_at_s, chunk = await held.get()
            await asyncio.sleep(max(0.0, due_at_s - loop.time()))
            await self._until_it_passes(faults)
            if not chunk:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            for piece in _pieces(chunk, faults().slice_bytes):
                now = faults()
                if now.cut_after_bytes is not None and passed + len(piece) >= now.cut_after_bytes:
                    writer.write(piece[: max(0, now.cut_after_bytes - passed)])
                    with contextlib.suppress(OSError):
                        await writer.drain()
                    self.reset()
                    return
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
                if now.bytes_per_s:
                    await asyncio.sleep(len(piece) / now.bytes_per_s)
                elif now.slice_bytes:
                    await asyncio.sleep(0)

    async def _until_it_passes(self, faults: Callable[[], Faults]) -> None:
        while faults().hangs:
            await self._proxy.changed()


def _pieces(chunk: bytes, size: int | None) -> list[bytes]:
    size = size or len(chunk)
    return [chunk[start : start + size] for start in range(0, len(chunk), size)]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: what lies in the socket's buffers is thrown away."""
    sock: Any = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
