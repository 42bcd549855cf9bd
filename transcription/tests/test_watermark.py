"""When audio is settled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcription.recognition import Capabilities
from transcription.results import FinalResult, InterimResult, Progress, Word
from transcription.watermark import Watermark

SETTLING = Capabilities(settles=True, word_times=False)
RIVA = Capabilities(settles=False, word_times=True)
TIMELESS = Capabilities(settles=False, word_times=False)


def final(*ends_ms: int, heard_ms: int | None) -> FinalResult:
    words = tuple(Word("word", end_ms - 200, end_ms) for end_ms in ends_ms)
    end_ms = ends_ms[-1] if ends_ms else heard_ms or 0
    return FinalResult("words", 0, end_ms, words=words, audio_processed_ms=heard_ms)


def interim(text: str = "words") -> InterimResult:
    return InterimResult(text, 0, 100)


def test_a_recogniser_that_settles_is_taken_at_its_word() -> None:
    watermark = Watermark()

    assert watermark.on_final(final(1800, heard_ms=2200), SETTLING) == 2200
    assert watermark.on_progress(Progress(5000), SETTLING) == 5000


def test_a_final_closed_by_silence_settles_up_to_the_middle_of_it() -> None:
    assert Watermark().on_final(final(500, 1800, heard_ms=2600), RIVA) == 2200


def test_a_final_closed_by_force_settles_nothing() -> None:
    watermark = Watermark()
    assert watermark.on_final(final(500, 1800, heard_ms=2399), RIVA) == 0

    assert watermark.on_final(final(2000, 2800, heard_ms=3400), RIVA) == 3200


def test_long_silence_settles_all_but_its_last_two_seconds() -> None:
    watermark = Watermark()
    watermark.on_final(final(1800, heard_ms=2600), RIVA)

    assert watermark.on_progress(Progress(6800), RIVA) == 2200
    assert watermark.on_progress(Progress(6801), RIVA) == 4801


def test_silence_settles_nothing_while_words_wait_for_their_final() -> None:
    watermark = Watermark()
    watermark.on_interim(interim())

    assert watermark.on_progress(Progress(60_000), RIVA) == 0
    watermark.on_interim(interim(""))
    assert watermark.on_progress(Progress(60_000), RIVA) == 58_000


def test_without_word_times_only_the_end_of_the_stream_settles() -> None:
    watermark = Watermark()

    assert watermark.on_final(final(1800, heard_ms=2600), TIMELESS) == 0
    assert watermark.on_progress(Progress(60_000), TIMELESS) == 0
    assert watermark.on_flushed(61_000) == 61_000


def test_a_recogniser_that_does_not_say_what_it_heard_settles_nothing_early() -> None:
    watermark = Watermark()

    assert watermark.on_final(final(1800, heard_ms=None), RIVA) == 0
    assert watermark.on_final(final(1800, heard_ms=None), SETTLING) == 0


results = st.one_of(
    st.builds(lambda end, heard: final(end, heard_ms=heard), st.integers(200, 9000), st.integers(0, 9000) | st.none()),
    st.builds(Progress, st.integers(0, 9000)),
    st.builds(interim, st.sampled_from(["", "words"])),
    st.integers(0, 9000),
)


@given(st.lists(results, max_size=30), st.sampled_from([SETTLING, RIVA, TIMELESS]))
def test_it_never_goes_back_and_never_past_what_was_heard(said: list[object], capabilities: Capabilities) -> None:
    watermark, heard_ms = Watermark(), 0
    for result in said:
        before_ms = watermark.settled_ms
        match result:
            case FinalResult():
                heard_ms = max(heard_ms, result.audio_processed_ms or 0)
                watermark.on_final(result, capabilities)
            case Progress():
                heard_ms = max(heard_ms, result.audio_processed_ms)
                watermark.on_progress(result, capabilities)
            case InterimResult():
                watermark.on_interim(result)
            case int():
                heard_ms = max(heard_ms, result)
                watermark.on_flushed(result)
        assert before_ms <= watermark.settled_ms <= heard_ms
