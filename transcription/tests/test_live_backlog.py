"""A live transcription whose client is far ahead of its recogniser: nobody waits for the other for ever."""

from __future__ import annotations

import asyncio

from transcription.engine.intake import CREDIT_S
from transcription.engine.listener import CUT_AFTER_S, CUT_PATIENCE_S, PARK_AFTER_S
from transcription.engine.recognition import Capabilities
from transcription.events import Final, Interim, RecogniserStatus, Stopped
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SECOND, SPEECH, LiveSession, final, interim
from transcription.tests.virtual_time import in_virtual_time

RIVA = Capabilities(settles=False, word_times=True)
WAITS_S = PARK_AFTER_S + 5


def send_to_the_limit(session: LiveSession) -> None:
    for _ in range(int(CREDIT_S)):
        session.live.feed(SPEECH)


@in_virtual_time
async def test_a_stream_that_still_answers_a_backlog_is_not_parked() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        send_to_the_limit(session)
        for second in range(1, round(WAITS_S) + 1):
            await asyncio.sleep(1)
            stream.say(interim("on and on", end_ms=second * 1500))
        stream.say(final("on and on", end_ms=30_000))
        await session.until(Final)
        assert session.live.intake.limit == (30 + CREDIT_S) * SECOND
        session.stop()

    assert session.recogniser.openings == 1


@in_virtual_time
async def test_a_client_at_its_limit_gets_on_where_nothing_is_answered_for_long() -> None:
    """Without interims a slow recogniser says nothing while it hears an utterance."""
    async with LiveSession(enable_interim_results=False) as session:
        stream = await session.opened()
        send_to_the_limit(session)
        await asyncio.sleep(WAITS_S)
        stream.say(final("on and on", end_ms=20_000))
        await session.until(Final)
        assert session.live.intake.limit == (20 + CREDIT_S) * SECOND
        session.stop()

    assert session.recogniser.openings == 1
    assert session.texts == ["on and on"]


@in_virtual_time
async def test_a_cut_waits_as_long_as_the_backlog_is_answered() -> None:
    recogniser = FakeRecogniser(capabilities=RIVA, ends=False)
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        send_to_the_limit(session)
        for second in range(1, round(CUT_AFTER_S) + 1):
            await asyncio.sleep(0.5)
            stream.say(interim("on and on", end_ms=second * 1000))
        await stream.half_closed()
        for second in range(round(CUT_AFTER_S) + 1, int(CREDIT_S) + 1):
            await asyncio.sleep(2 * CUT_PATIENCE_S / CREDIT_S + 0.5)
            stream.say(interim("on and on", end_ms=second * 1000))
        stream.end_ok()
        await session.recogniser.opened(2)
        await session.until(Final)
        assert session.of(RecogniserStatus)[0].state == "lagging"
        assert "reconnecting" not in [status.state for status in session.of(RecogniserStatus)]
        recogniser.streams[-1].end_ok()


@in_virtual_time
async def test_a_cut_lets_the_recogniser_take_what_is_on_its_way() -> None:
    """A write that is broken off ends a call: gRPC has it so."""
    recogniser = FakeRecogniser(capabilities=RIVA)
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.takes_audio.clear()
        speaking = asyncio.create_task(session.speak(CUT_AFTER_S + 1))
        for second in range(1, round(CUT_AFTER_S) + 2):
            await asyncio.sleep(1)
            stream.say(interim("on and on", end_ms=second * 1000))
        await session.until(Interim)
        assert not stream.is_half_closed
        stream.takes_audio.set()
        await stream.half_closed()
        assert len(stream.audio) % len(SPEECH[: SECOND // 4]) == 0
        assert len(stream.audio) > SECOND, "what was being sent arrived"
        await speaking
        session.stop()


@in_virtual_time
async def test_last_words_without_interims_may_take_as_long_as_an_utterance() -> None:
    recogniser = FakeRecogniser(ends=False)
    async with LiveSession(recogniser=recogniser, enable_interim_results=False) as session:
        stream = await session.opened()
        for _ in range(40):
            session.live.feed(SPEECH)
        session.stop()
        for second in (20, 40):
            await asyncio.sleep(14)
            stream.say(final(f"until {second}", start_ms=second * 1000 - 20_000, end_ms=second * 1000))
        stream.end_ok()

    assert session.texts == ["until 20", "until 40"]
    assert isinstance(session.ends_told[0], Stopped)
