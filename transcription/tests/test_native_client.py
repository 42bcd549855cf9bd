"""The client of the native protocol, against servers that are scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from transcription.client.native import NativeClient, NotReachable, Refused

Script = Callable[[ServerConnection], Awaitable[None]]
CHUNK = b"\0\0" * 100


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A server that plays a script with each connection. Gives its address."""
    async with serve(script, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/api/v1/transcribe/a"


async def tell(connection: ServerConnection, event: str, **fields: Any) -> None:
    await connection.send(json.dumps({"event": event, **fields}))


async def begin(connection: ServerConnection, limit: int | None) -> dict[str, Any]:
    """Up to the first credit. Returns what the client asked for."""
    await tell(connection, "session_created", session_id="a", limits={})
    start: dict[str, Any] = json.loads(await connection.recv())
    await tell(connection, "transcription_started", session_id="a", audio_offset=0)
    await tell(connection, "audio_ack", received=0, safe=0, limit=limit)
    return start


def transcript(segment: int, text: str, *, is_final: bool = True) -> dict[str, Any]:
    return {"segment": segment, "is_final": is_final, "text": text, "durable": True}


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield CHUNK


async def test_it_keeps_the_finals_and_ends_with_the_session() -> None:
    async def script(connection: ServerConnection) -> None:
        start = await begin(connection, None)
        assert start == {"type": "start_transcription", "config": {"language": "en-US"}}
        while isinstance(await connection.recv(), bytes):
            pass
        await tell(connection, "transcript", **transcript(0, "inter", is_final=False))
        await tell(connection, "transcript", **transcript(0, "one"))
        await tell(connection, "transcript", **transcript(1, "two"))
        await tell(connection, "transcription_stopped", reason="client", audio_ms=1, segments=2)

    events: list[str] = []
    async with (
        scripted(script) as url,
        NativeClient(url, on_event=lambda event: events.append(event["event"])) as client,
    ):
        await client.start({"language": "en-US"})
        await client.stream(chunks(3))

    assert [final["text"] for final in client.finals.values()] == ["one", "two"]
    assert client.sent_bytes == 3 * len(CHUNK)
    assert events[:2] == ["session_created", "transcription_started"]
    assert events[-1] == "transcription_stopped"


async def test_it_never_sends_past_the_limit() -> None:
    held: list[int] = []

    async def script(connection: ServerConnection) -> None:
        await begin(connection, 2 * len(CHUNK))
        received = 0
        while isinstance(message := await connection.recv(), bytes):
            received += len(message)
            if received == 2 * len(CHUNK):
                # Anything sent past the limit would come in before the answer to this ping.
                await (await connection.ping())
                held.append(len(connection.recv_messages.frames))
                await tell(connection, "audio_ack", received=received, safe=0, limit=9 * len(CHUNK))
        held.append(received)
        await tell(connection, "transcription_stopped", reason="client", audio_ms=1, segments=0)

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        await client.stream(chunks(5))

    assert held == [0, 5 * len(CHUNK)]


async def test_withdrawn_finals_are_forgotten() -> None:
    async def script(connection: ServerConnection) -> None:
        await begin(connection, None)
        await tell(connection, "transcript", **transcript(0, "kept"))
        await tell(connection, "transcript", **transcript(1, "withdrawn"))
        await tell(connection, "revised", from_segment=1)
        await tell(connection, "transcription_stopped", reason="client", audio_ms=1, segments=1)

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        await client.stream(chunks(1))

    assert [final["text"] for final in client.finals.values()] == ["kept"]


async def test_an_error_event_is_raised_with_its_code() -> None:
    async def script(connection: ServerConnection) -> None:
        await begin(connection, 0)
        await tell(connection, "error", code=4502, message="The recogniser failed.")

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        with pytest.raises(Refused, match="The recogniser failed") as caught:
            await client.stream(chunks(1))

    assert caught.value.code == 4502


async def test_an_error_before_the_start_is_raised_by_start() -> None:
    async def script(connection: ServerConnection) -> None:
        await tell(connection, "error", code=4401, message="No credentials.")
        await connection.close(4401)

    async with scripted(script) as url, NativeClient(url) as client:
        with pytest.raises(Refused) as caught:
            await client.start({})

    assert caught.value.code == 4401


async def test_a_lost_connection_is_no_complete_transcript() -> None:
    async def script(connection: ServerConnection) -> None:
        await begin(connection, 0)
        connection.transport.abort()

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        with pytest.raises(Refused, match="lost"):
            await client.stream(chunks(1))


async def test_an_orderly_close_without_a_last_event_is_no_complete_transcript() -> None:
    async def script(connection: ServerConnection) -> None:
        await begin(connection, 0)

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        with pytest.raises(Refused, match="before the transcript was complete"):
            await client.stream(chunks(1))


async def test_a_source_that_fails_ends_the_stream_with_its_error() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield CHUNK
        raise ValueError("damaged")

    async def script(connection: ServerConnection) -> None:
        await begin(connection, None)
        await connection.wait_closed()

    async with scripted(script) as url, NativeClient(url) as client:
        await client.start({})
        with pytest.raises(ValueError, match="damaged"):
            await client.stream(broken())


async def test_the_key_goes_in_a_header_and_not_in_the_address() -> None:
    seen: list[tuple[str, str | None]] = []

    async def script(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.request.path, connection.request.headers.get("Authorization")))

    async with scripted(script) as url, NativeClient(url, key="spk_1"):
        await asyncio.sleep(0)

    assert seen == [("/api/v1/transcribe/a", "Bearer spk_1")]


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "nonsense"])
async def test_a_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(NotReachable):
        async with NativeClient(url):
            pass
