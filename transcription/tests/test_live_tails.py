"""The last words of a connection that broke: each once, in the order they were said."""

from __future__ import annotations

import asyncio

from transcription.engine import end as ends
from transcription.engine.recognition import Capabilities
from transcription.events import Interim
from transcription.results import FinalResult, Word
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import LiveSession, final, interim
from transcription.tests.test_live_recovery import BROKEN, UNAVAILABLE
from transcription.tests.virtual_time import in_virtual_time

RIVA = Capabilities(settles=False, word_times=True)


def forced(text: str, *, start_ms: int, end_ms: int) -> FinalResult:
    """A final that no silence closed."""
    return FinalResult(text, start_ms, end_ms, words=(Word(text, start_ms, end_ms),), audio_processed_ms=end_ms)


@in_virtual_time
async def test_words_that_wait_for_their_place_are_in_the_tail_once() -> None:
    async with LiveSession(recogniser=FakeRecogniser(capabilities=RIVA)) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(forced("hello", start_ms=0, end_ms=1000))
        await session.until(Interim)
        session.live.end(ends.client_lost())

    assert session.texts == ["hello"]


@in_virtual_time
async def test_a_flush_that_is_heard_again_is_in_the_tail_once() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        first = await session.opened()
        await session.speak(2)
        session.live.end(ends.client_lost())
        await first.half_closed()
        first.say(final("hello"))
        await asyncio.sleep(1)
        first.fail(BROKEN)
        second = await session.recogniser.opened(2)
        await second.half_closed()
        second.say(final("hello"), final("world", start_ms=1000, end_ms=2000))
        second.end_ok()

    assert session.texts == ["hello", "world"]


@in_virtual_time
async def test_a_flush_that_cannot_be_heard_again_stays_in_the_tail() -> None:
    recogniser = FakeRecogniser(ends=False, failures=[None, *[UNAVAILABLE] * 100])
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        await session.speak(2)
        session.live.end(ends.client_lost())
        await stream.half_closed()
        stream.say(final("hello"))
        await asyncio.sleep(1)
        stream.fail(BROKEN)

    assert session.texts == ["hello"]


@in_virtual_time
async def test_a_tail_is_in_the_order_in_which_it_was_said() -> None:
    async with LiveSession(recogniser=FakeRecogniser(capabilities=RIVA, ends=False)) as session:
        stream = await session.opened()
        await session.speak(3)
        stream.say(forced("one", start_ms=0, end_ms=1000))
        await session.until(Interim)
        session.live.end(ends.client_lost())
        await stream.half_closed()
        stream.say(forced("two", start_ms=1000, end_ms=2000), interim("thr", start_ms=2000, end_ms=2500))

    assert session.texts == ["one", "two", "thr"]
    assert [segment.promoted for segment in session.row.tails] == [False, False, True]
