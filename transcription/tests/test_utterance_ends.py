"""When everything before an utterance's end has been told."""

from __future__ import annotations

import asyncio

from transcription.audio.formats import AudioFormat
from transcription.engine.recognition import Capabilities
from transcription.engine.utterance_ends import MAX_UTTERANCE_ENDS, PATIENCE_S, QUIET_S, UtteranceEnds
from transcription.events import Event, Final, UtteranceEnded
from transcription.results import Progress
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SECOND, SPEECH, LiveSession, final, interim
from transcription.tests.virtual_time import in_virtual_time

FORMAT = AudioFormat()


def new_ends() -> tuple[UtteranceEnds, list[Event]]:
    told: list[Event] = []
    return UtteranceEnds(FORMAT, emit=told.append), told


def test_an_end_is_told_once_all_before_it_is() -> None:
    ends, told = new_ends()
    ends.ask(SECOND, 0.0)
    ends.ask(2 * SECOND, 0.0)
    ends.told(SECOND // 2)
    assert told == []
    ends.told(SECOND)
    assert told == [UtteranceEnded(1000)]
    assert ends.is_waiting


def test_a_recogniser_may_end_at_its_last_step_before_the_place() -> None:
    ends, told = new_ends()
    ends.ask(SECOND, 0.0)
    ends.told(SECOND - FORMAT.ms_to_bytes(40))
    assert told == [UtteranceEnded(1000)]


def test_where_nothing_is_said_an_end_is_told_after_a_while() -> None:
    ends, told = new_ends()
    ends.ask(SECOND, 0.0)
    ends.tick(QUIET_S / 2, is_quiet=True)
    ends.tick(QUIET_S, is_quiet=False)
    assert told == []
    ends.tick(QUIET_S, is_quiet=True)
    assert told == [UtteranceEnded(1000)]


def test_no_end_is_waited_for_without_bound() -> None:
    ends, told = new_ends()
    ends.ask(SECOND, 0.0)
    ends.tick(PATIENCE_S, is_quiet=False)
    assert told == [UtteranceEnded(1000)]


def test_the_ends_that_wait_are_bounded() -> None:
    ends, told = new_ends()
    for second in range(MAX_UTTERANCE_ENDS + 1):
        ends.ask(second * SECOND, 0.0)
    ends.told(1000 * SECOND)
    assert len(told) == MAX_UTTERANCE_ENDS


@in_virtual_time
async def test_in_a_session_the_final_comes_before_the_end() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        stream.say(interim("hello"))
        session.live.finalize()
        await stream.utterances_ended(1)
        stream.say(final("hello"))
        await asyncio.sleep(1)
        session.stop()

    told = [type(event) for event in session.events if isinstance(event, Final | UtteranceEnded)]
    assert told == [Final, UtteranceEnded]


@in_virtual_time
async def test_in_silence_the_end_comes_with_what_the_recogniser_settles() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        session.live.finalize()
        await stream.utterances_ended(1)
        stream.say(Progress(990))
        await asyncio.sleep(0.01)
        assert UtteranceEnded(1000) in session.events
        session.stop()

    assert session.events.count(UtteranceEnded(1000)) == 1


@in_virtual_time
async def test_an_end_comes_from_a_recogniser_that_answers_nothing_to_it() -> None:
    async with LiveSession(recogniser=FakeRecogniser(capabilities=Capabilities())) as session:
        stream = await session.opened()
        session.live.feed(SPEECH)
        await stream.heard(SECOND)
        session.live.finalize()
        await asyncio.sleep(QUIET_S + 1)
        assert UtteranceEnded(1000) in session.events
        session.stop()
