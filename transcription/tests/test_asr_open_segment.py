"""What is decoded before a segment is over: the newest for an interim, and the final ahead of its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from transcription.asr_server.audio_input import AudioInput, Encoding
from transcription.asr_server.endpointing import EndpointingOptions
from transcription.asr_server.engine import Engine
from transcription.asr_server.listening import HeardSegment, Listener
from transcription.asr_server.open_segment import OpenSegmentDecoder
from transcription.asr_server.scheduler import Scheduler, Urgency
from transcription.tests.loudness_detector import LoudnessDetector

T = TypeVar("T")


class LengthEngine:
    """An Engine whose text is how many samples it was given."""

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        return str(len(samples))

    def close(self) -> None:
        """Nothing to give back."""


class NotingScheduler(Scheduler):
    """Keeps what was asked; work runs when `run` is called."""

    def __init__(self) -> None:
        super().__init__([], max_jobs=20)
        self.asked: list[tuple[Urgency, Callable[[Engine], object], asyncio.Future[object]]] = []
        self.promoted: list[asyncio.Future[object]] = []

    def submit(self, urgency: Urgency, deadline: float, work: Callable[[Engine], T]) -> asyncio.Future[T]:
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.asked.append((urgency, work, result))  # type: ignore[arg-type]
        return result

    def promote(self, result: asyncio.Future[T], deadline: float) -> None:
        self.promoted.append(result)  # type: ignore[arg-type]

    def kinds(self) -> list[Urgency]:
        return [urgency for urgency, _, _ in self.asked]

    async def run(self, at: int) -> None:
        _, work, result = self.asked[at]
        if not result.cancelled():
            result.set_result(work(LengthEngine()))
        await asyncio.sleep(0)


class Line:
    """A listener followed by a decoder, fed with loud and quiet seconds."""

    def __init__(self, interims: bool = True) -> None:
        self.scheduler = NotingScheduler()
        self.listener = Listener(AudioInput(Encoding.PCM16, 16_000, 1), LoudnessDetector(), EndpointingOptions())
        self.told: list[tuple[HeardSegment, str]] = []
        self.finals: list[asyncio.Future[str]] = []
        self.decoder = OpenSegmentDecoder(
            self.scheduler, self.listener, lambda segment, text: self.told.append((segment, text)), interims
        )

    def hear(self, level: int, seconds: float) -> None:
        pcm = np.full(round(seconds * 16_000), level, "<i2").tobytes()
        for at in range(0, len(pcm), 1_024):
            for item in self.listener.feed(pcm[at : at + 1_024]):
                if isinstance(item, HeardSegment):
                    self.finals.append(self.decoder.finish(item, 0))
            self.decoder.follow(self.listener.open_segment, 0)

    def speak(self, seconds: float) -> None:
        self.hear(12_000, seconds)

    def pause(self, seconds: float) -> None:
        self.hear(0, seconds)


async def test_an_interim_that_waits_decodes_what_was_heard_last() -> None:
    line = Line()
    line.speak(2)
    assert line.scheduler.kinds() == [Urgency.INTERIM]
    await line.scheduler.run(0)
    [(segment, _)] = line.told
    assert len(segment.samples) > 1.9 * 16_000


async def test_the_final_is_decoded_while_its_silence_is_heard_and_is_there_when_it_ends() -> None:
    line = Line(interims=False)
    line.speak(1)
    line.pause(0.4)
    assert line.scheduler.kinds() == [Urgency.LIKELY_FINAL]
    await line.scheduler.run(0)
    line.pause(0.4)
    assert [final.done() for final in line.finals] == [True]
    assert line.scheduler.kinds() == [Urgency.LIKELY_FINAL]
    assert line.told == []


async def test_a_likely_final_that_still_waits_becomes_a_final() -> None:
    line = Line(interims=False)
    line.speak(1)
    line.pause(0.8)
    [(_, _, likely)] = line.scheduler.asked
    assert line.finals == [likely]
    assert line.scheduler.promoted == [likely]


async def test_when_speech_goes_on_the_likely_final_was_an_interim() -> None:
    line = Line()
    line.speak(0.4)
    line.pause(0.4)
    await line.scheduler.run(0)
    line.speak(0.3)
    line.pause(0.8)
    assert line.scheduler.kinds() == [Urgency.LIKELY_FINAL, Urgency.LIKELY_FINAL]
    assert [text for _, text in line.told] == [str(len(line.told[0][0].samples) + 6_400)]
    assert line.finals == [line.scheduler.asked[1][2]]


async def test_a_likely_final_that_waits_when_speech_goes_on_is_given_up_for_the_next() -> None:
    line = Line(interims=False)
    line.speak(0.4)
    line.pause(0.4)
    line.speak(0.3)
    line.pause(0.4)
    first, second = (result for _, _, result in line.scheduler.asked)
    assert first.cancelled()
    assert not second.cancelled()


async def test_a_segment_that_is_cut_short_is_decoded_as_it_is() -> None:
    line = Line(interims=False)
    line.speak(1)
    line.pause(0.4)
    await line.scheduler.run(0)
    [segment] = line.listener.finish()
    assert isinstance(segment, HeardSegment)
    line.decoder.finish(segment, 0)
    assert line.scheduler.kinds() == [Urgency.LIKELY_FINAL, Urgency.FINAL]


async def test_dropping_gives_up_all_that_waits() -> None:
    line = Line()
    line.speak(1)
    line.pause(0.4)
    line.decoder.drop()
    assert [result.cancelled() for _, _, result in line.scheduler.asked] == [True, True]
