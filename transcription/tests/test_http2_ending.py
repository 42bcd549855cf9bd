"""How calls end by their server's doing: resets, goodbyes, answers that are not gRPC."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.frames import (
    DATA,
    END_STREAM,
    GOAWAY,
    RST_STREAM,
    SETTING_MAX_CONCURRENT_STREAMS,
    ErrorCode,
    build_frame,
    build_message,
    build_settings,
)
from transcription.tests.http2_peer import (
    ANSWER,
    PeerConnection,
    begin,
    goodbye,
    kinds,
    one_call,
    peer_and_channel,
    resets,
)

ONE_AT_A_TIME = {SETTING_MAX_CONCURRENT_STREAMS: 1}


def goaway(last_stream_id: int, code: ErrorCode = ErrorCode.NO_ERROR, text: bytes = b"") -> bytes:
    return build_frame(GOAWAY, 0, 0, last_stream_id.to_bytes(4) + code.to_bytes(4) + text)


class TestResets:
    @pytest.mark.parametrize(
        ("reset", "code"),
        [
            (ErrorCode.NO_ERROR, StatusCode.INTERNAL),
            (ErrorCode.REFUSED_STREAM, StatusCode.UNAVAILABLE),
            (ErrorCode.CANCEL, StatusCode.CANCELLED),
            (ErrorCode.ENHANCE_YOUR_CALM, StatusCode.RESOURCE_EXHAUSTED),
            (0x99, StatusCode.INTERNAL),
        ],
    )
    async def test_a_reset_ends_its_call_and_no_other(self, reset: int, code: StatusCode) -> None:
        async with peer_and_channel() as (peer, channel):
            first, second = begin(channel), begin(channel)
            connection = await peer.greeted()
            connection.send(build_frame(RST_STREAM, 0, (await connection.next_call())[0], reset.to_bytes(4)))
            assert await first.code() is code
            assert not second.done()
            # A reset is not answered with one.
            assert resets(await connection.heard()) == {}

    async def test_a_write_that_waits_learns_of_the_reset(self) -> None:
        async with one_call() as (connection, call):
            writing = asyncio.ensure_future(call.write(bytes(100_000)))
            await connection.next_of(DATA)
            connection.send(build_frame(RST_STREAM, 0, 1, (8).to_bytes(4)))
            with pytest.raises(AioRpcError):
                await writing


class TestEnds:
    async def test_a_server_that_ends_early_is_told_that_nothing_more_comes(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1)
            connection.end(1)
            assert await call.read() is EOF
            assert resets(await connection.heard()) == {1: ErrorCode.NO_ERROR}

    async def test_an_end_without_trailers_is_a_failure(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1)
            connection.send(build_frame(DATA, END_STREAM, 1, build_message(b"last")))
            assert await call.read() == b"last"
            with pytest.raises(AioRpcError) as raised:
                await call.read()
            assert raised.value.code() is StatusCode.INTERNAL

    async def test_trailers_without_a_status_are_a_failure(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1)
            connection.headers(1, [("x-other", "1")], ends=True)
            assert await call.code() is StatusCode.UNKNOWN

    @pytest.mark.parametrize("ends", [False, True])
    @pytest.mark.parametrize(
        ("http_status", "code"), [("503", StatusCode.UNAVAILABLE), ("404", StatusCode.UNIMPLEMENTED)]
    )
    async def test_an_answer_of_http_ends_the_call(self, http_status: str, code: StatusCode, ends: bool) -> None:
        async with one_call() as (connection, call):
            connection.headers(1, [(":status", http_status), ("content-type", "text/html")], ends=ends)
            assert await call.code() is code
            assert http_status in await call.details()
            connection.send(build_frame(DATA, 0, 1, b"<html>"))
            assert 1 in resets(await connection.heard())

    async def test_an_answer_that_is_no_grpc_ends_the_call(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1, [(":status", "200"), ("content-type", "text/html")])
            assert await call.code() is StatusCode.UNKNOWN
            assert resets(await connection.heard()) == {1: ErrorCode.CANCEL}

    async def test_a_connection_that_breaks_ends_its_calls(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1)
            connection.message(1, b"heard")
            await connection.heard()
            connection.close()
            assert await call.read() == b"heard"
            with pytest.raises(AioRpcError) as raised:
                await call.read()
            assert raised.value.code() is StatusCode.UNAVAILABLE


class TestGoodbye:
    async def test_calls_that_the_server_did_not_take_fail_and_the_others_go_on(self) -> None:
        async with peer_and_channel() as (peer, channel):
            taken, not_taken = begin(channel), begin(channel)
            connection = await peer.greeted()
            await connection.next_call()
            await connection.next_call()
            connection.send(goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"too_many_pings"))
            assert await not_taken.code() is StatusCode.UNAVAILABLE
            assert await not_taken.details() == "GOAWAY received: ENHANCE_YOUR_CALM too_many_pings"
            await taken.write(b"still")
            assert (await connection.next_of(DATA)).payload == build_message(b"still")
            connection.headers(1)
            connection.message(1, b"here")
            assert await taken.read() == b"here"
            connection.end(1)
            assert await taken.read() is EOF
            assert goodbye(await connection.end_of_connection()) == ErrorCode.NO_ERROR

    async def test_the_next_call_goes_over_a_new_connection(self) -> None:
        async with peer_and_channel() as (peer, channel):
            begin(channel)
            old = await peer.greeted()
            await old.next_call()
            old.send(goaway(1))
            await old.heard()
            begin(channel)
            assert (await (await peer.greeted()).next_call())[0] == 1

    async def test_a_second_goodbye_may_take_back_more(self) -> None:
        async with peer_and_channel() as (peer, channel):
            first, second = begin(channel), begin(channel)
            connection = await peer.greeted()
            await connection.next_call()
            await connection.next_call()
            connection.send(goaway(2**31 - 1))
            await connection.heard()
            assert not second.done()
            connection.send(goaway(1))
            assert await second.code() is StatusCode.UNAVAILABLE
            assert not first.done()

    async def test_a_connection_without_calls_is_closed(self) -> None:
        async with one_call() as (connection, call):
            call.cancel()
            connection.send(goaway(1))
            assert goodbye(await connection.end_of_connection()) == ErrorCode.NO_ERROR

    async def test_closing_the_channel_ends_calls_on_a_connection_that_was_taken_leave_of(self) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.greeted()
            await connection.next_call()
            connection.send(goaway(1))
            await connection.heard()
            await channel.close()
            assert call.done()
            await connection.end_of_connection()

    async def test_calls_that_wait_for_a_place_begin_on_the_next_connection(self) -> None:
        async with peer_and_channel() as (peer, channel):
            first, waiting = begin(channel), begin(channel)
            connection = await peer.greeted(ONE_AT_A_TIME)
            await connection.next_call()
            writing = asyncio.ensure_future(waiting.write(b"early"))
            connection.send(goaway(1))
            other = await peer.greeted(ONE_AT_A_TIME)
            await other.next_call()
            assert (await other.next_of(DATA)).payload == build_message(b"early")
            await writing
            assert not first.done()


class TestPlaces:
    async def test_calls_over_the_servers_limit_wait_and_begin_when_one_ends(self) -> None:
        async with peer_and_channel() as (peer, channel):
            first, second = begin(channel), begin(channel)
            connection = await peer.greeted(ONE_AT_A_TIME)
            await connection.next_call()
            writing = asyncio.ensure_future(second.write(b"early"))
            assert kinds(await connection.heard()) == set()
            first.cancel()
            assert (await connection.next_call())[0] == 3
            assert (await connection.next_of(DATA)).payload == build_message(b"early")
            await writing

    async def test_a_limit_that_is_raised_lets_them_begin(self) -> None:
        async with peer_and_channel() as (peer, channel):
            for _ in range(3):
                begin(channel)
            connection = await peer.greeted(ONE_AT_A_TIME)
            await connection.next_call()
            connection.send(build_settings({SETTING_MAX_CONCURRENT_STREAMS: 2}))
            assert (await connection.next_call())[0] == 3
            assert kinds(await connection.heard()) == set()

    async def test_a_call_that_is_cancelled_while_it_waits_is_forgotten(self) -> None:
        async with peer_and_channel() as (peer, channel):
            first, cancelled, third = begin(channel), begin(channel), begin(channel)
            connection = await peer.greeted(ONE_AT_A_TIME)
            await connection.next_call()
            cancelled.cancel()
            await _answer(connection, 1)
            assert await first.read() is EOF
            # Numbers are given when calls begin.
            assert (await connection.next_call())[0] == 3
            await _answer(connection, 3)
            assert await third.read() is EOF
            assert kinds(await connection.heard()) <= {RST_STREAM}


async def _answer(connection: PeerConnection, stream_id: int) -> None:
    connection.headers(stream_id, ANSWER)
    connection.end(stream_id)
