"""The transport against gRPC's own server: whatever grpc.aio's channel gives, it gives too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError

from transcription.riva.http2.channel import Http2Channel

SERVICE = "test.Echo"
STREAM, ONE = f"/{SERVICE}/Stream", f"/{SERVICE}/One"
MAX_BYTES = 16 * 1024 * 1024
OPTIONS = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.max_send_message_length", MAX_BYTES)]
DETAILS = "keine Käseplatte 100% \N{CHEESE WEDGE}\n"

pytestmark = pytest.mark.parametrize("transport", ["http2", "grpcio"])


async def echo(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    await context.send_initial_metadata((("x-first", dict(context.invocation_metadata()).get("x-sent", "")),))
    async for message in messages:
        if message == b"refuse":
            context.set_trailing_metadata((("x-last", "told"),))
            await context.abort(StatusCode.FAILED_PRECONDITION, DETAILS)
        yield message


async def echo_one(message: bytes, context: Any) -> bytes:
    if message == b"hang":
        await asyncio.Event().wait()
    return message


@asynccontextmanager
async def channel_by(transport: str) -> AsyncIterator[Any]:
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, Any] = {
        "Stream": grpc.stream_stream_rpc_method_handler(echo),
        "One": grpc.unary_unary_rpc_method_handler(echo_one),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    channel = Http2Channel(address) if transport == "http2" else grpc.aio.insecure_channel(address, options=OPTIONS)
    try:
        yield channel
    finally:
        await channel.close()
        await server.stop(None)


async def echoed(call: Any, messages: list[bytes]) -> list[bytes]:
    async def write() -> None:
        for message in messages:
            await call.write(message)
        await call.done_writing()

    writing = asyncio.create_task(write())
    heard = []
    while (message := await call.read()) is not EOF:
        heard.append(message)
    await writing
    return heard


def stream(channel: Any, **options: Any) -> Any:
    return channel.stream_stream(STREAM, bytes, bytes)(**options)


async def test_many_calls_at_once_get_their_own_messages_back(transport: str) -> None:
    sizes = [0, 1, 160, 3200, 16_379, 16_380, 65_536, 100_000]
    async with channel_by(transport) as channel:
        sent = [[bytes([number]) * size for size in sizes * 3] for number in range(40)]
        heard = await asyncio.gather(*(echoed(stream(channel), messages) for messages in sent))
        assert heard == sent


async def test_messages_larger_than_any_window_come_back(transport: str) -> None:
    async with channel_by(transport) as channel:
        sent = [bytes(3_000_000), b"between", bytes(MAX_BYTES - 1)]
        assert await echoed(stream(channel), sent) == sent


async def test_metadata_goes_both_ways(transport: str) -> None:
    async with channel_by(transport) as channel:
        call = stream(channel, metadata=(("x-sent", "and back"),))
        assert dict(await call.initial_metadata())["x-first"] == "and back"
        call.cancel()


async def test_a_refusal_has_its_code_its_text_and_its_trailers(transport: str) -> None:
    async with channel_by(transport) as channel:
        call = stream(channel)
        await call.write(b"before")
        await call.write(b"refuse")
        assert await call.read() == b"before"
        with pytest.raises(AioRpcError) as raised:
            await call.read()
        assert (raised.value.code(), raised.value.details()) == (StatusCode.FAILED_PRECONDITION, DETAILS)
        assert dict(raised.value.trailing_metadata())["x-last"] == "told"
        assert await call.code() is StatusCode.FAILED_PRECONDITION


async def test_a_method_that_nobody_has_is_unimplemented(transport: str) -> None:
    async with channel_by(transport) as channel:
        with pytest.raises(AioRpcError) as raised:
            await channel.unary_unary(f"/{SERVICE}/Other", bytes, bytes)(b"question")
        assert raised.value.code() is StatusCode.UNIMPLEMENTED


async def test_one_for_one_and_its_deadline(transport: str) -> None:
    async with channel_by(transport) as channel:
        ask = channel.unary_unary(ONE, bytes, bytes)
        assert await asyncio.gather(*(ask(b"%d" % number) for number in range(20))) == [b"%d" % n for n in range(20)]
        with pytest.raises(AioRpcError) as raised:
            await ask(b"hang", timeout=0.1)
        assert raised.value.code() is StatusCode.DEADLINE_EXCEEDED


async def test_hundreds_of_calls_one_after_another_share_a_connection(transport: str) -> None:
    async with channel_by(transport) as channel:
        for number in range(300):
            metadata = (("x-sent", str(number)),)
            assert await echoed(stream(channel, metadata=metadata), [b"%d" % number]) == [b"%d" % number]
