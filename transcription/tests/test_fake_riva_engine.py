"""The fake recogniser hears exactly what the audio carries, wherever it is cut."""

from __future__ import annotations

from typing import Any

import pytest

from transcription.fake_riva.audio import Ear, silence, spoken, word_texts
from transcription.fake_riva.engine import ScriptedEngine
from transcription.options import TranscriptionConfig
from transcription.riva.convert import build_config_request

BYTES_PER_MS = 32


def engine(config: TranscriptionConfig | None = None, **script: Any) -> ScriptedEngine:
    return ScriptedEngine(build_config_request(config or TranscriptionConfig()).streaming_config, **script)


def final_words(*parts: bytes, config: TranscriptionConfig | None = None) -> list[str]:
    """What is heard in finals when parts are sent one after the other."""
    listener = engine(config)
    responses = [response for part in parts for response in listener.hear(part)]
    responses += listener.end_utterance()
    results = [result for response in responses for result in response.results if result.is_final]
    return [word.word for result in results for word in result.alternatives[0].words]


@pytest.mark.parametrize("chunk_bytes", [1, 319, 320, 321, 3200, 100_000])
def test_chunks_make_no_difference(chunk_bytes: int) -> None:
    audio = spoken(3, word_ms=100)
    chunks = [audio[start : start + chunk_bytes] for start in range(0, len(audio), chunk_bytes)]
    whole, pieces = Ear(), Ear()
    assert [frame for chunk in chunks for frame in pieces.hear(chunk)] == whole.hear(audio)
    assert final_words(*chunks) == word_texts(3)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (48_000, 1), (16_000, 2)])
def test_rates_and_channels_make_no_difference(rate: int, channels: int) -> None:
    audio = spoken(3, sample_rate_hz=rate)
    samples = [audio[start : start + 2] for start in range(0, len(audio), 2)]
    interleaved = b"".join(sample * channels for sample in samples)
    config = TranscriptionConfig(sample_rate_hertz=rate, audio_channel_count=channels)
    assert final_words(interleaved, config=config) == word_texts(3)


def test_audio_sent_again_from_silence_gives_the_same_words() -> None:
    audio = spoken(10)
    restart = 2700 * BYTES_PER_MS
    assert final_words(audio[:restart]) + final_words(audio[restart:]) == word_texts(10)


def test_a_word_that_is_cut_is_heard_as_broken() -> None:
    audio = spoken(3)
    inside_second = 700 * BYTES_PER_MS
    assert final_words(audio[:inside_second]) == ["word0001", "part0002"]
    assert final_words(audio[inside_second:]) == ["part0002", "word0003"]


def test_finals_come_at_the_end_of_silence_and_settle_its_middle() -> None:
    audio = spoken(1, lead_ms=0, word_ms=300)
    [plain] = [r for r in engine().hear(audio) if r.results[0].is_final]
    [settling] = [r for r in engine(settles=True).hear(audio) if r.results[0].is_final]
    assert plain.results[0].audio_processed == pytest.approx(1.1)
    assert settling.results[0].audio_processed == pytest.approx(0.7)


def test_nothing_is_heard_after_the_place_to_stop() -> None:
    listener = engine(stop_at_ms=500)
    list(listener.hear(spoken(5)))
    assert (listener.has_stopped, listener.position_ms) == (True, 500)


def test_only_a_settling_engine_speaks_in_silence() -> None:
    assert list(engine().hear(silence(5000))) == []
    assert len(list(engine(settles=True).hear(silence(5000)))) == 5
