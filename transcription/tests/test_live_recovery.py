"""A live transcription whose recogniser is lost, parked, renewed or cut: the same words, once, with the same times."""

from __future__ import annotations

import asyncio

import pytest

from transcription.engine import end as ends
from transcription.engine.listener import CUT_AFTER_S, PARK_AFTER_S, ROTATE_AFTER_S, ROTATE_HARD_S
from transcription.engine.outage import GIVE_UP_AFTER_S, MAX_STREAMS_LOST
from transcription.engine.recogniser_watch import HANG_S
from transcription.engine.recognition import Capabilities
from transcription.errors import AtCapacity, BadAudio, RecogniserFailed, RecogniserSilent
from transcription.events import Failed, Final, Interim, RecogniserStatus, Stopped
from transcription.results import FinalResult, InterimResult, Progress, Word
from transcription.tests.fake_recogniser import FakeRecogniser, FakeStream
from transcription.tests.live_session import SECOND, SPEECH, LiveSession, final, interim
from transcription.tests.virtual_time import in_virtual_time

RIVA = Capabilities(settles=False, word_times=True)
TIMELESS = Capabilities(settles=False, word_times=False)
BROKEN = RecogniserFailed("The connection broke.")
UNAVAILABLE = RecogniserFailed("The recogniser does not answer.")
BUSY = AtCapacity("The recogniser takes no more streams.", reason="recogniser_busy")


def now_s() -> float:
    return asyncio.get_running_loop().time()


def only_error(session: LiveSession) -> Failed:
    [failed] = [event for event in session.ends_told if isinstance(event, Failed)]
    return failed


def words(*texts: str, start_ms: int, word_ms: int = 300, gap_ms: int = 100) -> tuple[Word, ...]:
    said = []
    for text in texts:
        said.append(Word(text, start_ms, start_ms + word_ms))
        start_ms += word_ms + gap_ms
    return tuple(said)


def said(*texts: str, start_ms: int, heard_ms: int | None, **spacing: int) -> FinalResult:
    line = words(*texts, start_ms=start_ms, **spacing)
    return FinalResult(" ".join(texts), start_ms, line[-1].end_ms, words=line, audio_processed_ms=heard_ms)


async def next_stream(session: LiveSession, count: int) -> FakeStream:
    """The stream that is opened as number count, once it is."""
    async with asyncio.timeout(60):
        return await session.recogniser.opened(count)


# A stream is lost


@in_virtual_time
async def test_a_lost_recogniser_hears_what_is_not_settled_again() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(2)
        first.say(final("hello"), interim("good b", start_ms=1000, end_ms=1500))
        await session.until(Interim)
        first.fail(BROKEN)
        second = await next_stream(session, 2)
        await second.heard(SECOND)
        assert session.live.interim is not None, "what was said last stays to be seen"
        second.say(final("good bye", start_ms=1000, end_ms=2000))
        await session.until(Final, 2)
        session.stop()

    assert second.audio == SPEECH
    assert session.recogniser.bases_ms == [0, 1000]
    assert session.texts == ["hello", "good bye"]
    assert [event.segment for event in session.finals] == [0, 1]
    assert [status.state for status in session.of(RecogniserStatus)] == ["reconnecting", "ok"]
    assert first.is_cancelled
    assert session.ends_told == [Stopped("client", 2000, 2 * SECOND, 2 * SECOND, 2)]


@in_virtual_time
async def test_a_stream_that_ends_before_it_was_asked_to_is_opened_again() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        first.end_ok()
        second = await next_stream(session, 2)
        await second.heard(SECOND)
        session.stop()

    assert session.row.state == "completed"


@in_virtual_time
async def test_nobody_hears_of_a_server_that_says_goodbye() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        at_s = now_s()
        first.fail(RecogniserFailed("The recogniser closes.", reason="recogniser_goaway"))
        second = await next_stream(session, 2)
        assert now_s() - at_s < 0.1
        await second.heard(SECOND)
        session.stop()

    assert session.of(RecogniserStatus) == []


@in_virtual_time
async def test_a_recogniser_that_stays_away_leaves_the_session_to_be_resumed() -> None:
    recogniser = FakeRecogniser(failures=[None, *[UNAVAILABLE] * 100])
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.say(interim("hel"))
        await session.until(Interim)
        at_s = now_s()
        stream.fail(BROKEN)
        ending = await session.ended()

    failed = only_error(session)
    assert (failed.error.code, failed.error.retryable, failed.safe) == (4502, True, 0)
    assert GIVE_UP_AFTER_S / 2 < now_s() - at_s <= GIVE_UP_AFTER_S + 1
    assert (ending.state, ending.reason) == ("detached", "recogniser_failed")
    assert session.texts == ["hel"], "the words that were seen are kept, as a tail"
    assert [event.tail for event in session.finals] == [True]
    assert session.row.committed_bytes == 0


@in_virtual_time
async def test_audio_that_every_stream_dies_of_is_given_up() -> None:
    async with LiveSession() as session:
        await session.opened()
        await session.speak(1)
        for count in range(1, MAX_STREAMS_LOST + 2):
            (await next_stream(session, count)).fail(BROKEN)
        await session.ended()

    assert only_error(session).error.code == 4502
    assert session.recogniser.openings == MAX_STREAMS_LOST + 1


@in_virtual_time
async def test_streams_lost_one_after_another_are_no_outage_while_audio_is_settled() -> None:
    async with LiveSession() as session:
        await session.opened()
        for count in range(1, 3 * MAX_STREAMS_LOST):
            stream = await next_stream(session, count)
            await session.speak(1)
            stream.say(Progress(count * 1000 - 500))
            await asyncio.sleep(0.1)
            stream.fail(BROKEN)
        session.stop()

    assert session.row.state == "completed"


@in_virtual_time
async def test_each_outage_of_a_recogniser_has_its_time_though_nothing_was_settled_since_the_last() -> None:
    recogniser = FakeRecogniser(failures=[None, None, UNAVAILABLE, UNAVAILABLE, None])
    async with LiveSession(recogniser=recogniser) as session:
        (await session.opened()).fail(BROKEN)
        second = await next_stream(session, 2)
        for _ in range(round(GIVE_UP_AFTER_S)):
            await session.speak(1)
            second.say(interim("on and on"))
        second.fail(BROKEN)
        await session.speak(5)
        await next_stream(session, 3)
        session.stop()

    assert session.row.state == "completed"


@pytest.mark.parametrize(
    "error",
    [RecogniserFailed("No.", retryable=False), BadAudio("The recogniser cannot decode the audio.")],
    ids=["refused", "undecodable"],
)
def test_what_trying_again_cannot_help_is_not_tried_again(error: RecogniserFailed | BadAudio) -> None:
    @in_virtual_time
    async def run() -> None:
        async with LiveSession() as session:
            stream = await session.opened()
            await session.speak(1)
            stream.fail(error)
            await session.ended()

        assert only_error(session).error is error
        assert session.recogniser.openings == 1

    run()


@in_virtual_time
async def test_a_recogniser_without_room_is_given_time() -> None:
    recogniser = FakeRecogniser(failures=[None, BUSY, BUSY, BUSY, None])
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        await session.speak(1)
        at_s = now_s()
        stream.fail(BROKEN)
        await next_stream(session, 2)
        assert 8 <= now_s() - at_s <= 9, "1, 2 and 5 s"
        session.stop()

    assert session.row.state == "completed"


@in_virtual_time
async def test_a_recogniser_that_never_has_room_is_given_up() -> None:
    recogniser = FakeRecogniser(failures=[None, *[BUSY] * 10])
    async with LiveSession(recogniser=recogniser) as session:
        stream = await session.opened()
        await session.speak(1)
        stream.fail(BROKEN)
        ending = await session.ended()

    assert (only_error(session).error.code, ending.state) == (4502, "detached")
    assert recogniser.openings == 6


@in_virtual_time
async def test_a_replay_is_paced() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(5)
        first.say(interim("on and on", end_ms=4000))
        await session.speak(4)
        first.fail(BROKEN)
        second = await next_stream(session, 2)
        at_s = now_s()
        await second.heard(9 * SECOND)
        assert 1.75 <= now_s() - at_s <= 2.25, "a second at once, the others at four times the speed of speech"
        assert max(map(len, second.chunks)) <= SECOND // 4
        session.stop()


@in_virtual_time
async def test_audio_that_cannot_be_cut_is_not_replayed() -> None:
    async with LiveSession(encoding="FLAC") as session:
        stream = await session.opened()
        session.live.feed(b"fLaC" + bytes(1000))
        await stream.heard(1004)
        stream.fail(BROKEN)
        ending = await session.ended()

    assert only_error(session).error is BROKEN
    assert ending.state == "interrupted", "nobody could resume it"
    assert session.recogniser.openings == 1


# A stream is silent


@in_virtual_time
async def test_a_recogniser_that_answers_nothing_to_speech_is_opened_again() -> None:
    async with LiveSession() as session:
        await session.opened()
        speaking = asyncio.create_task(session.speak(14))
        await session.until(RecogniserStatus, 2)
        assert [status.state for status in session.of(RecogniserStatus)] == ["lagging", "reconnecting"]
        assert HANG_S <= now_s() <= HANG_S + 1
        second = await next_stream(session, 2)
        await second.heard(8 * SECOND)
        second.say(interim("at last", end_ms=10_000))
        await speaking
        second.say(final("at last", end_ms=14_000))
        session.stop()

    assert session.texts == ["at last"]
    assert session.row.state == "completed"


@in_virtual_time
async def test_noise_that_a_recogniser_has_nothing_to_say_of_ends_nothing() -> None:
    """Music on hold: as loud as speech, and no word in it."""
    async with LiveSession() as session:
        await session.opened()
        await session.speak(180)
        stream = session.stream
        await session.speak(2)
        stream.say(final("hello", start_ms=181_000, end_ms=182_000))
        await session.until(Final)
        session.stop()

    assert session.texts == ["hello"]
    assert session.row.state == "completed"
    assert len(session.of(RecogniserStatus)) <= 4, "it is not told each time"


@in_virtual_time
async def test_a_recogniser_that_never_answers_is_silent() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        await session.opened()
        speaking = asyncio.create_task(session.speak(70))
        ending = await session.ended()
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)

    error = only_error(session).error
    assert (error.code, error.retryable, ending.state) == (4504, True, "detached")
    assert 50_000 <= ending.audio_ms <= 63_000


@in_virtual_time
async def test_a_recogniser_slower_than_speech_is_told_and_then_given_up() -> None:
    async with LiveSession() as session:
        stream = await session.opened()
        for second in range(120):
            await session.speak(1)
            stream.say(interim("slow", end_ms=second * 600))
            if session.ends_told:
                break

    error = only_error(session).error
    assert (error.code, error.reason) == (4504, "recogniser_slow")
    assert session.of(RecogniserStatus)[0].state == "lagging"
    assert session.recogniser.openings == 1, "hearing it again would take even longer"


@in_virtual_time
async def test_last_words_that_do_not_come_leave_the_session_to_be_resumed() -> None:
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        await session.opened()
        await session.speak(1)
        session.stop()
        ending = await session.ended()

    assert isinstance(only_error(session).error, RecogniserSilent)
    assert ending.state == "detached"


# A stream is parked


@in_virtual_time
async def test_a_stream_without_audio_is_parked_and_opened_again_for_the_next_byte() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        first.say(final("hello"))
        await asyncio.sleep(PARK_AFTER_S + 1)
        assert first.is_cancelled
        assert session.live.activity == "paused"
        assert session.recogniser.openings == 1
        session.live.feed(SPEECH)
        second = await next_stream(session, 2)
        await second.heard(SECOND)
        assert str(session.live.activity) == "live"
        second.say(final("world", start_ms=1000, end_ms=2000))
        await session.until(Final, 2)
        session.stop()

    assert session.recogniser.bases_ms == [0, 1000]
    assert session.of(RecogniserStatus) == [], "nobody needs to know"


@in_virtual_time
async def test_words_that_were_open_when_the_stream_was_parked_come_again() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        first.say(interim("transcrip"))
        await asyncio.sleep(PARK_AFTER_S + 1)
        assert session.texts == []
        session.live.feed(SPEECH)
        second = await next_stream(session, 2)
        await second.heard(2 * SECOND)
        second.say(final("transcription", end_ms=2000))
        await session.until(Final)
        session.stop()

    assert session.texts == ["transcription"]


@in_virtual_time
async def test_a_parked_session_with_nothing_open_stops_without_a_recogniser() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        first.say(final("hello"))
        await asyncio.sleep(PARK_AFTER_S + 1)
        session.stop()

    assert session.recogniser.openings == 1
    assert session.row.state == "completed"


@in_virtual_time
async def test_a_parked_session_that_is_stopped_gets_its_open_words() -> None:
    recogniser = FakeRecogniser(last_words=[final("hello")])
    async with LiveSession(recogniser=recogniser) as session:
        first = await session.opened()
        await session.speak(1)
        first.say(interim("hel"))
        await asyncio.sleep(PARK_AFTER_S + 1)
        session.stop()

    assert recogniser.openings == 2
    assert session.texts == ["hello"]


@in_virtual_time
async def test_half_a_sample_opens_no_stream() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        session.live.feed(b"\0")
        first.say(final("hello"))
        await asyncio.sleep(3 * PARK_AFTER_S)
        assert session.live.activity == "paused"
        session.stop()

    assert session.recogniser.openings == 1


# The client ends an utterance


@in_virtual_time
async def test_an_utterance_that_the_client_ended_is_ended_again_on_the_next_stream() -> None:
    async with LiveSession(recogniser=FakeRecogniser(capabilities=RIVA)) as session:
        first = await session.opened()
        await session.speak(1)
        session.live.finalize()
        await first.utterances_ended(1)
        first.fail(BROKEN)
        await session.speak(1)
        second = await next_stream(session, 2)
        await second.utterances_ended(1)
        assert second.ended_at == [SECOND], "and not in the middle of the next one"
        session.stop()


@in_virtual_time
async def test_each_of_two_utterances_is_ended_where_it_ends() -> None:
    recogniser = FakeRecogniser(gate=asyncio.Event())
    async with LiveSession(recogniser=recogniser) as session:
        for _ in range(2):
            await session.speak(1)
            session.live.finalize()
        assert recogniser.gate is not None
        recogniser.gate.set()
        stream = await session.opened()
        await stream.utterances_ended(2)
        session.stop()

    assert stream.ended_at == [SECOND, 2 * SECOND]


@in_virtual_time
async def test_an_utterance_that_is_ended_while_the_stream_is_parked_is_ended() -> None:
    async with LiveSession() as session:
        first = await session.opened()
        await session.speak(1)
        first.say(interim("hel"))
        await asyncio.sleep(PARK_AFTER_S + 1)
        assert session.live.activity == "paused"
        session.live.finalize()
        second = await next_stream(session, 2)
        await second.utterances_ended(1)
        second.say(final("hello"))
        await session.until(Final)
        session.stop()

    assert second.ended_at == [SECOND]
    assert session.texts == ["hello"]


# A stream is renewed


@in_virtual_time
async def test_an_old_stream_is_renewed_at_a_pause() -> None:
    async with LiveSession(session_timeout_s=7200) as session:
        first = await session.opened()
        at_s = now_s()
        second_of_audio = 0
        while now_s() - at_s < ROTATE_AFTER_S + 15:
            await session.speak(1)
            second_of_audio += 1
            stream = session.stream
            is_pause = second_of_audio % 10 == 0
            end_ms = second_of_audio * 1000
            stream.say(Progress(end_ms) if is_pause else interim("on", start_ms=end_ms - 1000, end_ms=end_ms))
        assert first.is_cancelled
        assert session.recogniser.openings == 2
        assert session.recogniser.bases_ms[1] % 10_000 == 0
        session.stop()

    assert session.of(RecogniserStatus) == []


@in_virtual_time
async def test_a_stream_in_which_nobody_pauses_is_renewed_in_the_end() -> None:
    async with LiveSession(
        recogniser=FakeRecogniser(capabilities=RIVA), session_timeout_s=7200, enable_interim_results=True
    ) as session:
        await session.opened()
        second_of_audio = 0
        while session.recogniser.openings < 2 and second_of_audio < 2 * ROTATE_HARD_S:
            await session.speak(1)
            second_of_audio += 1
            end_ms = second_of_audio * 1000
            line = said("on", start_ms=end_ms - 400, heard_ms=end_ms)
            if second_of_audio % 20 == 0:
                session.stream.say(said("on", "and", start_ms=end_ms - 1500, heard_ms=end_ms - 100))
            session.stream.say(interim("on", start_ms=line.start_ms, end_ms=end_ms))
        session.stop()

    assert ROTATE_HARD_S - 1 <= second_of_audio <= ROTATE_HARD_S + 2


# Audio in which nobody pauses


@in_virtual_time
async def test_speech_without_a_pause_is_cut_at_its_widest_gap_and_goes_on_there() -> None:
    """Real word times, and no final of the recogniser's own."""
    line = words(*"abcdefghij", start_ms=34_800, word_ms=900)
    # The widest gap lies before the last three words.
    line = line[:-3] + tuple(Word(w.word, w.start_ms + 500, w.end_ms + 500) for w in line[-3:])
    whole = FinalResult("a b c d e f g h i j", 34_800, line[-1].end_ms, words=line, audio_processed_ms=46_000)
    recogniser = FakeRecogniser(capabilities=RIVA, last_words=[whole])
    async with LiveSession(recogniser=recogniser) as session:
        first = await session.opened()
        recogniser.last_words = []
        for second in range(1, round(CUT_AFTER_S) + 2):
            await session.speak(1)
            first.say(interim("so it goes", end_ms=second * 1000))
            if first.is_half_closed:
                break
        second_stream = await next_stream(session, 2)
        await session.until(Final)
        cut_ms = session.recogniser.bases_ms[1]
        assert (line[-4].end_ms, line[-3].start_ms) < (cut_ms, cut_ms + 1)
        assert line[-4].end_ms < cut_ms < line[-3].start_ms
        second_stream.say(said("h", "i", "j", "k", start_ms=line[-3].start_ms, heard_ms=60_000))
        session.stop()

    assert session.texts == ["a b c d e f g", "h i j k"]


@in_virtual_time
async def test_an_engine_without_finals_has_its_interims_cut() -> None:
    recogniser = FakeRecogniser(capabilities=RIVA)
    async with LiveSession(recogniser=recogniser) as session:
        first = await session.opened()
        line = words(*"abcdefghij", start_ms=36_000, word_ms=900)
        for second in range(1, round(CUT_AFTER_S) + 2):
            await session.speak(1)
            first.say(InterimResult("a b c d e f g h i j", 36_000, second * 1000, words=line))
            if first.is_half_closed:
                break
        await session.until(Final)
        session.stop()

    assert session.row.segments[0].promoted
    assert session.texts[0].startswith("a b c")


@in_virtual_time
async def test_an_engine_that_tells_nothing_of_times_is_ended_after_each_utterance() -> None:
    recogniser = FakeRecogniser(capabilities=TIMELESS)
    async with LiveSession(recogniser=recogniser) as session:
        first = await session.opened()
        await session.speak(2)
        first.say(FinalResult("hello", 0, 2000, audio_processed_ms=2000))
        await session.until(Final)
        second = await next_stream(session, 2)
        await session.speak(1)
        assert second.audio == SPEECH
        session.stop()

    assert first.is_half_closed
    assert session.texts == ["hello"]
    assert session.recogniser.bases_ms[1] >= 2000


@in_virtual_time
async def test_words_that_were_cut_off_by_force_wait_for_the_rest() -> None:
    """The recogniser closes an utterance in the middle of speech."""
    async with LiveSession(recogniser=FakeRecogniser(capabilities=RIVA)) as session:
        stream = await session.opened()
        await session.speak(6)
        stream.say(said("one", "two", "thr", start_ms=1000, heard_ms=2200))
        await session.until(Final)
        shown = session.live.interim
        assert shown is not None
        assert shown.text == "thr"
        stream.say(said("three", "four", start_ms=2200, heard_ms=6000))
        await session.until(Final, 2)
        session.stop()

    assert session.texts == ["one two", "thr three four"]


@in_virtual_time
async def test_an_utterance_that_the_client_ends_is_final_at_once() -> None:
    async with LiveSession(recogniser=FakeRecogniser(capabilities=RIVA)) as session:
        stream = await session.opened()
        await session.speak(2)
        session.live.finalize()
        await stream.utterances_ended(1)
        stream.say(said("one", "two", start_ms=1000, heard_ms=1900))
        told = await session.until(Final)
        assert told.result.text == "one two"
        session.stop()

    assert session.texts == ["one two"]


@in_virtual_time
async def test_a_final_that_comes_twice_is_stored_once() -> None:
    for capabilities in (RIVA, Capabilities(settles=True, word_times=False)):
        async with LiveSession(recogniser=FakeRecogniser(capabilities=capabilities)) as session:
            stream = await session.opened()
            await session.speak(3)
            line = said("one", "two", start_ms=500, heard_ms=2500)
            stream.say(line, line)
            await asyncio.sleep(1)
            session.stop()

        assert session.texts == ["one two"]


# The process ends


@in_virtual_time
async def test_a_stopped_session_with_much_left_to_hear_is_handed_over() -> None:
    """Its client resumes elsewhere and stops again."""
    async with LiveSession(recogniser=FakeRecogniser(ends=False)) as session:
        stream = await session.opened()
        await session.speak(2)
        session.stop()
        await stream.half_closed()
        stream.say(interim("hel"))
        await session.until(Interim)
        session.live.hand_over()
        ending = await session.ended()

    failed = only_error(session)
    assert (failed.error.code, failed.error.reason, failed.safe) == (4503, "draining", 0)
    assert (ending.state, ending.reason) == ("detached", "draining")
    assert session.of(Stopped) == []


# A client is lost meanwhile


@in_virtual_time
async def test_a_lost_clients_flush_settles_nothing() -> None:
    """Silence after words that were cut off must not make them look settled."""
    recogniser = FakeRecogniser(last_words=[final("good b", end_ms=1000), Progress(2000)])
    async with LiveSession(recogniser=recogniser) as session:
        await session.opened()
        await session.speak(2)
        session.live.end(ends.client_lost())
        ending = await session.ended()

    assert session.texts == ["good b"]
    assert (session.row.committed_bytes, ending.flushed_bytes) == (0, 2 * SECOND)
