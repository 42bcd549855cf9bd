"""What one call writes and how it ends, on a link that does as a test says."""

from __future__ import annotations

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.call import StreamCall
from transcription.riva.http2.frames import MAX_WINDOW_BYTES, ErrorCode, build_message
from transcription.tests.http2_link import RecordingLink
from transcription.tests.http2_peer import ANSWER, PATIENCE_S
from transcription.tests.virtual_time import in_virtual_time

OK = (("grpc-status", "0"),)
REFUSED = (("grpc-status", "3"), ("grpc-message", "no%20such%20model"), ("x-hint", "other"))


def new_call(timeout_s: float | None = None) -> StreamCall:
    return StreamCall((), serialize=bytes, parse=bytes, timeout_s=timeout_s)


def begun(link: RecordingLink, timeout_s: float | None = None) -> StreamCall:
    call = new_call(timeout_s)
    call.begun(link, 1, 65_535)
    return call


async def error_of(call: StreamCall) -> AioRpcError:
    with pytest.raises(AioRpcError) as raised:
        await call.read()
    return raised.value


class TestWriting:
    async def test_a_message_for_which_there_is_room_is_written_at_once(self) -> None:
        link = RecordingLink()
        call = begun(link)
        assert call.write_now(b"one")
        await call.write(b"two")
        assert link.sent == build_message(b"one") + build_message(b"two")

    async def test_messages_without_room_wait_and_go_out_in_their_order(self) -> None:
        link = RecordingLink(room_bytes=7)
        call = begun(link)
        first = asyncio.ensure_future(call.write(b"first"))
        await asyncio.sleep(0)
        assert not first.done()
        assert link.sent == build_message(b"first")[:7]
        link.room_bytes = 100
        call.grant(100)
        await first
        await call.write(b"second")
        assert link.sent == build_message(b"first") + build_message(b"second")

    async def test_a_message_after_one_that_waits_does_not_overtake_it(self) -> None:
        link = RecordingLink(room_bytes=0)
        call = begun(link)
        waiting = asyncio.ensure_future(call.write(b"first"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        link.room_bytes = 100
        assert not call.write_now(b"second")
        await call.write(b"second")
        assert link.sent == build_message(b"first") + build_message(b"second")

    async def test_a_write_right_after_one_that_is_cancelled_is_woken(self) -> None:
        link = RecordingLink(room_bytes=0)
        call = begun(link)
        cancelled = asyncio.ensure_future(call.write(b"first"))
        await asyncio.sleep(0)
        cancelled.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, setattr, link, "room_bytes", 100)
        loop.call_later(0.01, call.grant, 100)
        async with asyncio.timeout(PATIENCE_S):
            await call.write(b"second")
        assert link.sent == build_message(b"first") + build_message(b"second")

    async def test_what_is_written_before_the_call_has_a_stream_goes_out_with_it(self) -> None:
        link = RecordingLink()
        call = new_call()
        writing = asyncio.ensure_future(call.write(b"early"))
        await asyncio.sleep(0)
        assert not writing.done()
        assert not call.write_now(b"too early")
        call.begun(link, 1, 65_535)
        await writing
        assert link.sent == build_message(b"early")

    async def test_the_end_goes_out_after_the_last_message(self) -> None:
        link = RecordingLink(room_bytes=0)
        call = begun(link)
        writing = asyncio.ensure_future(call.write(b"last"))
        await asyncio.sleep(0)
        assert not link.has_ended
        link.room_bytes = 100
        call.grant(100)
        await writing
        await call.done_writing()
        await call.done_writing()
        assert link.sent == build_message(b"last")
        assert link.has_ended

    async def test_the_end_alone_goes_out_at_once(self) -> None:
        link = RecordingLink()
        await begun(link).done_writing()
        assert link.sent == b""
        assert link.has_ended

    async def test_a_message_after_the_end_is_a_mistake(self) -> None:
        call = begun(RecordingLink())
        await call.done_writing()
        assert not call.write_now(b"late")
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"late")

    async def test_a_write_on_a_call_that_is_over_says_why_it_is(self) -> None:
        call = begun(RecordingLink())
        call.received_headers(REFUSED, ends=True)
        assert not call.write_now(b"late")
        with pytest.raises(AioRpcError) as raised:
            await call.write(b"late")
        assert raised.value.code() is StatusCode.INVALID_ARGUMENT
        await call.done_writing()

    @pytest.mark.parametrize("ends", ["write", "done_writing"])
    async def test_the_end_of_the_call_wakes_whoever_waits_to_write(self, ends: str) -> None:
        call = new_call()
        waiting = asyncio.ensure_future(call.write(b"early") if ends == "write" else call.done_writing())
        await asyncio.sleep(0)
        call.received_reset(ErrorCode.REFUSED_STREAM)
        [outcome] = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(outcome, AioRpcError) == (ends == "write")

    async def test_a_window_that_is_too_large_ends_the_call(self) -> None:
        link = RecordingLink()
        call = begun(link)
        call.grant(MAX_WINDOW_BYTES)
        assert await call.code() is StatusCode.INTERNAL
        assert link.forgotten == [ErrorCode.FLOW_CONTROL_ERROR]


class TestEnding:
    async def test_a_call_that_ends_ok_reads_as_the_end(self) -> None:
        link = RecordingLink()
        call = begun(link)
        await call.done_writing()
        call.received_headers(ANSWER, ends=False)
        call.received_headers(OK, ends=True)
        assert [await call.read(), await call.read()] == [EOF, EOF]
        assert (await call.code(), await call.details()) == (StatusCode.OK, "")
        assert link.forgotten == [None]

    async def test_a_server_that_ends_early_is_told_that_nothing_more_comes(self) -> None:
        link = RecordingLink()
        begun(link).received_headers(OK, ends=True)
        assert link.forgotten == [ErrorCode.NO_ERROR]

    async def test_a_failure_carries_its_code_text_and_trailers(self) -> None:
        call = begun(RecordingLink())
        call.received_headers(REFUSED, ends=True)
        error = await error_of(call)
        assert (error.code(), error.details()) == (StatusCode.INVALID_ARGUMENT, "no such model")
        assert list(error.trailing_metadata()) == [("x-hint", "other")]

    async def test_the_first_status_counts(self) -> None:
        link = RecordingLink()
        call = begun(link)
        call.received_headers(REFUSED, ends=True)
        call.received_reset(ErrorCode.CANCEL)
        assert not call.cancel()
        assert await call.code() is StatusCode.INVALID_ARGUMENT
        assert len(link.forgotten) == 1

    async def test_cancelling_ends_the_call_at_once_and_tells_the_peer(self) -> None:
        link = RecordingLink()
        call = begun(link)
        call.received_headers(ANSWER, ends=False)
        call.received_data(build_message(b"unread"))
        assert call.cancel()
        assert not call.cancel()
        assert call.done()
        assert link.forgotten == [ErrorCode.CANCEL]
        assert (await error_of(call)).code() is StatusCode.CANCELLED

    async def test_cancelling_wakes_the_reader(self) -> None:
        call = begun(RecordingLink())
        reading = asyncio.ensure_future(call.read())
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(AioRpcError):
            await reading

    @in_virtual_time
    async def test_a_deadline_ends_the_call_with_what_came_still_to_be_read(self) -> None:
        link = RecordingLink()
        call = begun(link, timeout_s=3)
        call.received_headers(ANSWER, ends=False)
        call.received_data(build_message(b"in time"))
        assert await call.read() == b"in time"
        assert (await error_of(call)).code() is StatusCode.DEADLINE_EXCEEDED
        assert asyncio.get_running_loop().time() == 3
        assert link.forgotten == [ErrorCode.CANCEL]

    @in_virtual_time
    async def test_a_deadline_does_not_outlive_its_call(self) -> None:
        call = begun(RecordingLink(), timeout_s=3)
        call.received_headers(OK, ends=True)
        await asyncio.sleep(10)
        assert await call.code() is StatusCode.OK

    async def test_callbacks_are_called_once_and_at_once_where_the_call_is_over(self) -> None:
        called: list[StreamCall] = []
        call = begun(RecordingLink())
        call.add_done_callback(called.append)
        call.cancel()
        call.received_reset(0)
        assert called == [call]
        call.add_done_callback(called.append)
        assert called == [call, call]

    async def test_code_and_details_wait_for_the_end(self) -> None:
        call = begun(RecordingLink())
        impatient = asyncio.ensure_future(call.code())
        code, details = asyncio.ensure_future(call.code()), asyncio.ensure_future(call.details())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        call.received_headers(REFUSED, ends=True)
        assert (await code, await details) == (StatusCode.INVALID_ARGUMENT, "no such model")


class TestMetadata:
    async def test_it_is_there_with_the_first_headers(self) -> None:
        call = begun(RecordingLink())
        waiting = asyncio.ensure_future(call.initial_metadata())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert list(call.received_metadata) == []
        call.received_headers([*ANSWER, ("audio-processed", "settled")], ends=False)
        assert (await waiting).get("audio-processed") == "settled"
        assert call.received_metadata.get("audio-processed") == "settled"

    async def test_it_is_empty_where_the_call_ends_without(self) -> None:
        call = begun(RecordingLink())
        call.received_headers(REFUSED, ends=True)
        assert list(await call.initial_metadata()) == []

    async def test_one_who_waits_no_longer_leaves_it_to_the_next(self) -> None:
        call = begun(RecordingLink())
        waiting = asyncio.ensure_future(call.initial_metadata())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        call.received_headers(ANSWER, ends=False)
        assert list(await call.initial_metadata()) == []

    async def test_informational_headers_are_passed_over(self) -> None:
        call = begun(RecordingLink())
        call.received_headers([(":status", "103"), ("link", "x")], ends=False)
        assert not call.done()
        call.received_headers([*ANSWER, ("x-hint", "1")], ends=False)
        assert list(await call.initial_metadata()) == [("x-hint", "1")]

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ([(":status", "503")], StatusCode.UNAVAILABLE),
            ([(":status", "404"), ("content-type", "application/grpc")], StatusCode.UNIMPLEMENTED),
            ([(":status", "200"), ("content-type", "text/html")], StatusCode.UNKNOWN),
            ([(":status", "200")], StatusCode.UNKNOWN),
            ([("content-type", "application/grpc")], StatusCode.UNKNOWN),
        ],
    )
    async def test_an_answer_that_is_not_grpc_ends_the_call(
        self, headers: list[tuple[str, str]], code: StatusCode
    ) -> None:
        link = RecordingLink()
        call = begun(link)
        call.received_headers(headers, ends=False)
        assert await call.code() is code
        assert link.forgotten == [ErrorCode.CANCEL]
