"""Whether the recogniser keeps up: hanging, lagging, backlog."""

from __future__ import annotations

import numpy as np
import pytest

from transcription.audio.formats import AudioFormat, Encoding
from transcription.engine.intake import Intake
from transcription.engine.recogniser_watch import HANG_S, HANG_WITHOUT_INTERIMS_S, RecogniserWatch
from transcription.errors import RecogniserSilent
from transcription.events import RecogniserStatus

TICK_S = 0.25
SPEECH = np.tile(np.array([8000, -8000], dtype="<i2"), 2000).tobytes()
SILENCE = bytes(len(SPEECH))


class Line:
    """One session's audio at real time; the test says what the recogniser answers."""

    def __init__(self, audio_format: AudioFormat | None = None, *, interims: bool = True) -> None:
        self.now_s = 0.0
        self.intake = Intake(audio_format or AudioFormat())
        self.watch = RecogniserWatch(self.intake, interims=interims, now_s=0.0)
        self.watch.opened(0.0)
        self.statuses: list[RecogniserStatus] = []

    def play(self, audio: bytes, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            if audio:
                self.intake.feed(audio, self.now_s)
            self.intake.measure(self.now_s)
            status = self.watch.check(self.now_s)
            if status is not None:
                self.statuses.append(status)

    def answer(self, heard_ms: int | None = None) -> None:
        self.watch.answered(self.now_s)
        self.watch.heard(self.intake.received_ms if heard_ms is None else heard_ms)


def test_speech_without_an_answer_is_a_hang() -> None:
    line = Line()
    line.play(SPEECH, HANG_S - TICK_S)

    with pytest.raises(RecogniserSilent) as caught:
        line.play(SPEECH, 2 * TICK_S)
    assert caught.value.code == 4504


def test_silence_without_an_answer_is_none() -> None:
    line = Line()

    line.play(SILENCE, 60)

    assert line.watch.backlog_ms == 0


def test_a_few_words_that_are_not_answered_are_none_yet() -> None:
    line = Line()
    line.play(SPEECH, 3.5)

    line.play(SILENCE, 30)


def test_any_answer_shows_that_the_recogniser_lives() -> None:
    line = Line()
    for _ in range(4):
        line.play(SPEECH, HANG_S - TICK_S)
        line.watch.answered(line.now_s)


def test_a_client_that_sends_nothing_makes_no_hang() -> None:
    line = Line()
    line.play(SPEECH, 2)

    line.play(b"", 120)


def test_time_before_the_recogniser_was_open_does_not_count() -> None:
    line = Line()
    line.now_s = 30.0
    line.watch.opened(30.0)

    line.play(SPEECH, HANG_S - TICK_S)


def test_without_interims_a_long_utterance_is_no_hang() -> None:
    line = Line(interims=False)
    line.play(SPEECH, HANG_WITHOUT_INTERIMS_S - TICK_S)
    assert line.statuses == []

    with pytest.raises(RecogniserSilent):
        line.play(SPEECH, 2 * TICK_S)


def test_a_recogniser_that_falls_behind_is_told_once_and_so_is_its_recovery() -> None:
    line = Line()
    for _ in range(8):
        line.play(SPEECH, 1)
        line.answer(heard_ms=500)

    assert [(status.state, status.lag_ms > 5000) for status in line.statuses] == [("lagging", True)]
    line.answer()
    line.play(SPEECH, 0.5)
    assert [status.state for status in line.statuses] == ["lagging", "ok"]


def test_a_recogniser_that_keeps_up_is_not_told() -> None:
    line = Line()
    for _ in range(20):
        line.play(SPEECH, 1)
        line.answer()

    assert line.statuses == []


def test_the_backlog_is_what_can_be_heard_and_was_not_answered() -> None:
    line = Line()
    line.play(SPEECH, 2)
    assert line.watch.backlog_ms == 2000

    line.play(SILENCE, 3)
    assert line.watch.backlog_ms == 2000

    line.watch.heard(1500)
    assert line.watch.backlog_ms == 500
    line.watch.heard(900)
    assert line.watch.backlog_ms == 500


def test_containers_have_neither_age_nor_backlog() -> None:
    line = Line(AudioFormat(Encoding.FLAC))
    line.intake.feed(b"fLaC" + bytes(1000), 0.0)

    line.play(b"", 60)

    assert line.watch.backlog_ms == 0
    assert line.watch.age_ms(100, 1.0) is None


def test_what_was_settled_before_a_session_was_taken_up_again_is_no_backlog() -> None:
    intake = Intake(AudioFormat(), start=600 * 32000)

    assert RecogniserWatch(intake, interims=True, now_s=0.0).backlog_ms == 0
