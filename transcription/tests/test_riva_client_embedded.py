"""The client against the embedded recogniser: real speech over a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from transcription.engine.recognition import Capabilities, Result
from transcription.errors import AtCapacity, BadAudio, BadConfig
from transcription.fake_riva.audio import silence
from transcription.options import Encoding, TranscriptionConfig
from transcription.results import FinalResult
from transcription.riva.client import RivaRecogniser
from transcription.riva.stream import RivaStream
from transcription.riva.target import RivaTarget
from transcription.tests.asr_process import running_asr_process
from transcription.tests.speech_clips import load_clip

CHUNK_BYTES = 3200
FREED_WITHIN_S = 10


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_asr_process("--max-streams", "1") as embedded:
        yield embedded.address


@pytest.fixture
async def recogniser(address: str) -> AsyncIterator[RivaRecogniser]:
    recogniser = RivaRecogniser([RivaTarget(address)])
    yield recogniser
    await recogniser.aclose()


async def test_speech_becomes_words_whose_finals_settle_the_audio(recogniser: RivaRecogniser) -> None:
    stream = await recogniser.open(TranscriptionConfig(), base_ms=60_000)
    audio = load_clip("jfk").pcm + silence(2000)
    for start in range(0, len(audio), CHUNK_BYTES):
        await stream.send(audio[start : start + CHUNK_BYTES])
    await stream.half_close()
    results: list[Result] = []
    await stream.hear(results.append)
    finals = [result for result in results if isinstance(result, FinalResult)]
    assert "ask what you can do for your country" in " ".join(final.text for final in finals)
    assert stream.capabilities == Capabilities(settles=True, word_times=False)
    positions = [position for final in finals for position in (final.start_ms, final.end_ms)]
    assert positions == sorted(positions)
    assert all(final.end_ms <= (final.audio_processed_ms or 0) <= 60_000 + 13_000 and final.words for final in finals)


async def test_it_names_its_models(recogniser: RivaRecogniser) -> None:
    await recogniser.ready(10)
    assert {(model.languages, model.streaming) for model in await recogniser.describe(10)} == {
        (("en-US",), True),
        (("en-US",), False),
    }


async def test_a_language_it_does_not_speak_is_refused(recogniser: RivaRecogniser) -> None:
    with pytest.raises(BadConfig) as raised:
        await recogniser.open(TranscriptionConfig(language="fr-FR"))
    assert raised.value.field == "config.language"


async def test_audio_it_cannot_decode_is_told(recogniser: RivaRecogniser) -> None:
    stream = await recogniser.open(TranscriptionConfig(encoding=Encoding.FLAC))
    await stream.send(b"garbage!" * 1000)
    await stream.half_close()
    with pytest.raises(BadAudio):
        await stream.hear(lambda result: pytest.fail(f"{result} was heard"))


async def test_past_its_streams_it_is_full_until_one_is_cancelled(recogniser: RivaRecogniser) -> None:
    stream = await _open_when_free(recogniser)
    with pytest.raises(AtCapacity):
        await recogniser.open(TranscriptionConfig())
    stream.cancel()
    (await _open_when_free(recogniser)).cancel()


async def _open_when_free(recogniser: RivaRecogniser) -> RivaStream:
    """Open as soon as the stream cancelled before is heard to be gone."""
    async with asyncio.timeout(FREED_WITHIN_S):
        while True:
            try:
                return await recogniser.open(TranscriptionConfig())
            except AtCapacity:
                await asyncio.sleep(0)
