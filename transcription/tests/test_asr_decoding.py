"""Text of a segment: padded, tried again when it loops, dropped when it is made up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transcription.asr_server.decoding import decode_interim, decode_segment

SPEECH = np.ones(16_000, np.float32)


class AnsweringEngine:
    """An Engine that gives prepared answers and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.heard: list[NDArray[np.float32]] = []

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        self.heard.append(samples)
        return self._answers.pop(0)

    def close(self) -> None:
        """Nothing to give back."""


def test_a_segment_is_decoded_once_with_silence_after_it() -> None:
    engine = AnsweringEngine("Hello there.")
    assert decode_segment(engine, SPEECH, 900) == "Hello there."
    [heard] = engine.heard
    assert np.array_equal(heard[:16_000], SPEECH)
    assert len(heard) > 16_000
    assert not heard[16_000:].any()


def test_a_loop_is_tried_again_with_another_pad() -> None:
    engine = AnsweringEngine("go " * 30, "Go on.")
    assert decode_segment(engine, SPEECH, 900) == "Go on."
    assert len(engine.heard[0]) != len(engine.heard[1])


def test_a_loop_that_stays_is_dropped() -> None:
    assert decode_segment(AnsweringEngine(*["go " * 30] * 3), SPEECH, 900) == ""


def test_an_invented_sentence_is_dropped() -> None:
    assert decode_segment(AnsweringEngine("Thank you for watching."), SPEECH, 300) == ""


def test_an_interim_is_tried_once() -> None:
    engine = AnsweringEngine("go " * 30)
    assert decode_interim(engine, SPEECH, 900) == ""
    assert len(engine.heard) == 1
