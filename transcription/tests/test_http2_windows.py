"""How much goes out, as the server's windows and the socket allow."""

from __future__ import annotations

import asyncio

import pytest

from transcription.riva.http2.call import RECEIVE_WINDOW_BYTES
from transcription.riva.http2.connection import CONNECTION_WINDOW_BYTES
from transcription.riva.http2.frames import (
    DATA,
    DEFAULT_WINDOW_BYTES,
    END_STREAM,
    MAX_FRAME_BYTES,
    MAX_WINDOW_BYTES,
    SETTING_INITIAL_WINDOW_SIZE,
    SETTINGS,
    WINDOW_UPDATE,
    build_frame,
    build_message,
    build_settings,
    build_window_update,
)
from transcription.tests.http2_peer import (
    PeerConnection,
    begin,
    data_of,
    one_call,
    peer_and_channel,
)

LARGE = bytes(number % 251 for number in range(100_000))


def initial_window(size_bytes: int) -> dict[int, int]:
    return {SETTING_INITIAL_WINDOW_SIZE: size_bytes}


async def data_until(connection: PeerConnection, size_bytes: int, stream_id: int = 1) -> bytes:
    data = bytearray()
    while len(data) < size_bytes:
        frame = await connection.next_of(DATA)
        assert len(frame.payload) <= MAX_FRAME_BYTES
        if frame.stream_id == stream_id:
            data += frame.payload
    return bytes(data)


async def test_a_large_message_goes_in_many_frames() -> None:
    async with one_call(initial_window(MAX_WINDOW_BYTES)) as (connection, call):
        connection.send(build_window_update(0, 1_000_000))
        await connection.heard()
        await call.write(LARGE)
        assert await data_until(connection, len(LARGE) + 5) == build_message(LARGE)


async def test_a_streams_window_bounds_what_goes_out() -> None:
    async with one_call(initial_window(1000)) as (connection, call):
        await call.write(bytes(990))
        writing = asyncio.ensure_future(call.write(b"waits"))
        assert data_of(await connection.heard()) == build_message(bytes(990)) + build_message(b"waits")[:5]
        assert not writing.done()
        connection.send(build_window_update(1, 3))
        assert data_of(await connection.heard()) == b"wai"
        connection.send(build_window_update(1, 100))
        await writing
        assert data_of(await connection.heard()) == b"ts"


async def test_the_connections_window_bounds_all_calls_together() -> None:
    async with peer_and_channel() as (peer, channel):
        first, second = begin(channel), begin(channel)
        connection = await peer.greeted(initial_window(MAX_WINDOW_BYTES))
        await connection.next_call()
        writes = [asyncio.ensure_future(call.write(LARGE)) for call in (first, second)]
        frames = await connection.heard()
        frames += await connection.heard()
        sent_bytes = sum(len(frame.payload) for frame in frames if frame.kind == DATA)
        assert sent_bytes == DEFAULT_WINDOW_BYTES
        connection.send(build_window_update(0, 2 * len(LARGE)))
        await asyncio.gather(*writes)
        frames += await connection.heard()
        assert data_of(frames, 1) == data_of(frames, 3) == build_message(LARGE)


async def test_a_window_that_is_raised_in_mid_stream_lets_waiting_messages_out() -> None:
    async with one_call(initial_window(10)) as (connection, call):
        writing = asyncio.ensure_future(call.write(b"sixteen letters."))
        assert len(data_of(await connection.heard())) == 10
        connection.send(build_settings(initial_window(1000)))
        await writing
        # In this order: the server counts with the new window from the acknowledgement on.
        assert [(frame.kind, len(frame.payload)) for frame in await connection.heard()] == [(SETTINGS, 0), (DATA, 11)]


async def test_a_window_that_is_lowered_below_what_was_sent_must_be_filled_up_first() -> None:
    async with one_call(initial_window(1000)) as (connection, call):
        await call.write(bytes(895))
        connection.send(build_settings(initial_window(100)))
        await connection.heard()
        writing = asyncio.ensure_future(call.write(b"waits"))
        connection.send(build_window_update(1, 800))
        assert data_of(await connection.heard()) == b""
        connection.send(build_window_update(1, 10))
        await writing
        assert data_of(await connection.heard()) == build_message(b"waits")


async def test_the_end_needs_no_window() -> None:
    async with one_call(initial_window(1000)) as (connection, call):
        await call.write(bytes(895))
        connection.send(build_settings(initial_window(0)))
        await connection.heard()
        await call.done_writing()
        assert (await connection.next_of(DATA)).flags == END_STREAM


async def test_the_end_waits_for_the_message_before_it() -> None:
    async with one_call(initial_window(7)) as (connection, call):
        writing = asyncio.ensure_future(call.write(b"last"))
        await connection.next_of(DATA)
        connection.send(build_window_update(1, 100))
        await writing
        await call.done_writing()
        first, last = await connection.next_of(DATA), await connection.next_of(DATA)
        assert (first.payload, first.flags) == (b"st", 0)
        assert (last.payload, last.flags) == (b"", END_STREAM)


@pytest.mark.parametrize("size", [1000, len(LARGE)])
async def test_a_server_that_gives_all_room_and_reads_nothing_makes_writes_wait(size: int) -> None:
    """Otherwise all that is ever written would lie in memory."""
    async with one_call(initial_window(MAX_WINDOW_BYTES)) as (connection, call):
        connection.send(build_window_update(0, MAX_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))
        await connection.heard()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        written_bytes = 0
        message = bytes(size)
        while written_bytes < 64 * 1024 * 1024:
            writing = asyncio.ensure_future(call.write(message))
            # Without the loop's turning but once: a task that always has something to write must wait too.
            await asyncio.sleep(0)
            if not writing.done():
                break
            written_bytes += size
        assert not writing.done()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await data_until(connection, written_bytes)
        await writing


async def test_one_who_writes_without_a_pause_is_made_to_wait() -> None:
    async with one_call(initial_window(MAX_WINDOW_BYTES)) as (connection, call):
        connection.send(build_window_update(0, MAX_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))
        await connection.heard()

        async def write_all() -> None:
            for _ in range(16):
                await call.write(bytes(1024 * 1024))

        writing = asyncio.ensure_future(write_all())
        await asyncio.sleep(0)
        assert not writing.done()
        await data_until(connection, 16 * 1024 * 1024)
        await writing


async def test_the_connections_room_is_given_back_for_calls_that_are_over_too() -> None:
    async with one_call() as (connection, call):
        call.cancel()
        piece = build_frame(DATA, 0, 1, bytes(MAX_FRAME_BYTES))
        for _ in range(CONNECTION_WINDOW_BYTES // 2 // MAX_FRAME_BYTES):
            connection.send(piece)
            await connection.writer.drain()
        updates = [frame for frame in await connection.heard() if frame.kind == WINDOW_UPDATE and not frame.stream_id]
        assert [int.from_bytes(frame.payload) for frame in updates][-1] == CONNECTION_WINDOW_BYTES // 2


async def test_a_message_larger_than_the_window_comes_through() -> None:
    async with one_call() as (connection, call):
        connection.headers(1)
        message = build_message(bytes(3 * RECEIVE_WINDOW_BYTES))
        reading = asyncio.ensure_future(call.read())
        room_bytes, at = RECEIVE_WINDOW_BYTES, 0
        while at < len(message):
            while room_bytes < MAX_FRAME_BYTES:
                update = await connection.next_of(WINDOW_UPDATE)
                room_bytes += int.from_bytes(update.payload) if update.stream_id else 0
            piece = message[at : at + MAX_FRAME_BYTES]
            connection.send(build_frame(DATA, 0, 1, piece))
            at, room_bytes = at + len(piece), room_bytes - len(piece)
        assert len(await reading) == 3 * RECEIVE_WINDOW_BYTES
