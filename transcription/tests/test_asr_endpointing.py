"""Where segments open, end and are cut, from plain probabilities."""

from __future__ import annotations

import pytest

from transcription.asr_server.endpointing import (
    FRAME_SAMPLES,
    GRID_SAMPLES,
    MAX_SEGMENT_MS,
    MIN_VOICED_MS,
    SAMPLES_PER_MS,
    Decision,
    Endpointer,
    EndpointingOptions,
    SegmentEnded,
    SilenceSettled,
)

SPEECH, SILENCE = 0.9, 0.05
DEFAULT = EndpointingOptions()


def push_until_decided(endpointer: Endpointer, probabilities: list[float]) -> Decision | None:
    for probability in probabilities:
        decision = endpointer.push(probability)
        if decision is not None:
            return decision
    return None


def ms(samples: int) -> float:
    return samples / SAMPLES_PER_MS


def test_it_opens_a_segment_with_audio_from_before_the_speech() -> None:
    endpointer = Endpointer(DEFAULT)
    push_until_decided(endpointer, [SILENCE] * 20 + [SPEECH])
    assert endpointer.is_open
    assert endpointer.speech_start == 20 * FRAME_SAMPLES
    assert ms(endpointer.speech_start - endpointer.start) == 300


def test_it_opens_at_the_restart_point_when_speech_is_there_at_once() -> None:
    endpointer = Endpointer(DEFAULT)
    endpointer.push(SPEECH)
    assert endpointer.start == 0


def test_it_ends_a_segment_after_the_silence_asked_for() -> None:
    endpointer = Endpointer(DEFAULT)
    decision = push_until_decided(endpointer, [SPEECH] * 30 + [SILENCE] * 60)
    assert isinstance(decision, SegmentEnded)
    silence_ms = ms(endpointer.position - 30 * FRAME_SAMPLES)
    assert 600 <= silence_ms < 640


def test_it_settles_between_what_is_decoded_and_the_next_pre_roll() -> None:
    endpointer = Endpointer(DEFAULT)
    decision = push_until_decided(endpointer, [SPEECH] * 30 + [SILENCE] * 60)
    assert isinstance(decision, SegmentEnded)
    assert decision.end <= decision.settled <= endpointer.position - 300 * SAMPLES_PER_MS + GRID_SAMPLES
    assert decision.settled % GRID_SAMPLES == 0


@pytest.mark.parametrize("stop_history_ms", [32, 100, 300, 800, 2000])
def test_it_settles_no_earlier_than_the_decoded_end_and_not_in_the_future(stop_history_ms: int) -> None:
    endpointer = Endpointer(EndpointingOptions(stop_history_ms=stop_history_ms))
    decision = push_until_decided(endpointer, [SPEECH] * 30 + [SILENCE] * 100)
    assert isinstance(decision, SegmentEnded)
    assert 30 * FRAME_SAMPLES < decision.end <= decision.settled <= endpointer.position


@pytest.mark.parametrize("stop_history_ms", [96, 320, 600, 2_000])
def test_it_knows_where_a_segment_will_end_before_it_ends(stop_history_ms: int) -> None:
    endpointer = Endpointer(EndpointingOptions(stop_history_ms=stop_history_ms))
    push_until_decided(endpointer, [SPEECH] * 30)
    assert endpointer.likely_end is None
    foretold: set[int | None] = set()
    while (decision := endpointer.push(SILENCE)) is None:
        foretold.add(endpointer.likely_end)
    assert isinstance(decision, SegmentEnded)
    assert foretold - {None} == {decision.end}


def test_a_short_pause_does_not_end_a_segment() -> None:
    endpointer = Endpointer(DEFAULT)
    assert push_until_decided(endpointer, ([SPEECH] * 10 + [SILENCE] * 15) * 4) is None


def test_it_reports_the_runs_of_speech() -> None:
    endpointer = Endpointer(DEFAULT)
    decision = push_until_decided(endpointer, [SPEECH] * 10 + [SILENCE] * 5 + [SPEECH] * 10 + [SILENCE] * 30)
    assert isinstance(decision, SegmentEnded)
    assert [(begin // FRAME_SAMPLES, end // FRAME_SAMPLES) for begin, end in decision.voiced] == [(0, 10), (15, 25)]
    assert decision.voiced_ms == 20 * 32


def test_it_cuts_long_speech_where_speech_is_least_likely_in_the_second_half() -> None:
    frames = MAX_SEGMENT_MS // 32 + 2
    probabilities = [SPEECH] * frames
    probabilities[100] = 0.0  # in the first half
    probabilities[449:452] = [0.6, 0.55, 0.6]
    decision = push_until_decided(Endpointer(DEFAULT), probabilities)
    assert isinstance(decision, SegmentEnded)
    assert decision.end == decision.settled
    assert decision.end // FRAME_SAMPLES == 450
    assert decision.end % GRID_SAMPLES == 0


def test_no_segment_is_longer_than_the_model_can_take() -> None:
    endpointer = Endpointer(DEFAULT)
    decision = push_until_decided(endpointer, [SILENCE] * 20 + [SPEECH] * 2000)
    assert isinstance(decision, SegmentEnded)
    assert ms(decision.end - decision.start) <= MAX_SEGMENT_MS
    assert ms(endpointer.position) < MAX_SEGMENT_MS + 1000


def test_it_settles_silence_and_keeps_the_room_for_a_pre_roll() -> None:
    endpointer = Endpointer(DEFAULT)
    decision = push_until_decided(endpointer, [SILENCE] * 100)
    assert isinstance(decision, SilenceSettled)
    assert decision.settled % GRID_SAMPLES == 0
    assert ms(decision.settled) >= 990
    assert ms(endpointer.position - decision.settled) >= 500


def test_start_history_and_threshold_hold_back_a_click() -> None:
    options = EndpointingOptions(start_history_ms=320, start_threshold=0.6)
    endpointer = Endpointer(options)
    opened = []
    for probability in [SILENCE] * 10 + [SPEECH] * 6:
        endpointer.push(probability)
        opened.append(endpointer.is_open)
    assert opened == [False] * 15 + [True]
    assert endpointer.speech_start == 10 * FRAME_SAMPLES


def test_stop_threshold_lets_a_segment_end_in_spite_of_a_click() -> None:
    silence_with_click = [SILENCE] * 10 + [SPEECH] + [SILENCE] * 9
    strict, lenient = Endpointer(DEFAULT), Endpointer(EndpointingOptions(stop_threshold=0.9))
    assert push_until_decided(strict, [SPEECH] * 20 + silence_with_click) is None
    assert isinstance(push_until_decided(lenient, [SPEECH] * 20 + silence_with_click), SegmentEnded)


def test_finish_ends_the_open_segment_at_the_end_of_the_audio() -> None:
    endpointer = Endpointer(DEFAULT)
    push_until_decided(endpointer, [SPEECH] * 20)
    decision = endpointer.finish(20 * FRAME_SAMPLES - 100)
    assert isinstance(decision, SegmentEnded)
    assert decision.end == decision.settled == 20 * FRAME_SAMPLES - 100


def test_finish_in_silence_settles_everything() -> None:
    endpointer = Endpointer(DEFAULT)
    push_until_decided(endpointer, [SILENCE] * 20)
    assert endpointer.finish(20 * FRAME_SAMPLES) == SilenceSettled(20 * FRAME_SAMPLES)


def test_finish_takes_speech_that_did_not_open_a_segment_yet() -> None:
    endpointer = Endpointer(EndpointingOptions(start_history_ms=640, start_threshold=0.9))
    push_until_decided(endpointer, [SILENCE] * 10 + [SPEECH] * 8)
    assert not endpointer.is_open
    decision = endpointer.finish(18 * FRAME_SAMPLES)
    assert isinstance(decision, SegmentEnded)
    assert decision.voiced_ms == 8 * 32 > MIN_VOICED_MS


def test_an_endless_doubt_is_settled_all_the_same() -> None:
    """Single frames of speech that never open a segment must not hold back audio for ever."""
    options = EndpointingOptions(start_history_ms=3000, start_threshold=1.0)
    decision = push_until_decided(Endpointer(options), [SPEECH, SILENCE] * 500)
    assert isinstance(decision, SilenceSettled)
    assert decision.settled > 0
