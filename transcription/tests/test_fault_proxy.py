"""The fault proxy on real sockets: it passes everything on, and fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from transcription.tests.chaos.fault_proxy import HANGING, HOST, FaultProxy, Faults

PATIENCE_S = 5.0
A_WHILE_S = 0.1
TEXT = bytes(range(256)) * 400


class Peer:
    """A client's connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echo(self, text: bytes) -> bytes:
        """Send, and read as many bytes back."""
        async with asyncio.timeout(PATIENCE_S):
            self.writer.write(text)
            return await self.reader.readexactly(len(text))

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(A_WHILE_S):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def echoing_proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    try:
        async with FaultProxy(HOST, server.sockets[0].getsockname()[1]) as proxy:
            yield proxy
    finally:
        server.close()


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


async def elapsed_s(peer: Peer, text: bytes) -> float:
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    assert await peer.echo(text) == text
    return loop.time() - started_at


async def test_it_passes_everything_on() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as one, connected(proxy) as other:
        assert await one.echo(TEXT) == TEXT
        assert await other.echo(b"hello") == b"hello"
        assert (proxy.accepted, proxy.connections) == (2, 2)


async def test_the_end_of_a_stream_is_passed_on() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        peer.writer.write(b"last words")
        peer.writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            assert await peer.reader.read() == b"last words"


async def test_latency_delays_each_direction() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(up=Faults(latency_s=0.1), down=Faults(latency_s=0.1))
        assert await elapsed_s(peer, b"hello") >= 0.2


async def test_latency_does_not_bound_the_rate() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(up=Faults(latency_s=0.1, slice_bytes=100))
        assert await elapsed_s(peer, TEXT) < 1.0


async def test_bandwidth_is_bounded() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(up=Faults(bytes_per_s=100_000, slice_bytes=1000))
        assert await elapsed_s(peer, bytes(20_000)) >= 0.19


async def test_bytes_come_in_slices() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(down=Faults(slice_bytes=3, bytes_per_s=60))
        peer.writer.write(b"abcdef")
        async with asyncio.timeout(PATIENCE_S):
            assert await peer.reader.read(100) == b"abc"
            assert await peer.reader.read(100) == b"def"


async def test_a_hanging_connection_stays_and_goes_on() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        assert await peer.echo(b"before") == b"before"
        proxy.hang()
        peer.writer.write(b"during")
        assert await peer.is_silent()
        async with connected(proxy) as newcomer:
            newcomer.writer.write(b"hello")
            assert await newcomer.is_silent()
        await proxy.heal()
        async with asyncio.timeout(PATIENCE_S):
            assert await peer.reader.readexactly(6) == b"during"


async def test_one_direction_can_hang_alone() -> None:
    """As a database that commits and whose answer is lost."""
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(down=HANGING)
        peer.writer.write(b"committed")
        assert await peer.is_silent()
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            await peer.reader.read(1)


async def test_a_reset_reaches_the_client_as_one() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        await peer.echo(b"hello")
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_S):
                await peer.reader.read(1)


async def test_a_connection_is_cut_after_so_many_bytes() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(up=Faults(cut_after_bytes=1000))
        peer.writer.write(bytes(5000))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(peer.reader.read(), PATIENCE_S)


async def test_the_end_can_come_late() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(up=Faults(slow_close_s=0.2))
        peer.writer.write(b"hello")
        peer.writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            assert await peer.reader.readexactly(5) == b"hello"
            assert await peer.is_silent()
            assert await peer.reader.read() == b""


async def test_it_refuses_and_comes_back_at_the_same_port() -> None:
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        port = proxy.port
        assert await peer.echo(b"before") == b"before"
        await proxy.refuse()
        assert await peer.echo(b"stays") == b"stays"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await proxy.heal()
        assert proxy.port == port
        async with connected(proxy) as newcomer:
            assert await newcomer.echo(b"again") == b"again"


async def test_where_the_target_is_away_connections_are_reset() -> None:
    async with FaultProxy(HOST, 1) as proxy:
        reader, _ = await asyncio.open_connection(HOST, proxy.port)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_S):
                await reader.read(1)


async def test_a_slow_reader_is_not_read_for() -> None:
    """What the proxy holds is bounded: the sender waits as it would without it."""
    async with echoing_proxy() as proxy, connected(proxy) as peer:
        proxy.set(down=HANGING)
        async with asyncio.timeout(PATIENCE_S):
            peer.writer.write(bytes(200_000_000))
            try:
                async with asyncio.timeout(1.0):
                    await peer.writer.drain()
                waited = False
            except TimeoutError:
                waited = True
        assert waited
