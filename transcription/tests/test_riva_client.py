"""The client against a Riva on a real port, faults included."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from typing import Protocol

import pytest
from grpc import StatusCode

from transcription.engine.recognition import Capabilities, Recogniser, RecognitionStream, Result
from transcription.errors import (
    AtCapacity,
    BadConfig,
    InternalError,
    RecogniserFailed,
    RecogniserSilent,
    TranscriptionError,
)
from transcription.fake_riva.audio import silence, spoken, word_texts
from transcription.fake_riva.script import Script
from transcription.fake_riva.server import ScriptedRiva
from transcription.metrics import BAD_TIMES_TOTAL
from transcription.options import Endpointing, TranscriptionConfig
from transcription.results import FinalResult, InterimResult, Progress
from transcription.riva.client import RivaRecogniser
from transcription.riva.endpoint import RivaLimits
from transcription.riva.stream import MAX_REQUEST_BYTES
from transcription.riva.target import RivaTarget

CONFIG = TranscriptionConfig()
KEY = "nvapi-0123456789abcdef"
IMPATIENT = RivaLimits(open_timeout_s=0.5, offer_timeout_s=0.1, write_timeout_s=0.3)
ENGLISH = {"english": {"type": "online", "language_code": "en-US"}}
CHUNK_BYTES = 3200
# More than a server of gRPC lets go ahead of a handler that reads nothing.
MANY_BYTES = 64 * 1024 * 1024


class RecogniserAt(Protocol):
    def __call__(
        self, *addresses: str, limits: RivaLimits | None = None, metadata: tuple[tuple[str, str], ...] = ()
    ) -> AbstractAsyncContextManager[RivaRecogniser]: ...


@pytest.fixture(params=["http2", "grpcio"])
def recogniser_at(request: pytest.FixtureRequest) -> RecogniserAt:
    """Every test that uses it runs on each transport."""

    @asynccontextmanager
    async def at(
        *addresses: str, limits: RivaLimits | None = None, metadata: tuple[tuple[str, str], ...] = ()
    ) -> AsyncIterator[RivaRecogniser]:
        targets = [RivaTarget(address, metadata=metadata, transport=request.param) for address in addresses]
        recogniser = RivaRecogniser(targets, limits=limits)
        try:
            yield recogniser
        finally:
            await recogniser.aclose()

    return at


async def all_results(stream: RecognitionStream) -> list[Result]:
    heard: list[Result] = []
    await stream.hear(heard.append)
    return heard


async def transcribe(recogniser: Recogniser, audio: bytes, *, base_ms: int = 0) -> list[Result]:
    stream = await recogniser.open(CONFIG, base_ms=base_ms)
    try:
        for start in range(0, len(audio), CHUNK_BYTES):
            await stream.send(audio[start : start + CHUNK_BYTES])
        await stream.half_close()
        return await all_results(stream)
    finally:
        stream.cancel()


def finals(results: list[Result]) -> list[FinalResult]:
    return [result for result in results if isinstance(result, FinalResult)]


def spoken_words(results: list[Result]) -> list[str]:
    return [word.word for final in finals(results) for word in final.words]


def unused_address() -> str:
    """An address at which nobody listens."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def mute_listener() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class TestTranscribing:
    async def test_every_word_comes_back_once_with_its_times(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            results = await transcribe(recogniser, spoken(12), base_ms=60_000)
            await riva.all_released()
        assert spoken_words(results) == word_texts(12)
        first = finals(results)[0]
        assert (first.start_ms, first.end_ms) == (60_200, 62_100)
        assert (first.words[0].start_ms, first.words[0].end_ms) == (60_200, 60_500)
        assert first.audio_processed_ms == 62_100 + 800
        assert isinstance(results[0], InterimResult)
        assert riva.streams[0].half_closed
        assert riva.streams[0].outcome == "ended"

    async def test_the_config_and_all_audio_arrive(self, recogniser_at: RecogniserAt) -> None:
        config = TranscriptionConfig(language="de-DE", endpointing=Endpointing(stop_history=600))
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(config)
            await stream.send(silence(1000))
            await stream.half_close()
            await all_results(stream)
        [record] = riva.streams
        assert record.config.config.language_code == "de-DE"
        assert record.config.config.endpointing_config.stop_history == 600
        assert record.audio_bytes == 32_000

    async def test_a_large_chunk_goes_in_several_messages(self, recogniser_at: RecogniserAt) -> None:
        audio = spoken(30)
        assert len(audio) > 2 * MAX_REQUEST_BYTES
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.send(audio)
            await stream.half_close()
            assert spoken_words(await all_results(stream)) == word_texts(30)
        assert riva.streams[0].audio_bytes == len(audio)

    async def test_an_utterance_ended_by_request_leaves_the_stream_open(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.send(spoken(2, tail_ms=0))
            await stream.end_utterance()
            await riva.until(lambda: riva.finals == ["word0001 word0002"])
            await stream.send(spoken(1, first=3))
            await stream.half_close()
            assert spoken_words(await all_results(stream)) == word_texts(3)
        assert riva.streams[0].forced_ends == 1

    async def test_the_last_words_come_after_the_half_close(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            results = await transcribe(recogniser, spoken(3, tail_ms=0))
        assert spoken_words(results) == word_texts(3)

    async def test_half_closing_again_does_nothing(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.half_close()
            await stream.half_close()
            assert await all_results(stream) == []
            with pytest.raises(InternalError):
                await stream.send(b"\0\0")

    async def test_silence_moves_forward_where_the_recogniser_says_so(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva([Script(settles=True)]) as riva, recogniser_at(riva.address) as recogniser:
            results = await transcribe(recogniser, silence(2500), base_ms=500)
        assert results == [Progress(1500), Progress(2500)]

    async def test_impossible_times_are_counted(self, recogniser_at: RecogniserAt) -> None:
        before = BAD_TIMES_TOTAL._value.get()
        async with ScriptedRiva([Script(bad_times=True)]) as riva, recogniser_at(riva.address) as recogniser:
            [final] = finals(await transcribe(recogniser, spoken(2)))
        assert final.end_ms >= final.start_ms >= 0
        assert BAD_TIMES_TOTAL._value.get() == before + 1


class TestCapabilities:
    async def test_metadata_says_that_finals_settle(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva([Script(settles=True), Script()]) as riva, recogniser_at(riva.address) as recogniser:
            for expected in (True, False):
                stream = await recogniser.open(CONFIG)
                await stream.send(spoken(1))
                await stream.half_close()
                await all_results(stream)
                assert stream.capabilities == Capabilities(settles=expected, word_times=True)

    async def test_a_model_says_that_its_word_times_are_estimates(self, recogniser_at: RecogniserAt) -> None:
        models = {"m": {"type": "online", "language_code": "en-US", "word_times": "estimated"}}
        async with ScriptedRiva(models=models) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            assert not stream.capabilities.word_times
            assert (stream.recogniser, stream.model) == (riva.address, "m")
            stream.cancel()


class TestOpening:
    async def test_credentials_go_with_every_call(self, recogniser_at: RecogniserAt) -> None:
        metadata = (("authorization", f"Bearer {KEY}"), ("function-id", "f"), ("function-version-id", "v"))
        async with ScriptedRiva() as riva, recogniser_at(riva.address, metadata=metadata) as recogniser:
            (await recogniser.open(CONFIG)).cancel()
            await riva.until(lambda: len(riva.streams) == 1)
        for received in (riva.streams[0].metadata, riva.questions[0]):
            assert dict(metadata).items() <= received.items()

    async def test_nobody_listening_is_told_at_once(self, recogniser_at: RecogniserAt) -> None:
        async with recogniser_at(unused_address()) as recogniser:
            with pytest.raises(RecogniserFailed) as raised:
                await recogniser.open(CONFIG)
        assert raised.value.retryable
        assert raised.value.reason == "recogniser_unreachable"
        assert "127.0.0.1" not in raised.value.message

    async def test_a_mute_peer_is_given_up(self, recogniser_at: RecogniserAt) -> None:
        with mute_listener() as address:
            async with recogniser_at(address, limits=IMPATIENT) as recogniser:
                with pytest.raises(RecogniserFailed) as raised:
                    await recogniser.open(CONFIG)
        assert raised.value.reason == "recogniser_unreachable"

    async def test_a_recogniser_that_says_nothing_yet_is_open(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva([Script(mute_open=True)]) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            stream.cancel()
            await riva.all_released()

    async def test_streams_that_wait_for_a_place_are_given_up_and_later_ones_go_elsewhere(
        self, recogniser_at: RecogniserAt
    ) -> None:
        async with (
            ScriptedRiva(max_concurrent_streams=1) as riva,
            recogniser_at(riva.address, limits=IMPATIENT) as recogniser,
        ):
            first = await recogniser.open(CONFIG)
            with pytest.raises(AtCapacity):
                await recogniser.open(CONFIG)
            second = await recogniser.open(CONFIG)
            await riva.until(lambda: riva.open_streams == 2)
            first.cancel()
            second.cancel()
            await riva.all_released()

    async def test_a_full_recogniser_refuses_before_the_stream_counts_as_open(
        self, recogniser_at: RecogniserAt
    ) -> None:
        async with ScriptedRiva(refuse_over=1) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            with pytest.raises(AtCapacity) as raised:
                await recogniser.open(CONFIG)
            assert raised.value.retry_after_ms == 5000
            stream.cancel()
            await riva.all_released()
            (await recogniser.open(CONFIG)).cancel()

    async def test_refused_options_name_the_field(self, recogniser_at: RecogniserAt) -> None:
        script = Script(abort=(StatusCode.INVALID_ARGUMENT, "sample_rate_hertz: \x1b[31m44100 is too much"))
        async with ScriptedRiva([script]) as riva, recogniser_at(riva.address) as recogniser:
            with pytest.raises(BadConfig) as raised:
                await recogniser.open(CONFIG)
        assert raised.value.field == "config.sample_rate_hertz"
        assert "\x1b" not in raised.value.message

    async def test_a_refusal_that_comes_late_is_still_one_of_opening(self, recogniser_at: RecogniserAt) -> None:
        script = Script(abort=(StatusCode.INVALID_ARGUMENT, "language_code: no"), abort_after_ms=0)
        async with ScriptedRiva([script]) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.send(spoken(1))
            with pytest.raises(BadConfig):
                await all_results(stream)

    async def test_refused_credentials_show_no_key(
        self, recogniser_at: RecogniserAt, caplog: pytest.LogCaptureFixture
    ) -> None:
        script = Script(abort=(StatusCode.UNAUTHENTICATED, f"the key {KEY} is not valid"))
        metadata = (("authorization", f"Bearer {KEY}"),)
        async with (
            ScriptedRiva([script]) as riva,
            recogniser_at(riva.address, metadata=metadata) as recogniser,
        ):
            with caplog.at_level(logging.DEBUG), pytest.raises(RecogniserFailed) as raised:
                await recogniser.open(CONFIG)
        assert not raised.value.retryable
        assert KEY not in raised.value.message
        assert "UNAUTHENTICATED" in caplog.text
        assert KEY not in caplog.text

    async def test_an_opening_that_is_cancelled_leaves_nothing(self, recogniser_at: RecogniserAt) -> None:
        async with (
            ScriptedRiva(default=Script(mute_open=True)) as riva,
            recogniser_at(riva.address, limits=RivaLimits(refusal_grace_s=60)) as recogniser,
        ):
            opening = asyncio.create_task(recogniser.open(CONFIG))
            await riva.until(lambda: riva.open_streams == 1)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await riva.all_released()


class TestBreaking:
    async def test_what_was_said_before_a_failure_arrives(self, recogniser_at: RecogniserAt) -> None:
        script = Script(abort=(StatusCode.UNAVAILABLE, "node went away"), abort_after_ms=4000)
        heard: list[Result] = []
        async with ScriptedRiva([script]) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.send(spoken(10))
            with pytest.raises(RecogniserFailed) as raised:
                await stream.hear(heard.append)
            assert raised.value.retryable
        assert spoken_words(heard) == word_texts(5)

    async def test_a_stream_that_the_recogniser_ends_early_just_ends(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva([Script(early_ok_after_ms=500)]) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            await stream.send(spoken(1))
            assert finals(await all_results(stream)) == []
            with pytest.raises(RecogniserFailed) as raised:
                await stream.send(b"\0\0")
        assert raised.value.reason == "recogniser_ended"

    async def test_a_killed_recogniser_is_retryable_and_the_next_stream_finds_it_again(
        self, recogniser_at: RecogniserAt
    ) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            reading = asyncio.create_task(all_results(stream))
            await riva.until(lambda: riva.open_streams == 1)
            await riva.stop()
            with pytest.raises(RecogniserFailed) as raised:
                await reading
            assert raised.value.retryable
            await riva.start()
            assert spoken_words(await _transcribe_when_back(recogniser)) == word_texts(1)

    async def test_a_recogniser_that_takes_no_audio_is_silent(self, recogniser_at: RecogniserAt) -> None:
        async with (
            ScriptedRiva([Script(deaf_after_ms=100)]) as riva,
            recogniser_at(riva.address, limits=IMPATIENT) as recogniser,
        ):
            stream = await recogniser.open(CONFIG)
            with pytest.raises(RecogniserSilent):
                await stream.send(bytes(MANY_BYTES))
            await riva.all_released()
            assert riva.streams[0].outcome == "cancelled"

    async def test_a_recogniser_that_takes_audio_slowly_and_answers_is_not_silent(
        self, recogniser_at: RecogniserAt
    ) -> None:
        """gRPC lets 4 MiB go ahead and then none for as long as half of that takes to be read."""
        async with (
            ScriptedRiva([Script(speed=60)]) as riva,
            recogniser_at(riva.address, limits=IMPATIENT) as recogniser,
        ):
            stream = await recogniser.open(CONFIG)
            reading = asyncio.create_task(all_results(stream))
            await stream.send(spoken(700, words_per_utterance=700))
            await stream.half_close()
            assert spoken_words(await reading) == word_texts(700)

    async def test_cancelling_frees_the_recogniser_and_wakes_the_reader(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva() as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            reading = asyncio.create_task(all_results(stream))
            await stream.send(silence(100))
            await riva.until(lambda: riva.streams[0].audio_bytes > 0)
            stream.cancel()
            stream.cancel()
            with pytest.raises(RecogniserFailed) as raised:
                await reading
            assert raised.value.reason == "cancelled"
            await riva.all_released()

    async def test_a_reader_that_is_cancelled_frees_the_recogniser(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva([Script(hang_after_ms=10)]) as riva, recogniser_at(riva.address) as recogniser:
            stream = await recogniser.open(CONFIG)
            reading = asyncio.create_task(all_results(stream))
            await stream.send(silence(100))
            await riva.until(lambda: riva.streams[0].audio_bytes > 0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await riva.all_released()
            with pytest.raises(RecogniserFailed) as raised:
                await stream.send(silence(100))
        assert raised.value.reason == "cancelled"

    async def test_duplicate_finals_are_passed_on_as_they_are(self, recogniser_at: RecogniserAt) -> None:
        async with (
            ScriptedRiva([Script(duplicate_finals=True)]) as riva,
            recogniser_at(riva.address) as recogniser,
        ):
            first, second = finals(await transcribe(recogniser, spoken(1)))
        assert first == second


async def _transcribe_when_back(recogniser: RivaRecogniser) -> list[Result]:
    """A channel may still be waiting to connect again; it does within 2 s."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await transcribe(recogniser, spoken(1))
            except RecogniserFailed:
                await asyncio.sleep(0.05)


class TestOffers:
    async def test_a_language_that_is_not_offered_is_refused_without_a_stream(
        self, recogniser_at: RecogniserAt
    ) -> None:
        async with ScriptedRiva(models=ENGLISH) as riva, recogniser_at(riva.address) as recogniser:
            with pytest.raises(BadConfig, match="en-US") as raised:
                await recogniser.open(TranscriptionConfig(language="fr-FR"))
        assert raised.value.field == "config.language"
        assert riva.streams == []

    async def test_a_model_that_is_not_offered_is_refused(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva(models=ENGLISH) as riva, recogniser_at(riva.address) as recogniser:
            with pytest.raises(BadConfig, match="english") as raised:
                await recogniser.open(TranscriptionConfig(model="klingon"))
        assert raised.value.field == "config.model"

    async def test_a_recogniser_without_the_question_is_used_all_the_same(self, recogniser_at: RecogniserAt) -> None:
        config = TranscriptionConfig(language="fr-FR", model="any")
        async with ScriptedRiva(models=None) as riva, recogniser_at(riva.address) as recogniser:
            assert await recogniser.describe(5) == []
            stream = await recogniser.open(config)
            assert stream.model == "any"
            stream.cancel()
        assert riva.questions != []

    async def test_models_are_asked_for_once(self, recogniser_at: RecogniserAt) -> None:
        async with ScriptedRiva(models=ENGLISH) as riva, recogniser_at(riva.address) as recogniser:
            streams = await asyncio.gather(*(recogniser.open(CONFIG) for _ in range(3)))
            for stream in streams:
                stream.cancel()
            [model] = await recogniser.describe(5)
        assert (model.name, model.languages, model.streaming) == ("english", ("en-US",), True)
        assert len(riva.questions) == 1

    async def test_models_are_asked_for_again_when_their_time_is_over(self, recogniser_at: RecogniserAt) -> None:
        limits = RivaLimits(offer_ttl_s=0)
        async with ScriptedRiva(models=ENGLISH) as riva, recogniser_at(riva.address, limits=limits) as recogniser:
            assert [model.name for model in await recogniser.describe(5)] == ["english"]
            riva.models = {"french": {"language_code": "fr-FR"}}
            assert [model.name for model in await recogniser.describe(5)] == ["french"]

    async def test_a_question_without_an_answer_costs_a_bounded_wait(self, recogniser_at: RecogniserAt) -> None:
        with mute_listener() as address:
            async with recogniser_at(address, limits=IMPATIENT) as recogniser:
                assert await recogniser.describe() == []
            async with recogniser_at(address) as recogniser:
                assert await recogniser.describe(0.05) == []


class TestReadiness:
    @pytest.mark.parametrize("models", [ENGLISH, None])
    async def test_any_answer_is_ready(
        self, recogniser_at: RecogniserAt, models: dict[str, dict[str, str]] | None
    ) -> None:
        async with ScriptedRiva(models=models) as riva, recogniser_at(unused_address(), riva.address) as recogniser:
            await recogniser.ready(5)

    async def test_an_answer_does_not_wait_for_a_mute_address(self, recogniser_at: RecogniserAt) -> None:
        with mute_listener() as address:
            async with ScriptedRiva() as riva, recogniser_at(address, riva.address) as recogniser:
                async with asyncio.timeout(10):
                    await recogniser.ready(600)

    async def test_no_answer_is_not_ready(self, recogniser_at: RecogniserAt) -> None:
        with mute_listener() as address:
            async with recogniser_at(address, unused_address()) as recogniser:
                with pytest.raises(TranscriptionError):
                    await recogniser.ready(0.2)


class TestSeveralAddresses:
    async def test_streams_take_turns(self, recogniser_at: RecogniserAt) -> None:
        async with (
            ScriptedRiva() as one,
            ScriptedRiva() as other,
            recogniser_at(one.address, other.address) as recogniser,
        ):
            streams = [await recogniser.open(CONFIG) for _ in range(4)]
            await one.until(lambda: one.open_streams == 2)
            await other.until(lambda: other.open_streams == 2)
            for stream in streams:
                stream.cancel()

    async def test_the_next_address_serves_where_one_is_down_or_full(self, recogniser_at: RecogniserAt) -> None:
        async with (
            ScriptedRiva(refuse_over=0) as full,
            ScriptedRiva() as free,
            recogniser_at(unused_address(), full.address, free.address) as recogniser,
        ):
            for _ in range(3):
                stream = await recogniser.open(CONFIG)
                assert stream.recogniser == free.address
                stream.cancel()

    async def test_refused_options_are_not_tried_elsewhere(self, recogniser_at: RecogniserAt) -> None:
        script = Script(abort=(StatusCode.INVALID_ARGUMENT, "no"))
        async with (
            ScriptedRiva([script]) as one,
            ScriptedRiva() as other,
            recogniser_at(one.address, other.address) as recogniser,
        ):
            with pytest.raises(BadConfig):
                await recogniser.open(CONFIG)
        assert other.streams == []
