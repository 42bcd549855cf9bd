"""A stream whose interims have no turn still shows that it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from riva.client.proto import riva_asr_pb2

from transcription.asr_server.config import check_config
from transcription.asr_server.engine import Engine
from transcription.asr_server.listening import Listener
from transcription.asr_server.scheduler import Scheduler, Urgency
from transcription.asr_server.stream import TOLD_AGAIN_AFTER_S, RecognitionStream, StreamParts
from transcription.engine.recogniser_watch import HANG_S
from transcription.tests.loudness_detector import LoudnessDetector
from transcription.tests.riva_streams import CHUNK_BYTES, finals, streaming_config

T = TypeVar("T")
CHUNK_S = CHUNK_BYTES / 32_000
SPEECH_S = 11.0
SPEECH = np.tile(np.array([12_000, -12_000], "<i2"), round(SPEECH_S * 8_000)).tobytes()
TEXT = "Hello there."

Results = list[riva_asr_pb2.StreamingRecognitionResult]


class OneSentenceEngine:
    """An Engine that hears the same sentence in everything."""

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        return TEXT

    def close(self) -> None:
        """Nothing to give back."""


class BusyScheduler(Scheduler):
    """Finals have their turn, of the interims only so many."""

    def __init__(self, interims: int) -> None:
        super().__init__([OneSentenceEngine()], max_jobs=20)
        self._interims_left = interims

    def submit(self, urgency: Urgency, deadline: float, work: Callable[[Engine], T]) -> asyncio.Future[T]:
        if urgency is Urgency.INTERIM:
            if not self._interims_left:
                return asyncio.get_running_loop().create_future()
            self._interims_left -= 1
        return super().submit(urgency, deadline, work)


@pytest.fixture
def hearing() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as hearing:
        yield hearing


async def results_of(hearing: ThreadPoolExecutor, *, interims: int, interim_results: bool = True) -> Results:
    """All that a stream says to one utterance while so many interims have their turn."""

    async def requests() -> AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]:
        for at in range(0, len(SPEECH), CHUNK_BYTES):
            yield riva_asr_pb2.StreamingRecognizeRequest(audio_content=SPEECH[at : at + CHUNK_BYTES])

    options = check_config(streaming_config().config, "", interim_results)
    listener = Listener(options.audio_input(), LoudnessDetector(), options.endpointing)
    scheduler = BusyScheduler(interims)
    try:
        stream = RecognitionStream(options, listener, StreamParts(scheduler, hearing))
        async with aclosing(stream.results(requests())) as results:
            return [result async for result in results]
    finally:
        scheduler.close()


def interims(results: Results) -> Results:
    return [result for result in results if result.alternatives and not result.is_final]


async def test_a_stream_whose_interims_never_run_says_how_far_it_has_heard(hearing: ThreadPoolExecutor) -> None:
    results = await results_of(hearing, interims=0)

    positions = [0.0, *(result.audio_processed for result in results)]
    assert all(later - earlier <= TOLD_AGAIN_AFTER_S + CHUNK_S for earlier, later in pairwise(positions))
    assert [result.alternatives[0].transcript for result in interims(results)] == [""] * 3
    assert [result.alternatives[0].transcript for result in finals(results)] == [TEXT + " "]


async def test_the_last_interim_is_said_again_with_the_words_it_had(hearing: ThreadPoolExecutor) -> None:
    first, *again = interims(await results_of(hearing, interims=1))

    assert len(again) == 3
    for interim in again:
        assert interim.alternatives == first.alternatives
        assert interim.audio_processed > first.audio_processed + TOLD_AGAIN_AFTER_S - CHUNK_S


async def test_who_wants_no_interims_is_told_none(hearing: ThreadPoolExecutor) -> None:
    results = await results_of(hearing, interims=0, interim_results=False)

    assert interims(results) == []
    assert len(finals(results)) == 1


def test_a_service_that_listens_hears_of_it_in_time() -> None:
    assert 2 * TOLD_AGAIN_AFTER_S < HANG_S
