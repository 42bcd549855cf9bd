"""Whatever a server sends, nothing is raised and little is kept."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from transcription.riva.http2.call import MAX_WAITING_MESSAGES, RECEIVE_WINDOW_BYTES, StreamCall
from transcription.riva.http2.connection import MAX_HEADER_BYTES, Connection
from transcription.riva.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    MAX_FRAME_BYTES,
    SETTINGS,
    build_frame,
    build_message,
)
from transcription.tests.http2_transport import RecordingTransport

CALLS = 3
GREETING = build_frame(SETTINGS, 0, 0)
# Of the static table: ":status: 200"; literals: content-type, grpc-status.
ANSWER = b"\x88\x0f\x10\x10application/grpc"
TRAILERS = b"\x00\x0bgrpc-status\x010"

stream_ids = st.sampled_from([0, 1, 1, 3, 5, 7, 2, 2**31 - 1])
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", bytes(4), bytes(8), b"\0\0\0\1", b"\0\4\0\0\0\0", b"\0\3\0\0\0\1", b"\0\4\x7f\xff\xff\xff"]),
    st.sampled_from([ANSWER, TRAILERS, ANSWER + TRAILERS]),
    st.binary(max_size=300).map(build_message),
)
frames = st.builds(build_frame, st.integers(0, 10), st.sampled_from([0, 1, 4, 5, 8, 0x20, 0xFF]), stream_ids, payloads)
plausible = st.sampled_from(
    [build_frame(1, END_HEADERS, number, ANSWER) for number in (1, 3, 5)]
    + [build_frame(1, END_HEADERS | 1, number, TRAILERS) for number in (1, 3, 5)]
    + [build_frame(0, 0, number, build_message(b"answer")) for number in (1, 3, 5)]
    + [build_frame(0, 0, number, bytes(MAX_FRAME_BYTES)) for number in (1, 3)]
    + [build_frame(3, 0, 1, bytes(4)), build_frame(7, 0, 0, b"\0\0\0\3\0\0\0\0")]
)


def feed(pieces: list[bytes]) -> None:
    """Give the pieces to a connection with calls on it that wait to write, and see that it stays sound."""

    async def run() -> None:
        transport, lost = RecordingTransport(), list[Connection]()
        connection = Connection(on_lost=lambda connection, _waiting: lost.append(connection))
        connection.connection_made(transport)
        connection.data_received(GREETING)
        calls = [StreamCall((), serialize=bytes, parse=bytes, timeout_s=None) for _ in range(CALLS)]
        for call in calls:
            connection.begin(call)
        writes = [asyncio.ensure_future(call.write(bytes(100_000))) for call in calls]
        await asyncio.sleep(0)
        for piece in pieces:
            if transport.is_closed:
                break
            connection.data_received(piece)
            await asyncio.sleep(0)
            if transport.is_closed:
                assert all(call.done() for call in calls)
                assert lost == [connection]
        connection.close()
        assert all(call.done() for call in calls)
        outcomes = await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), 5)
        assert not any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert transport.is_closed

    asyncio.run(run())


@given(st.lists(st.binary(max_size=100), max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    feed(pieces)


@given(st.lists(frames | plausible, max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_frames_in_any_order_are_taken(pieces: list[bytes]) -> None:
    feed(pieces)


@given(st.lists(frames | plausible, max_size=10), st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_any_frames_cut_anywhere_are_taken(sent: list[bytes], size: int) -> None:
    data = b"".join(sent)
    feed([data[at : at + size] for at in range(0, len(data), size)])


async def test_a_server_that_floods_a_call_is_cut_off() -> None:
    flood = build_frame(0, 0, 1, build_message(bytes(16_000)))
    parsed: list[int] = []

    def parse(message: bytes) -> bytes:
        parsed.append(len(message))
        return message

    transport = RecordingTransport()
    connection = Connection(on_lost=lambda _connection, _waiting: None)
    connection.connection_made(transport)
    connection.data_received(GREETING)
    call = StreamCall((), serialize=bytes, parse=parse, timeout_s=None)
    connection.begin(call)
    connection.data_received(build_frame(1, END_HEADERS, 1, ANSWER))
    for _ in range(1000):
        connection.data_received(flood)
    assert call.done()
    assert sum(parsed) <= RECEIVE_WINDOW_BYTES + MAX_WAITING_MESSAGES * MAX_FRAME_BYTES
    connection.close()


async def test_headers_without_an_end_are_not_kept_for_ever() -> None:
    transport = RecordingTransport()
    connection = Connection(on_lost=lambda _connection, _waiting: None)
    connection.connection_made(transport)
    connection.data_received(GREETING)
    connection.begin(StreamCall((), serialize=bytes, parse=bytes, timeout_s=None))
    connection.data_received(build_frame(1, 0, 1, ANSWER))
    for _ in range(MAX_HEADER_BYTES // MAX_FRAME_BYTES + 1):
        connection.data_received(build_frame(CONTINUATION, 0, 1, bytes(MAX_FRAME_BYTES)))
    assert transport.is_closed
