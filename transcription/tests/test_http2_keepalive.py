"""Whether a server that says nothing is still there. In virtual time, on a transport that only listens."""

from __future__ import annotations

import asyncio

from grpc import StatusCode

from transcription.riva.http2.call import StreamCall
from transcription.riva.http2.connection import PING_PAYLOAD, Connection
from transcription.riva.http2.frames import ACK, PING, SETTINGS, build_frame
from transcription.riva.http2.keepalive import KEEPALIVE_S, KEEPALIVE_TIMEOUT_S
from transcription.tests.http2_transport import RecordingTransport
from transcription.tests.virtual_time import in_virtual_time

OUR_PING = build_frame(PING, 0, 0, PING_PAYLOAD)
PONG = build_frame(PING, ACK, 0, PING_PAYLOAD)
# Long enough for what happens at a moment to have happened.
MOMENT_S = 0.5


class Quiet:
    """A greeted connection with one call, whose server says what the test says."""

    def __init__(self) -> None:
        self.lost: list[Connection] = []
        self.transport = RecordingTransport()
        self.connection = Connection(on_lost=lambda connection, _waiting: self.lost.append(connection))
        self.connection.connection_made(self.transport)
        self.connection.data_received(build_frame(SETTINGS, 0, 0))

    def begin(self) -> StreamCall:
        call = StreamCall((), serialize=bytes, parse=bytes, timeout_s=None)
        self.connection.begin(call)
        return call

    @property
    def pings(self) -> int:
        return self.transport.written.count(OUR_PING)

    async def until_pinged(self, count: int) -> None:
        async with asyncio.timeout(2 * KEEPALIVE_S + KEEPALIVE_TIMEOUT_S):
            while self.pings < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(MOMENT_S)


async def until(time_s: float) -> None:
    await asyncio.sleep(time_s + MOMENT_S - asyncio.get_running_loop().time())


@in_virtual_time
async def test_a_server_that_answers_no_ping_is_given_up() -> None:
    quiet = Quiet()
    call = quiet.begin()
    await until(KEEPALIVE_S)
    assert quiet.pings == 1
    assert not call.done()
    await until(KEEPALIVE_S + KEEPALIVE_TIMEOUT_S)
    assert await call.code() is StatusCode.UNAVAILABLE
    assert quiet.transport.is_closed
    assert quiet.lost == [quiet.connection]


@in_virtual_time
async def test_a_server_that_answers_is_kept_and_not_asked_for_ever() -> None:
    quiet = Quiet()
    call = quiet.begin()
    for count in (1, 2):
        await quiet.until_pinged(count)
        quiet.connection.data_received(PONG)
    await until(20 * KEEPALIVE_S)
    assert quiet.pings == 2
    assert not call.done()
    quiet.connection.close()


@in_virtual_time
async def test_what_we_send_lets_it_be_asked_again() -> None:
    quiet = Quiet()
    call = quiet.begin()
    for count in (1, 2, 3, 4, 5):
        await call.write(b"audio")
        await quiet.until_pinged(count)
        quiet.connection.data_received(PONG)
    assert not call.done()
    quiet.connection.close()


@in_virtual_time
async def test_a_server_that_talks_is_not_asked() -> None:
    quiet = Quiet()
    quiet.begin()
    for _ in range(10):
        await asyncio.sleep(KEEPALIVE_S - MOMENT_S)
        quiet.connection.data_received(build_frame(SETTINGS, ACK, 0))
    assert quiet.pings == 0
    quiet.connection.close()


@in_virtual_time
async def test_anything_that_the_server_says_answers_a_ping() -> None:
    quiet = Quiet()
    call = quiet.begin()
    await until(KEEPALIVE_S)
    assert quiet.pings == 1
    quiet.connection.data_received(build_frame(SETTINGS, ACK, 0))
    await until(KEEPALIVE_S + KEEPALIVE_TIMEOUT_S)
    assert not call.done()
    quiet.connection.close()


@in_virtual_time
async def test_a_connection_without_calls_is_left_alone() -> None:
    quiet = Quiet()
    await until(20 * KEEPALIVE_S)
    assert quiet.pings == 0
    assert not quiet.transport.is_closed
    quiet.connection.close()


@in_virtual_time
async def test_a_call_after_a_long_quiet_gets_a_server_time_to_answer_it() -> None:
    quiet = Quiet()
    await until(10.5 * KEEPALIVE_S)
    began_s = asyncio.get_running_loop().time()
    call = quiet.begin()
    assert await call.code() is StatusCode.UNAVAILABLE
    assert KEEPALIVE_TIMEOUT_S <= asyncio.get_running_loop().time() - began_s <= 2 * KEEPALIVE_S + KEEPALIVE_TIMEOUT_S


@in_virtual_time
async def test_a_closed_connection_leaves_no_timer() -> None:
    quiet = Quiet()
    quiet.begin()
    quiet.connection.close()
    await until(2 * KEEPALIVE_S)
    assert quiet.pings == 0
