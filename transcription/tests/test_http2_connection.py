"""What a connection makes of a server's frames, over a real socket."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import EOF

from transcription.riva.http2.call import RECEIVE_WINDOW_BYTES
from transcription.riva.http2.connection import CONNECTION_WINDOW_BYTES, MAX_HEADER_BYTES
from transcription.riva.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    HAS_PRIORITY,
    HEADERS,
    MAX_FRAME_BYTES,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING_ENABLE_PUSH,
    SETTING_HEADER_TABLE_SIZE,
    SETTING_INITIAL_WINDOW_SIZE,
    SETTING_MAX_HEADER_LIST_SIZE,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    build_frame,
    build_message,
    read_number,
    read_settings,
)
from transcription.tests.http2_peer import (
    ANSWER,
    METHOD,
    begin,
    data_of,
    goodbye,
    kinds,
    one_call,
    peer_and_channel,
    resets,
)


class TestGreeting:
    async def test_a_server_is_told_what_we_take_before_any_call(self) -> None:
        async with peer_and_channel() as (peer, channel):
            begin(channel)
            connection = await peer.greeted()
            settings, window = await connection.next_frame(), await connection.next_frame()
        assert settings.kind == SETTINGS
        told = dict(read_settings(settings.payload))
        assert told == {
            SETTING_ENABLE_PUSH: 0,
            SETTING_INITIAL_WINDOW_SIZE: RECEIVE_WINDOW_BYTES,
            SETTING_MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
        }
        assert (window.kind, window.stream_id) == (WINDOW_UPDATE, 0)
        assert int.from_bytes(window.payload) == CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES

    async def test_a_call_has_the_headers_of_grpc_and_its_own(self) -> None:
        async with peer_and_channel() as (peer, channel):
            channel.stream_stream(METHOD, bytes, bytes)(metadata=(("authorization", "Bearer key"),), timeout=2.5)
            stream_id, headers = await (await peer.greeted()).next_call()
        assert stream_id == 1
        assert (
            headers.items()
            >= {
                ":method": "POST",
                ":scheme": "http",
                ":path": METHOD,
                ":authority": peer.address,
                "te": "trailers",
                "content-type": "application/grpc",
                "grpc-timeout": "2500m",
                "authorization": "Bearer key",
            }.items()
        )

    async def test_large_metadata_is_continued(self) -> None:
        async with peer_and_channel() as (peer, channel):
            # Not what Huffman's code makes small.
            value = "~" * 2 * MAX_FRAME_BYTES
            channel.stream_stream(METHOD, bytes, bytes)(metadata=(("x-large", value),))
            _, headers = await (await peer.greeted()).next_call()
        assert headers["x-large"] == value

    async def test_settings_are_acknowledged_and_acknowledgements_are_not(self) -> None:
        async with one_call() as (connection, _):
            await connection.heard()
            connection.send(build_frame(SETTINGS, ACK, 0), build_frame(SETTINGS, 0, 0))
            assert [frame[:2] for frame in await connection.heard()] == [(SETTINGS, ACK)]

    async def test_a_server_that_keeps_no_table_of_headers_reads_ours(self) -> None:
        async with peer_and_channel() as (peer, channel):
            begin(channel)
            connection = await peer.greeted({SETTING_HEADER_TABLE_SIZE: 0})
            await connection.next_call()
            begin(channel)
            assert (await connection.next_call())[1][":path"] == METHOD


class TestAnswers:
    async def test_messages_and_the_end_come_through(self) -> None:
        async with one_call() as (connection, call):
            await call.write(b"question")
            await call.done_writing()
            frames = [await connection.next_of(DATA), await connection.next_of(DATA)]
            assert data_of(frames) == build_message(b"question")
            assert [frame.flags for frame in frames] == [0, END_STREAM]
            connection.headers(1)
            connection.message(1, b"answer")
            connection.end(1)
            assert [await call.read(), await call.read()] == [b"answer", EOF]
            assert kinds(await connection.heard()) == set()

    async def test_padding_and_priorities_are_passed_over(self) -> None:
        async with one_call() as (connection, call):
            block = connection.block(ANSWER)
            connection.send(
                build_frame(HEADERS, END_HEADERS | PADDED | HAS_PRIORITY, 1, b"\x03" + bytes(5) + block + bytes(3)),
                build_frame(PRIORITY, 0, 1, bytes(5)),
                build_frame(DATA, PADDED, 1, b"\xff" + build_message(b"padded") + bytes(255)),
                build_frame(DATA, PADDED, 1, b"\0" + build_message(b"not at all")),
            )
            assert [await call.read(), await call.read()] == [b"padded", b"not at all"]

    async def test_padding_takes_no_room_for_good(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1)
            connection.send(build_frame(DATA, PADDED, 1, b"\xff" + build_message(b"padded") + bytes(255)))
            assert await call.read() == b"padded"
            updates = [frame for frame in await connection.heard() if frame.kind == WINDOW_UPDATE and frame.stream_id]
            assert [int.from_bytes(frame.payload) for frame in updates] == [256]

    async def test_headers_may_be_continued_in_pieces_of_any_size(self) -> None:
        async with one_call() as (connection, call):
            block = connection.block([*ANSWER, ("x-hint", "long" * 10)])
            connection.send(
                build_frame(HEADERS, 0, 1),
                *(build_frame(CONTINUATION, 0, 1, block[at : at + 1]) for at in range(len(block))),
                build_frame(CONTINUATION, END_HEADERS, 1),
            )
            assert (await call.initial_metadata()).get("x-hint") == "long" * 10

    async def test_continued_trailers_end_the_call(self) -> None:
        async with one_call() as (connection, call):
            block = connection.block([("grpc-status", "8")])
            connection.send(build_frame(HEADERS, END_STREAM, 1, block[:1]))
            connection.send(build_frame(CONTINUATION, END_HEADERS, 1, block[1:]))
            assert await call.code() is StatusCode.RESOURCE_EXHAUSTED

    async def test_headers_of_a_call_that_is_over_still_fill_the_table(self) -> None:
        async with peer_and_channel() as (peer, channel):
            first = begin(channel)
            connection = await peer.greeted()
            await connection.next_call()
            first.cancel()
            second = begin(channel)
            assert (await connection.next_call())[0] == 3
            headers = [*ANSWER, ("x-hint", "of the table")]
            connection.headers(1, headers)
            connection.headers(3, headers)
            assert (await second.initial_metadata()).get("x-hint") == "of the table"

    async def test_what_comes_for_a_call_that_is_over_is_passed_over(self) -> None:
        async with one_call() as (connection, call):
            call.cancel()
            connection.headers(1)
            connection.message(1, b"too late")
            connection.end(1)
            connection.send(build_frame(RST_STREAM, 0, 1, bytes(4)), build_frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
            assert resets(await connection.heard()) == {1: ErrorCode.CANCEL}

    async def test_informational_headers_come_before_the_answer(self) -> None:
        async with one_call() as (connection, call):
            connection.headers(1, [(":status", "103")])
            connection.headers(1)
            connection.message(1, b"answer")
            assert await call.read() == b"answer"

    async def test_headers_that_are_not_text_are_read_as_far_as_they_are(self) -> None:
        async with one_call() as (connection, call):
            not_text = b"\x00\x01\xff\x01\xff" + b"\x00\x0cgrpc-message\x05K\xe4se!"
            block = connection.block([("grpc-status", "3")]) + not_text
            connection.send(build_frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
            assert await call.code() is StatusCode.INVALID_ARGUMENT
            assert await call.details() == "K\N{REPLACEMENT CHARACTER}se!"

    async def test_frames_of_kinds_that_nobody_knows_are_passed_over(self) -> None:
        async with one_call() as (connection, call):
            connection.send(build_frame(0xA, 0xFF, 0, b"altsvc"), build_frame(0xFF, 0, 1, b"?"))
            connection.headers(1)
            connection.message(1, b"answer")
            assert await call.read() == b"answer"

    async def test_a_ping_is_answered_with_what_it_says(self) -> None:
        async with one_call() as (connection, _):
            connection.send(build_frame(PING, 0, 0, b"12345678"))
            frame = await connection.next_of(PING)
            assert frame[1:] == (ACK, 0, b"12345678")

    async def test_the_rest_of_a_segment_may_come_at_any_byte(self) -> None:
        async with peer_and_channel() as (peer, channel):
            connection = None
            at = 0
            while True:
                call = begin(channel)
                connection = connection or await peer.greeted()
                stream_id, _ = await connection.next_call()
                frames = (
                    build_frame(HEADERS, END_HEADERS, stream_id, connection.block(ANSWER))
                    + build_frame(DATA, 0, stream_id, build_message(b"split"))
                    + build_frame(PING, 0, 0, b"in parts")
                    + build_frame(
                        HEADERS, END_HEADERS | END_STREAM, stream_id, connection.block([("grpc-status", "0")])
                    )
                )
                if at > len(frames):
                    break
                connection.send(frames[:at])
                # A turn of the loop, so that the halves are two segments; the socket does not wait for a second one.
                await asyncio.sleep(0)
                connection.send(frames[at:])
                assert [await call.read(), await call.read()] == [b"split", EOF]
                at += 1


class TestBrokenRules:
    """Each ends the connection with the code that RFC 9113 has for it, and its calls with INTERNAL."""

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            (build_frame(DATA, 0, 1, bytes(MAX_FRAME_BYTES + 1)), ErrorCode.FRAME_SIZE_ERROR),
            (build_frame(DATA, PADDED, 1, b"\x05123"), ErrorCode.PROTOCOL_ERROR),
            (build_frame(DATA, 0, 3, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(DATA, 0, 0, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(HEADERS, END_HEADERS, 2, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(HEADERS, END_HEADERS, 3, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
            (build_frame(HEADERS, 0, 1, b"") + build_frame(PING, 0, 0, bytes(8)), ErrorCode.PROTOCOL_ERROR),
            (build_frame(HEADERS, 0, 1, b"") + build_frame(CONTINUATION, 0, 3, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(CONTINUATION, END_HEADERS, 1, b""), ErrorCode.PROTOCOL_ERROR),
            (build_frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
            (build_frame(SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
            (build_frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), ErrorCode.FLOW_CONTROL_ERROR),
            (build_frame(PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
            (build_frame(RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
            (build_frame(WINDOW_UPDATE, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
            (build_frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), ErrorCode.FLOW_CONTROL_ERROR),
        ],
    )
    async def test_the_connection_ends_and_says_why(self, frame: bytes, code: ErrorCode) -> None:
        async with one_call() as (connection, call):
            connection.send(frame)
            assert goodbye(await connection.end_of_connection()) == code
            assert await call.code() is StatusCode.INTERNAL
            assert (await call.details()).startswith("the server broke HTTP/2")

    async def test_a_window_of_one_call_that_is_too_large_ends_that_call_alone(self) -> None:
        async with one_call() as (connection, call):
            connection.send(build_frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"))
            reset = await connection.next_of(RST_STREAM)
            assert read_number(reset.payload) == ErrorCode.FLOW_CONTROL_ERROR
            assert await call.code() is StatusCode.INTERNAL

    async def test_headers_without_an_end_are_given_up(self) -> None:
        async with one_call() as (connection, call):
            connection.send(build_frame(HEADERS, 0, 1))
            for _ in range(5):
                connection.send(build_frame(CONTINUATION, 0, 1, bytes(MAX_FRAME_BYTES)))
            assert goodbye(await connection.end_of_connection()) == ErrorCode.ENHANCE_YOUR_CALM
            assert await call.code() is StatusCode.INTERNAL

    async def test_headers_that_unfold_to_too_much_are_given_up(self) -> None:
        async with one_call() as (connection, call):
            connection.send(
                build_frame(HEADERS, END_HEADERS, 1, connection.block([("x-large", "v" * 4000)] * 50)),
            )
            assert goodbye(await connection.end_of_connection()) == ErrorCode.COMPRESSION_ERROR
            assert await call.code() is StatusCode.INTERNAL
