"""The way to one address: connecting, connecting anew, and the end of it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

import pytest
from grpc import ChannelConnectivity, StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.channel import Http2Channel
from transcription.riva.http2.frames import GOAWAY, PREFACE, ErrorCode, build_frame, build_message, build_settings
from transcription.tests.http2_peer import (
    METHOD,
    Http2Peer,
    PeerConnection,
    begin,
    goodbye,
    peer_and_channel,
    resets,
)

GOODBYE = build_frame(GOAWAY, 0, 0, bytes(8))


async def answer(connection: PeerConnection) -> None:
    stream_id, _ = await connection.next_call()
    connection.headers(stream_id)
    connection.message(stream_id, b"answer")
    connection.end(stream_id)


class TestConnecting:
    async def test_a_channel_connects_with_its_first_call_and_once_for_several(self) -> None:
        async with peer_and_channel() as (peer, channel):
            assert channel.get_state() is ChannelConnectivity.IDLE
            calls = [begin(channel) for _ in range(3)]
            assert channel.get_state() is ChannelConnectivity.CONNECTING
            connection = await peer.greeted()
            assert [(await connection.next_call())[0] for _ in calls] == [1, 3, 5]
            assert channel.get_state() is ChannelConnectivity.READY

    async def test_a_call_where_nobody_listens_fails_at_once(self) -> None:
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            channel = Http2Channel(f"127.0.0.1:{listener.getsockname()[1]}")
            for _ in range(2):
                call = begin(channel)
                with pytest.raises(AioRpcError) as raised:
                    await call.write(b"anyone")
                assert raised.value.code() is StatusCode.UNAVAILABLE
            assert channel.get_state() is ChannelConnectivity.IDLE

    @pytest.mark.parametrize("host", ["name.invalid", "a..b", "x" * 64])
    async def test_a_name_that_nobody_has_makes_calls_fail(self, host: str) -> None:
        assert await begin(Http2Channel(f"{host}:1")).code() is StatusCode.UNAVAILABLE

    async def test_a_server_that_does_not_greet_gets_no_call(self) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel, timeout=0.05)
            await peer.accept()
            assert await call.code() is StatusCode.DEADLINE_EXCEEDED
            assert channel.get_state() is ChannelConnectivity.CONNECTING

    async def test_a_server_that_does_not_greet_in_time_is_given_up(self) -> None:
        peer = Http2Peer()
        await peer.start()
        channel = Http2Channel(peer.address, connect_timeout_s=0.05)
        call = begin(channel)
        assert (await (await peer.accept()).rest()).startswith(PREFACE)
        assert await call.code() is StatusCode.UNAVAILABLE
        assert await call.details() == "cannot connect: no answer in time"
        assert channel.get_state() is ChannelConnectivity.IDLE
        await channel.close()
        await peer.stop()

    async def test_closing_leaves_no_connection_to_a_server_that_does_not_greet(self) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.accept()
            await channel.close()
            assert await call.code() is StatusCode.CANCELLED
            assert (await connection.rest()).startswith(PREFACE)

    @pytest.mark.parametrize(
        "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", bytes([0xFF]) * 100]
    )
    async def test_a_server_of_another_protocol_makes_calls_fail(self, garbage: bytes) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.accept()
            connection.send(garbage)
            assert await call.code() is StatusCode.UNAVAILABLE
            assert (await call.details()).startswith("cannot connect: the server broke HTTP/2")

    @pytest.mark.parametrize("greeting", [build_settings({}) + GOODBYE, GOODBYE, b""])
    async def test_a_server_that_takes_leave_at_once_makes_calls_fail(self, greeting: bytes) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.accept()
            connection.send(greeting)
            connection.close()
            assert await call.code() is StatusCode.UNAVAILABLE
            assert channel.get_state() is ChannelConnectivity.IDLE
            begin(channel)
            assert (await (await peer.greeted()).next_call())[0] == 1

    async def test_the_call_after_a_lost_connection_goes_over_a_new_one(self) -> None:
        async with peer_and_channel() as (peer, channel):
            for _ in range(3):
                call = begin(channel)
                connection = await peer.greeted()
                await answer(connection)
                assert [await call.read(), await call.read()] == [b"answer", EOF]
                connection.close()
                await _until_idle(channel)

    async def test_a_call_may_begin_another_as_it_fails(self) -> None:
        async with peer_and_channel() as (peer, channel):
            again = []
            call = begin(channel)
            call.add_done_callback(lambda _: again.append(begin(channel)))
            (await peer.accept()).close()
            await call.code()
            assert (await (await peer.greeted()).next_call())[0] == 1
            assert not again[0].done()


class TestClosing:
    async def test_it_ends_every_call_and_tells_the_server(self) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.greeted()
            await connection.next_call()
            reading = asyncio.ensure_future(call.read())
            await connection.heard()
            await channel.close()
            with pytest.raises(AioRpcError) as raised:
                await reading
            assert raised.value.code() is StatusCode.CANCELLED
            assert goodbye(await connection.end_of_connection()) == ErrorCode.NO_ERROR
            assert channel.get_state() is ChannelConnectivity.SHUTDOWN

    async def test_a_closed_channel_takes_no_calls_and_may_be_closed_again(self) -> None:
        async with peer_and_channel() as (_, channel):
            await channel.close()
            await channel.close()
            assert await begin(channel).code() is StatusCode.CANCELLED

    async def test_a_server_that_reads_nothing_does_not_keep_a_connection_open(self) -> None:
        async with peer_and_channel() as (peer, channel):
            call = begin(channel)
            connection = await peer.greeted({4: 2**31 - 1})
            connection.send(build_frame(8, 0, 0, (2**30).to_bytes(4)))
            await connection.next_call()
            await connection.heard()
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            writing = asyncio.ensure_future(call.write(bytes(15 * 1024 * 1024)))
            await asyncio.sleep(0)
            await channel.close()
            await asyncio.gather(writing, return_exceptions=True)
            # What had gone into the socket is read, and then the connection is at its end.
            connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
            sent = await asyncio.wait_for(connection.end_of_connection(), 10)
            assert sum(len(frame.payload) for frame in sent) < 15 * 1024 * 1024


class TestOneForOne:
    async def ask(self, channel: Http2Channel, timeout_s: float | None = None) -> object:
        return await channel.unary_unary(METHOD, bytes, bytes)(b"question", timeout=timeout_s)

    async def test_a_question_gets_its_answer(self) -> None:
        async with peer_and_channel() as (peer, channel):
            asking = asyncio.ensure_future(self.ask(channel))
            connection = await peer.greeted()
            await answer(connection)
            assert await asking == b"answer"

    async def test_a_refusal_is_raised(self) -> None:
        async with peer_and_channel() as (peer, channel):
            asking = asyncio.ensure_future(self.ask(channel))
            connection = await peer.greeted()
            connection.end((await connection.next_call())[0], StatusCode.UNIMPLEMENTED.value[0], "no such method")
            with pytest.raises(AioRpcError) as raised:
                await asking
            assert (raised.value.code(), raised.value.details()) == (StatusCode.UNIMPLEMENTED, "no such method")

    async def test_a_failure_after_the_answer_counts(self) -> None:
        async with peer_and_channel() as (peer, channel):
            asking = asyncio.ensure_future(self.ask(channel))
            connection = await peer.greeted()
            stream_id, _ = await connection.next_call()
            connection.headers(stream_id)
            connection.send(build_frame(0, 0, stream_id, build_message(b"answer")))
            connection.end(stream_id, StatusCode.INTERNAL.value[0])
            with pytest.raises(AioRpcError):
                await asking

    async def test_a_good_end_without_an_answer_is_a_failure(self) -> None:
        async with peer_and_channel() as (peer, channel):
            asking = asyncio.ensure_future(self.ask(channel))
            connection = await peer.greeted()
            stream_id, _ = await connection.next_call()
            connection.headers(stream_id)
            connection.end(stream_id)
            with pytest.raises(AioRpcError) as raised:
                await asking
            assert raised.value.code() is StatusCode.INTERNAL

    async def test_no_answer_in_time_is_a_failure(self) -> None:
        async with peer_and_channel() as (_, channel):
            with pytest.raises(AioRpcError) as raised:
                await self.ask(channel, 0.05)
            assert raised.value.code() is StatusCode.DEADLINE_EXCEEDED

    async def test_one_who_waits_no_longer_ends_the_call(self) -> None:
        async with peer_and_channel() as (peer, channel):
            asking = asyncio.ensure_future(self.ask(channel))
            connection = await peer.greeted()
            await connection.next_call()
            await connection.heard()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert resets(await connection.heard()) == {1: ErrorCode.CANCEL}


async def test_an_address_of_ipv6_is_understood() -> None:
    peer = Http2Peer()
    try:
        await peer.start("::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    channel = Http2Channel(peer.address)
    begin(channel)
    connection = await peer.greeted()
    assert (await connection.next_call())[1][":authority"] == peer.address
    await channel.close()
    await peer.stop()


async def _until_idle(channel: Http2Channel) -> None:
    async with asyncio.timeout(10):
        while channel.get_state() is not ChannelConnectivity.IDLE:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
