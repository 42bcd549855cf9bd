"""What one call reads, and how much it lets come, on a link that does as a test says."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.call import (
    MAX_MESSAGE_BYTES,
    MAX_WAITING_MESSAGES,
    RECEIVE_WINDOW_BYTES,
    StreamCall,
)
from transcription.riva.http2.frames import MESSAGE_HEAD, ErrorCode, build_message
from transcription.tests.http2_link import RecordingLink
from transcription.tests.http2_peer import ANSWER, PATIENCE_S

OK = (("grpc-status", "0"),)
HALF_BYTES = RECEIVE_WINDOW_BYTES // 2
PIECE_BYTES = 16 * 1024


def parse(message: bytes) -> bytes:
    if message == b"unreadable":
        raise ValueError(message)
    return message


def begun(link: RecordingLink) -> StreamCall:
    """A call whose server has answered."""
    call = StreamCall((), serialize=bytes, parse=parse, timeout_s=None)
    call.begun(link, 1, 65_535)
    call.received_headers(ANSWER, ends=False)
    return call


@pytest.fixture
def link() -> RecordingLink:
    return RecordingLink()


async def test_a_message_split_at_any_byte_is_read_whole(link: RecordingLink) -> None:
    data = build_message(b"first") + build_message(b"") + build_message(b"third")
    for at in range(len(data) + 1):
        call = begun(link)
        call.received_data(data[:at])
        call.received_data(data[at:])
        assert [await call.read() for _ in range(3)] == [b"first", b"", b"third"]


async def test_a_message_that_comes_byte_by_byte_is_read_whole(link: RecordingLink) -> None:
    call = begun(link)
    reading = asyncio.ensure_future(call.read())
    for byte in build_message(b"slow"):
        assert not reading.done()
        call.received_data(bytes([byte]))
        await asyncio.sleep(0)
    assert await reading == b"slow"


@pytest.mark.parametrize("size", [RECEIVE_WINDOW_BYTES, 3 * RECEIVE_WINDOW_BYTES, MAX_MESSAGE_BYTES])
async def test_a_message_larger_than_the_window_is_let_in(link: RecordingLink, size: int) -> None:
    call = begun(link)
    message = bytes(size)
    data, room_bytes = build_message(message), RECEIVE_WINDOW_BYTES
    for start in range(0, len(data), PIECE_BYTES):
        piece = data[start : start + PIECE_BYTES]
        room_bytes -= len(piece)
        assert room_bytes >= 0
        call.received_data(piece)
        room_bytes += sum(link.given_bytes)
        link.given_bytes.clear()
    assert await call.read() == message


async def test_messages_that_came_before_a_failure_are_read_first(link: RecordingLink) -> None:
    call = begun(link)
    call.received_data(build_message(b"one") + build_message(b"two"))
    call.received_reset(ErrorCode.INTERNAL_ERROR)
    assert [await call.read(), await call.read()] == [b"one", b"two"]
    with pytest.raises(AioRpcError):
        await call.read()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (build_message(b"unreadable"), StatusCode.INTERNAL),
        (MESSAGE_HEAD.pack(1, 3) + b"abc", StatusCode.INTERNAL),
        (MESSAGE_HEAD.pack(0, MAX_MESSAGE_BYTES + 1), StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["unreadable", "compressed", "too large"],
)
@pytest.mark.parametrize("is_split", [False, True])
async def test_a_message_that_cannot_be_taken_ends_the_call_after_those_before_it(
    link: RecordingLink, data: bytes, code: StatusCode, is_split: bool
) -> None:
    call = begun(link)
    data = build_message(b"before") + data + build_message(b"after")
    for piece in (data[:13], data[13:]) if is_split else (data,):
        call.received_data(piece)
    assert await call.read() == b"before"
    with pytest.raises(AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is code
    assert link.forgotten == [ErrorCode.CANCEL]


async def test_an_end_in_the_middle_of_a_message_is_no_good_end(link: RecordingLink) -> None:
    call = begun(link)
    call.received_data(build_message(b"whole") + build_message(b"cut off")[:-1])
    call.received_headers(OK, ends=True)
    assert await call.read() == b"whole"
    with pytest.raises(AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is StatusCode.INTERNAL


async def test_a_message_before_the_servers_answer_ends_the_call(link: RecordingLink) -> None:
    """Whoever reads a message may rely on the metadata's being there."""
    call = StreamCall((), serialize=bytes, parse=parse, timeout_s=None)
    call.begun(link, 1, 65_535)
    call.received_data(build_message(b"early"))
    assert await call.code() is StatusCode.INTERNAL
    assert link.forgotten == [ErrorCode.CANCEL]


async def test_a_read_that_is_cancelled_leaves_the_call_alive(link: RecordingLink) -> None:
    call = begun(link)
    reading = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert not call.done()
    call.received_data(build_message(b"kept"))
    assert await call.read() == b"kept"


async def test_a_read_right_after_one_that_is_cancelled_is_woken(link: RecordingLink) -> None:
    call = begun(link)
    cancelled = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    cancelled.cancel()
    asyncio.get_running_loop().call_later(0.01, call.received_data, build_message(b"kept"))
    async with asyncio.timeout(PATIENCE_S):
        assert await call.read() == b"kept"


async def test_a_read_that_is_cancelled_as_its_message_comes_leaves_it_to_the_next(link: RecordingLink) -> None:
    call = begun(link)
    reading = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    call.received_data(build_message(b"kept"))
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert await call.read() == b"kept"


async def test_a_reader_gets_the_end_that_comes_while_it_waits(link: RecordingLink) -> None:
    call = begun(link)
    reading = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    call.received_headers(OK, ends=True)
    assert await reading is EOF


class TestRoom:
    async def test_it_is_given_back_at_half_the_window(self, link: RecordingLink) -> None:
        call = begun(link)
        call.received_data(build_message(bytes(HALF_BYTES - 10)))
        assert link.given_bytes == []
        call.received_data(build_message(b""))
        assert link.given_bytes == [HALF_BYTES]

    async def test_it_is_not_given_while_too_many_messages_wait(self, link: RecordingLink) -> None:
        call = begun(link)
        call.received_data(build_message(b"") * (MAX_WAITING_MESSAGES + 1))
        call.received_data(build_message(bytes(HALF_BYTES)))
        assert link.given_bytes == []
        await call.read()
        assert link.given_bytes == []
        await call.read()
        assert len(link.given_bytes) == 1

    async def test_a_reader_far_behind_gives_none_before_it_has_caught_up(self, link: RecordingLink) -> None:
        call = begun(link)
        call.received_data(build_message(bytes(HALF_BYTES)))
        assert await call.read()
        link.given_bytes.clear()
        many = 3 * MAX_WAITING_MESSAGES
        message = bytes(HALF_BYTES // many + 1)
        call.received_data(build_message(message) * many)
        for _ in range(many - MAX_WAITING_MESSAGES - 1):
            await call.read()
        assert link.given_bytes == []
        await call.read()
        assert link.given_bytes == [len(build_message(message)) * many]

    async def test_a_peer_that_sends_more_than_it_may_ends_the_call(self, link: RecordingLink) -> None:
        call = begun(link)
        message = build_message(bytes(1000))
        for _ in range(2 * RECEIVE_WINDOW_BYTES // len(message)):
            call.received_data(message)
            if call.done():
                break
        assert call.done()
        assert await call.code() is StatusCode.INTERNAL
        assert link.forgotten == [ErrorCode.FLOW_CONTROL_ERROR]
