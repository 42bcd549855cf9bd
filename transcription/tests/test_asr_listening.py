"""One stream's ears: segments, settled positions, and the replay from each of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from transcription.asr_server.audio_input import AudioInput, Encoding
from transcription.asr_server.detector import SileroDetector
from transcription.asr_server.endpointing import EndpointingOptions
from transcription.asr_server.listening import Heard, HeardSegment, HeardSilence, Listener
from transcription.tests.loudness_detector import LoudnessDetector
from transcription.tests.speech_clips import load_clip, load_samples

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000]


def listener(rate_hz: int = 16_000) -> Listener:
    return Listener(AudioInput(Encoding.PCM16, rate_hz, 1), LoudnessDetector(), EndpointingOptions())


def hear(ears: Listener, pcm: bytes, chunk: int = 3_200) -> list[Heard]:
    heard = [h for at in range(0, len(pcm), chunk) for h in ears.feed(pcm[at : at + chunk])]
    return heard + ears.finish()


def segments(heard: list[Heard]) -> list[HeardSegment]:
    return [item for item in heard if isinstance(item, HeardSegment)]


def audio(*parts: tuple[str, float], rate_hz: int = 16_000) -> bytes:
    """Loud and quiet stretches, of the given seconds each."""
    noise = np.random.default_rng(3)
    pieces = [
        noise.uniform(-1, 1, round(seconds * rate_hz)) * (0.5 if kind == "loud" else 0.001) for kind, seconds in parts
    ]
    samples: NDArray[np.int16] = (np.concatenate(pieces) * 32767).astype(np.int16)
    return samples.tobytes()


def test_it_hears_two_utterances_where_they_are() -> None:
    heard = segments(hear(listener(), audio(("quiet", 1), ("loud", 1), ("quiet", 1), ("loud", 0.5), ("quiet", 2))))
    spans = [(segment.voiced_ms[0][0], segment.voiced_ms[-1][1]) for segment in heard]
    assert [segment.number for segment in heard] == [0, 1]
    assert spans[0] == pytest.approx((1000, 2000), abs=35)
    assert spans[1] == pytest.approx((3000, 3500), abs=35)


def test_settled_positions_only_grow_and_end_with_the_audio() -> None:
    pcm = audio(("loud", 3), ("quiet", 5), ("loud", 25), ("quiet", 0.3), ("loud", 1))
    settled = [item.settled_s for item in hear(listener(), pcm)]
    assert settled == sorted(settled)
    assert len(set(settled)) == len(settled)
    assert settled[-1] == len(pcm) / 32_000


def test_chunks_of_any_size_are_heard_alike() -> None:
    pcm = audio(("loud", 2), ("quiet", 2), ("loud", 22), ("quiet", 1))
    whole = hear(listener(), pcm, chunk=10**9)
    for chunk in (999, 5_000):
        pieces = hear(listener(), pcm, chunk)
        assert [item.settled_s for item in pieces] == [item.settled_s for item in whole]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(segments(pieces), segments(whole), strict=True))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_replay_from_any_settled_position_is_heard_bit_for_bit_alike(rate_hz: int) -> None:
    parts = (("loud", 2.03), ("quiet", 3), ("loud", 23), ("quiet", 1.7), ("loud", 1), ("quiet", 1))
    pcm = audio(*parts, rate_hz=rate_hz)
    whole = hear(listener(rate_hz), pcm)
    assert len(whole) >= 6
    for count, point in enumerate(whole[:-1], start=1):
        start = round(point.settled_s * rate_hz)
        again = hear(listener(rate_hz), pcm[start * 2 :])
        assert [round((item.settled_s + point.settled_s) * rate_hz) for item in again] == [
            round(item.settled_s * rate_hz) for item in whole[count:]
        ]
        expected, got = segments(whole[count:]), segments(again)
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(expected, got, strict=True))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_replay_of_real_speech_with_the_real_detector_is_heard_alike(rate_hz: int) -> None:
    def ears() -> Listener:
        return Listener(AudioInput(Encoding.PCM16, rate_hz, 1), SileroDetector(), EndpointingOptions())

    pcm = load_samples(load_clip("long-librispeech-3331").path, rate_hz).tobytes()
    whole = hear(ears(), pcm)
    assert len(segments(whole)) >= 4
    for count in (1, len(whole) // 2, len(whole) - 2):
        point = whole[count - 1]
        again = segments(hear(ears(), pcm[round(point.settled_s * rate_hz) * 2 :], chunk=1_234))
        expected = segments(whole[count:])
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(expected, again, strict=True))


def test_settled_positions_lie_on_a_grid_of_ten_milliseconds() -> None:
    for item in hear(listener(), audio(("loud", 2), ("quiet", 4), ("loud", 45), ("quiet", 2)))[:-1]:
        assert (item.settled_s * 100) == pytest.approx(round(item.settled_s * 100), abs=1e-9)


def test_silence_moves_on_every_second() -> None:
    heard = hear(listener(), audio(("quiet", 10)))
    assert all(isinstance(item, HeardSilence) for item in heard)
    steps = np.diff([item.settled_s for item in heard[:-1]])
    assert len(steps) >= 7
    assert np.all(steps <= 1.1)


def test_nothing_is_settled_while_a_segment_is_open() -> None:
    ears = listener()
    pcm = audio(("loud", 15))
    assert ears.feed(pcm) == []
    assert ears.open_segment is not None


def test_a_click_is_settled_without_words() -> None:
    heard = hear(listener(), audio(("quiet", 1), ("loud", 0.03), ("quiet", 2)))
    assert segments(heard) == []


def test_an_utterance_ends_at_once_when_asked() -> None:
    ears = listener()
    ears.feed(audio(("quiet", 1), ("loud", 1.005)))
    [heard] = ears.end_utterance()
    assert isinstance(heard, HeardSegment)
    assert heard.settled_s == pytest.approx(2.0)
    assert ears.open_segment is None


def test_listening_goes_on_after_a_forced_end() -> None:
    ears = listener()
    first = ears.feed(audio(("loud", 1))) + ears.end_utterance()
    rest = hear(ears, audio(("quiet", 1), ("loud", 1), ("quiet", 1)))
    assert len(segments(first)) == 1
    assert len(segments(rest)) == 1


def test_a_forced_end_in_silence_settles_it() -> None:
    ears = listener()
    ears.feed(audio(("quiet", 0.5)))
    assert ears.end_utterance() == [HeardSilence(0.5)]


def test_a_forced_end_before_any_audio_is_nothing() -> None:
    assert listener().end_utterance() == []


def test_the_last_words_are_heard_up_to_the_very_end() -> None:
    pcm = audio(("quiet", 1), ("loud", 0.777))
    [segment] = segments(hear(listener(), pcm))
    assert segment.settled_s == len(pcm) / 32_000
    assert np.array_equal(segment.samples[-100:], np.frombuffer(pcm[-200:], np.int16) / np.float32(32768))


def test_what_it_holds_is_bounded() -> None:
    ears = listener()
    pcm = audio(("loud", 5))
    for _ in range(30):
        ears.feed(pcm)
        assert sum(map(len, ears._kept)) <= 26 * 16_000


def test_an_empty_stream_hears_nothing() -> None:
    assert listener().finish() == []
