"""Audio on its way to the recogniser: by itself where that takes no waiting, by the sender where it does."""

from __future__ import annotations

import asyncio

from transcription.errors import RecogniserFailed
from transcription.tests.live_session import SECOND, SPEECH, LiveSession
from transcription.tests.virtual_time import in_virtual_time

MESSAGE = SECOND // 10


@in_virtual_time
async def test_audio_is_sent_before_feed_returns_where_the_stream_takes_it_at_once() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await asyncio.sleep(0.1)
        session.live.feed(SPEECH[:MESSAGE])
        assert stream.audio == SPEECH[:MESSAGE]
        session.stop()


@in_virtual_time
async def test_what_a_stream_does_not_take_at_once_follows_in_order() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await asyncio.sleep(0.1)
        stream.sends_at_once = False
        session.live.feed(SPEECH[:MESSAGE])
        stream.sends_at_once = True
        session.live.feed(SPEECH[MESSAGE : 2 * MESSAGE])
        assert not stream.audio
        await stream.heard(2 * MESSAGE)
        session.live.feed(SPEECH[2 * MESSAGE : 3 * MESSAGE])
        await stream.heard(3 * MESSAGE)
        assert stream.audio == SPEECH[: 3 * MESSAGE]
        session.stop()


@in_virtual_time
async def test_audio_that_came_while_the_stream_took_none_is_not_overtaken() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await asyncio.sleep(0.1)
        stream.takes_audio.clear()
        session.live.feed(SPEECH[:MESSAGE])
        await asyncio.sleep(0.1)
        stream.takes_audio.set()
        # The sender still has the first message in hand: the second one may not pass it.
        session.live.feed(SPEECH[MESSAGE : 2 * MESSAGE])
        assert not stream.audio
        await stream.heard(2 * MESSAGE)
        assert stream.audio == SPEECH[: 2 * MESSAGE]
        session.stop()


@in_virtual_time
async def test_audio_that_a_lost_stream_did_not_take_is_heard_by_the_next_one_once() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await asyncio.sleep(0.1)
        first.takes_audio.clear()
        session.live.feed(SPEECH[:MESSAGE])
        await asyncio.sleep(0.1)
        first.fail(RecogniserFailed("gone", reason="recogniser_lost"))
        second = await session.recogniser.opened(2)
        await second.heard(MESSAGE)
        session.live.feed(SPEECH[MESSAGE : 2 * MESSAGE])
        await second.heard(2 * MESSAGE)
        assert not first.audio
        assert second.audio == SPEECH[: 2 * MESSAGE]
        session.stop()


@in_virtual_time
async def test_the_last_audio_is_sent_before_the_stream_is_told_that_there_is_no_more() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        await asyncio.sleep(0.1)
        stream.sends_at_once = False
        session.live.feed(SPEECH[:MESSAGE])
        session.stop()
        await stream.half_closed()
        assert stream.audio == SPEECH[:MESSAGE]
