"""Where speech begins and utterances end, and which Finalize is answered."""

from __future__ import annotations

from transcription.dialects.listen_messages import SpeechStarted, UtteranceEnd
from transcription.dialects.listen_turns import MAX_FINALIZES, Finalizes, Utterances
from transcription.results import FinalResult, InterimResult, Word


def interim(start_ms: int, end_ms: int, text: str = "one") -> InterimResult:
    return InterimResult(text=text, start_ms=start_ms, end_ms=end_ms, words=(Word("one", start_ms, end_ms),))


def final(start_ms: int, end_ms: int, heard_ms: int | None = None) -> FinalResult:
    return FinalResult(
        text="one",
        start_ms=start_ms,
        end_ms=end_ms,
        words=(Word("one", start_ms, end_ms),),
        audio_processed_ms=heard_ms,
    )


def turns(utterance_end_ms: int | None = 1000, *, vad_events: bool = False) -> Utterances:
    return Utterances(utterance_end_ms=utterance_end_ms, vad_events=vad_events)


def silence(
    utterances: Utterances, heard_ms: int, *, received_ms: int | None = None, now_s: float = 0.0
) -> list[object]:
    return [*utterances.tick(heard_ms=heard_ms, received_ms=received_ms, now_s=now_s)]


def test_speech_starts_once_an_utterance() -> None:
    utterances = turns(None, vad_events=True)

    assert utterances.heard(interim(400, 900), 1.0) == [SpeechStarted(timestamp=0.4)]
    assert utterances.heard(interim(400, 1400), 1.5) == []
    assert utterances.heard(final(400, 1500), 2.0) == []
    assert utterances.heard(final(3000, 3500), 4.0) == [SpeechStarted(timestamp=3.0)]


def test_a_withdrawn_interim_starts_nothing() -> None:
    utterances = turns(None, vad_events=True)

    assert utterances.heard(interim(400, 400, text=""), 1.0) == []
    assert not utterances.is_open


def test_an_utterance_ends_when_the_recogniser_has_heard_long_enough_without_a_word() -> None:
    utterances = turns()
    utterances.heard(final(400, 1500), 2.0)

    assert silence(utterances, 2499) == []
    assert silence(utterances, 2500) == [UtteranceEnd(last_word_end=1.5)]
    assert silence(utterances, 9000) == []


def test_no_utterance_ends_while_words_are_open() -> None:
    utterances = turns()
    utterances.heard(final(400, 1500), 2.0)
    utterances.heard(interim(2000, 2400), 2.6)

    assert silence(utterances, 9000) == []


def test_an_utterance_that_had_ended_is_told_before_the_next_one() -> None:
    utterances = turns(vad_events=True)
    utterances.heard(final(400, 1500), 2.0)

    assert utterances.heard(interim(2500, 2900), 3.0) == [UtteranceEnd(last_word_end=1.5), SpeechStarted(timestamp=2.5)]


def test_a_short_pause_between_two_finals_ends_nothing() -> None:
    utterances = turns()
    utterances.heard(final(400, 1500), 2.0)

    assert utterances.heard(final(2499, 3000), 3.5) == []
    assert silence(utterances, 3999) == []
    assert silence(utterances, 4000) == [UtteranceEnd(last_word_end=3.0)]


def test_a_recogniser_that_is_mute_in_silence_is_given_a_second_more() -> None:
    utterances = turns()
    utterances.heard(final(400, 1500), 2.0)

    assert silence(utterances, 1500, received_ms=3400, now_s=4.0) == []
    assert silence(utterances, 1500, received_ms=3500, now_s=3.9) == []
    assert silence(utterances, 1500, received_ms=3500, now_s=4.0) == [UtteranceEnd(last_word_end=1.5)]


def test_no_utterance_ends_unless_that_is_asked_for() -> None:
    utterances = turns(None)
    utterances.heard(final(400, 1500), 2.0)

    assert silence(utterances, 60_000, received_ms=60_000, now_s=60.0) == []


def test_a_final_that_reaches_the_finalize_answers_it() -> None:
    finalizes = Finalizes()
    finalizes.ask(5000)

    assert not finalizes.heard(final(0, 1000, heard_ms=1300))
    assert finalizes.heard(final(1500, 4900, heard_ms=4990))
    assert not finalizes.heard(final(6000, 7000, heard_ms=7300))


def test_where_nobody_says_how_far_was_heard_the_next_final_answers() -> None:
    finalizes = Finalizes()
    finalizes.ask(5000)
    assert finalizes.heard(final(0, 1000))
    finalizes.ask(None)
    assert finalizes.heard(final(0, 1000, heard_ms=1300))


def test_a_finalize_that_no_final_answers_is_answered_by_its_end() -> None:
    finalizes = Finalizes()
    finalizes.ask(5000)

    assert not finalizes.ended(1000)
    assert finalizes.ended(5000)
    assert not finalizes.ended(5000)


def test_one_answer_stands_for_all_that_it_covers() -> None:
    finalizes = Finalizes()
    for position_ms in (1000, 1000, 5000):
        finalizes.ask(position_ms)

    assert finalizes.heard(final(0, 900, heard_ms=1000))
    assert finalizes.end()
    assert not finalizes.end()


def test_only_so_many_wait() -> None:
    finalizes = Finalizes()
    for position_ms in range(MAX_FINALIZES + 10):
        finalizes.ask(position_ms * 1000)

    assert finalizes.heard(final(0, 900, heard_ms=10**9))
    assert not finalizes.end()
