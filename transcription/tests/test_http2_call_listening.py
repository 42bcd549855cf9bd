"""What one call hands over to whoever listens, on a link that does as a test says."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError

from transcription.riva.http2.call import MAX_WAITING_MESSAGES, RECEIVE_WINDOW_BYTES, StreamCall
from transcription.riva.http2.frames import ErrorCode, build_message
from transcription.tests.http2_link import RecordingLink
from transcription.tests.http2_peer import ANSWER

OK = (("grpc-status", "0"),)
HALF_BYTES = RECEIVE_WINDOW_BYTES // 2


def parse(message: bytes) -> bytes:
    if message == b"unreadable":
        raise ValueError(message)
    return message


class Listening:
    """A call whose server has answered, and what was heard of it."""

    def __init__(self) -> None:
        self.link = RecordingLink()
        self.call = StreamCall((), serialize=bytes, parse=parse, timeout_s=None)
        self.call.begun(self.link, 1, 65_535)
        self.call.received_headers(ANSWER, ends=False)
        self.heard: list[bytes] = []

    def take(self, message: bytes) -> None:
        if message == b"indigestible":
            raise LookupError(message)
        self.heard.append(message)

    async def begin(self) -> asyncio.Future[None]:
        listening = asyncio.ensure_future(self.call.listen(self.take))
        await asyncio.sleep(0)
        return listening


async def test_messages_are_handed_over_as_they_come_and_the_end_ends_it() -> None:
    it = Listening()
    listening = await it.begin()
    it.call.received_data(build_message(b"one") + build_message(b"two")[:3])
    assert it.heard == [b"one"]
    it.call.received_data(build_message(b"two")[3:])
    assert it.heard == [b"one", b"two"]
    assert not listening.done()
    it.call.received_headers(OK, ends=True)
    await listening


async def test_messages_that_came_before_are_handed_over_first() -> None:
    it = Listening()
    it.call.received_data(build_message(b"one"))
    it.call.received_headers(OK, ends=True)
    await it.call.listen(it.take)
    assert it.heard == [b"one"]


async def test_messages_before_a_failure_are_handed_over() -> None:
    it = Listening()
    listening = await it.begin()
    it.call.received_data(build_message(b"one"))
    it.call.received_reset(ErrorCode.REFUSED_STREAM)
    with pytest.raises(AioRpcError) as raised:
        await listening
    assert raised.value.code() is StatusCode.UNAVAILABLE
    assert it.heard == [b"one"]


async def test_messages_before_one_that_cannot_be_read_are_handed_over() -> None:
    it = Listening()
    listening = await it.begin()
    it.call.received_data(build_message(b"one") + build_message(b"unreadable") + build_message(b"after"))
    with pytest.raises(AioRpcError) as raised:
        await listening
    assert raised.value.code() is StatusCode.INTERNAL
    assert it.heard == [b"one"]


async def test_a_listener_that_fails_ends_the_call_and_hears_of_it() -> None:
    it = Listening()
    listening = await it.begin()
    it.call.received_data(build_message(b"indigestible") + build_message(b"after"))
    with pytest.raises(LookupError):
        await listening
    assert it.link.forgotten == [ErrorCode.CANCEL]
    assert it.heard == []
    assert await it.call.code() is StatusCode.CANCELLED


async def test_a_listener_that_cancels_the_call_hears_no_more_of_it() -> None:
    it = Listening()

    def take(message: bytes) -> None:
        it.take(message)
        it.call.cancel()

    listening = asyncio.ensure_future(it.call.listen(take))
    await asyncio.sleep(0)
    it.call.received_data(build_message(b"one") + build_message(b"two"))
    with pytest.raises(AioRpcError):
        await listening
    assert it.heard == [b"one"]


async def test_one_who_listens_no_longer_leaves_the_rest_to_be_read() -> None:
    it = Listening()
    listening = await it.begin()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert not it.call.done()
    it.call.received_data(build_message(b"kept"))
    assert await it.call.read() == b"kept"
    assert it.heard == []


async def test_room_is_given_back_for_any_number_of_small_messages() -> None:
    it = Listening()
    listening = await it.begin()
    frame = build_message(b"small") * (2 * MAX_WAITING_MESSAGES)
    for _ in range(3 * RECEIVE_WINDOW_BYTES // len(frame)):
        it.call.received_data(frame)
    assert len(it.link.given_bytes) >= 5
    assert not it.call.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_room_that_was_kept_back_is_given_when_somebody_begins_to_listen() -> None:
    it = Listening()
    it.call.received_data(build_message(b"") * (MAX_WAITING_MESSAGES + 1))
    it.call.received_data(build_message(bytes(HALF_BYTES)))
    assert it.link.given_bytes == []
    listening = await it.begin()
    assert len(it.link.given_bytes) == 1
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_message_is_handled_in_the_context_of_whoever_listens() -> None:
    it, name, heard_by = Listening(), ContextVar("name", default="the connection"), []

    async def listen(who: str) -> None:
        name.set(who)
        await it.call.listen(lambda _message: heard_by.append(name.get()))

    listening = asyncio.create_task(listen("the session"))
    await asyncio.sleep(0)
    it.call.received_data(build_message(b"one"))
    it.call.received_headers(OK, ends=True)
    await listening
    assert heard_by == ["the session"]
