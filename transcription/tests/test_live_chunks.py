"""Audio that may wait for the rest of the recogniser's own chunk."""

from __future__ import annotations

import asyncio

from transcription.errors import RecogniserFailed
from transcription.tests.live_session import SECOND, SPEECH, LiveSession
from transcription.tests.virtual_time import in_virtual_time

CHUNK_MS = 160
CHUNK = SECOND * CHUNK_MS // 1000
MESSAGE = SECOND // 10


@in_virtual_time
async def test_audio_that_completes_no_chunk_goes_with_the_audio_that_does() -> None:
    async with LiveSession(chunk_ms=CHUNK_MS) as session:
        stream = await session.opened()
        await asyncio.sleep(0.1)
        for _ in range(8):
            session.live.feed(SPEECH[:MESSAGE])
            await asyncio.sleep(0.1)
        await stream.heard(8 * MESSAGE)
        session.stop()

    # Chunks are whole after 160, 320, 480, 640 and 800 ms, messages come every 100 ms.
    assert [len(chunk) // MESSAGE for chunk in stream.chunks] == [2, 2, 1, 2, 1]


@in_virtual_time
async def test_the_rest_of_a_chunk_that_does_not_come_is_not_waited_for() -> None:
    async with LiveSession(chunk_ms=CHUNK_MS) as session:
        stream = await session.opened()
        session.live.feed(SPEECH[:MESSAGE])
        await asyncio.sleep(0)
        assert not stream.audio
        await stream.heard(MESSAGE)
        session.stop()


@in_virtual_time
async def test_the_end_of_an_utterance_waits_for_no_chunk() -> None:
    async with LiveSession(chunk_ms=CHUNK_MS) as session:
        stream = await session.opened()
        session.live.feed(SPEECH[:MESSAGE])
        session.live.finalize()
        await stream.utterances_ended(1)
        assert stream.audio == SPEECH[:MESSAGE]
        session.stop()


@in_virtual_time
async def test_chunks_are_counted_from_where_a_stream_began_to_hear() -> None:
    async with LiveSession(chunk_ms=CHUNK_MS) as session:
        first = await session.opened()
        session.live.feed(SPEECH[: CHUNK // 2])
        await first.heard(CHUNK // 2)
        first.fail(RecogniserFailed("gone", reason="recogniser_lost"))
        second = await session.recogniser.opened(2)
        await second.heard(CHUNK // 2)
        session.live.feed(SPEECH[: CHUNK // 2])
        await second.heard(CHUNK)
        session.stop()

    assert [len(chunk) for chunk in second.chunks] == [CHUNK // 2, CHUNK // 2]
