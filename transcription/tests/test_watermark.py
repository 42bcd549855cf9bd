"""When audio is settled, and what is stored of what was said."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcription.engine.recognition import Capabilities
from transcription.engine.watermark import CUT_WINDOW_MS, WATERMARK_PAD_MS, Watermark, join, split, widest_gap
from transcription.results import FinalResult, InterimResult, Progress, Word

SETTLING = Capabilities(settles=True, word_times=False)
RIVA = Capabilities(settles=False, word_times=True)
TIMELESS = Capabilities(settles=False, word_times=False)


def final(*ends_ms: int, heard_ms: int | None, text: str = "") -> FinalResult:
    words = tuple(Word(f"w{end_ms}", end_ms - 200, end_ms) for end_ms in ends_ms)
    text = text or " ".join(word.word for word in words)
    return FinalResult(text, words[0].start_ms, ends_ms[-1], words=words, audio_processed_ms=heard_ms)


def interim(text: str = "words") -> InterimResult:
    return InterimResult(text, 0, 100)


def stored(watermark: Watermark, said: FinalResult, capabilities: Capabilities, sent_ms: int = 60_000) -> str | None:
    kept = watermark.on_final(said, capabilities, sent_ms=sent_ms)
    return None if kept is None else kept.text


# One rule after another


def test_a_recogniser_that_settles_is_taken_at_its_word() -> None:
    watermark = Watermark()

    assert stored(watermark, final(1800, heard_ms=2200), SETTLING) == "w1800"
    assert watermark.settled_ms == 2200
    watermark.on_progress(Progress(5000), SETTLING)
    assert watermark.settled_ms == 5000


def test_nothing_is_settled_that_was_not_sent() -> None:
    """Engines fill up the end of a stream with silence, and count it."""
    watermark = Watermark()

    assert stored(watermark, final(1800, heard_ms=2900), SETTLING, sent_ms=2000) == "w1800"
    assert watermark.settled_ms == 2000


def test_what_a_cut_breaks_off_is_said_again_by_an_engine_that_settles() -> None:
    watermark = Watermark()
    watermark.half_closed(is_cut=True)

    assert stored(watermark, final(500, heard_ms=1000), SETTLING, sent_ms=3000) == "w500"
    assert stored(watermark, final(2900, heard_ms=3000), SETTLING, sent_ms=3000) is None
    assert watermark.on_cut(3000, None) is None
    assert watermark.settled_ms == 1000


def test_an_engine_that_settles_and_never_does_is_cut_all_the_same() -> None:
    watermark = Watermark()
    watermark.half_closed(is_cut=True)

    assert stored(watermark, final(45_000, heard_ms=45_000), SETTLING, sent_ms=45_000) is None
    kept = watermark.on_cut(45_000, None)
    assert kept is not None
    assert (kept.text, watermark.settled_ms) == ("w45000", 45_000)


def test_a_word_whose_end_is_impossible_does_not_hide_the_one_before_it() -> None:
    watermark = Watermark(10_000)
    words = (Word("one", 10_000, 10_900), Word("two", 10_000, 10_000))
    said = FinalResult("one two", 10_000, 10_900, words=words, audio_processed_ms=12_000)

    assert stored(watermark, said, RIVA) == "one two"


def test_a_final_closed_by_silence_settles_up_to_the_middle_of_it() -> None:
    watermark = Watermark()

    assert stored(watermark, final(500, 1800, heard_ms=2600), RIVA) == "w500 w1800"
    assert watermark.settled_ms == 2200


def test_a_final_closed_by_force_is_stored_up_to_its_widest_gap() -> None:
    watermark = Watermark()

    assert stored(watermark, final(500, 1000, 2000, 2300, heard_ms=2500), RIVA) == "w500 w1000"
    assert watermark.settled_ms == 1400
    assert watermark.carried is not None
    assert watermark.carried.text == "w2000 w2300"
    assert watermark.is_open


def test_words_that_are_carried_come_before_the_next_interim_and_final() -> None:
    watermark = Watermark()
    watermark.on_final(final(500, 1000, heard_ms=1200), RIVA, sent_ms=1200)

    shown = watermark.on_interim(InterimResult("w1400", 1200, 1400))
    assert (shown.text, shown.start_ms) == ("w1000 w1400", 800)
    assert stored(watermark, final(1400, heard_ms=2300), RIVA) == "w1000 w1400"
    assert (watermark.settled_ms, watermark.carried) == (1800, None)


def test_a_final_that_does_not_say_what_was_heard_is_measured_by_what_was_sent() -> None:
    watermark = Watermark()

    assert stored(watermark, final(1800, heard_ms=None), RIVA, sent_ms=2600) == "w1800"
    assert watermark.settled_ms == 2200


def test_an_utterance_that_the_client_ended_is_whole() -> None:
    watermark = Watermark()
    kept = watermark.on_final(final(500, 1800, heard_ms=1900), RIVA, sent_ms=2000, asked_for=True)

    assert kept is not None
    assert (kept.text, watermark.settled_ms) == ("w500 w1800", 1900)


def test_long_silence_settles_all_but_its_last_two_seconds() -> None:
    watermark = Watermark()
    watermark.on_final(final(1800, heard_ms=2600), RIVA, sent_ms=2600)

    watermark.on_progress(Progress(6800), RIVA)
    assert watermark.settled_ms == 2200
    watermark.on_progress(Progress(6801), RIVA)
    assert watermark.settled_ms == 4801


def test_silence_settles_nothing_while_words_wait_for_their_final() -> None:
    watermark = Watermark()
    watermark.on_interim(interim())

    watermark.on_progress(Progress(60_000), RIVA)
    assert watermark.settled_ms == 0
    watermark.on_interim(interim(""))
    watermark.on_progress(Progress(60_000), RIVA)
    assert watermark.settled_ms == 58_000


def test_without_word_times_the_end_of_the_stream_settles() -> None:
    watermark = Watermark()
    assert stored(watermark, FinalResult("hello", 0, 1800, audio_processed_ms=2600), TIMELESS) is None
    watermark.on_progress(Progress(60_000), TIMELESS)
    assert (watermark.settled_ms, watermark.wants_cut) == (0, True)

    watermark.half_closed(is_cut=True)
    kept = watermark.on_cut(3000, None)

    assert kept is not None
    assert (kept.text, watermark.settled_ms) == ("hello", 3000)


def test_without_word_times_what_the_end_of_a_stream_cut_off_is_said_again() -> None:
    watermark = Watermark()
    stored(watermark, FinalResult("hello", 0, 1800, audio_processed_ms=2600), TIMELESS)
    watermark.half_closed(is_cut=True)
    stored(watermark, FinalResult("wor", 2700, 3000, audio_processed_ms=3000), TIMELESS)

    assert watermark.on_cut(3000, None) is None
    assert watermark.settled_ms == 0


def test_a_cut_in_which_nothing_was_open_settles_everything() -> None:
    watermark = Watermark()
    watermark.half_closed(is_cut=True)

    assert watermark.on_cut(45_000, None) is None
    assert watermark.settled_ms == 45_000


def test_impossible_times_do_not_keep_a_cut_from_settling() -> None:
    watermark = Watermark()
    watermark.half_closed(is_cut=True)
    words = (Word("a", 46_000, 46_000), Word("b", 46_000, 46_000))
    watermark.on_final(FinalResult("a b", 46_000, 46_000, words=words, audio_processed_ms=0), RIVA, sent_ms=45_000)

    kept = watermark.on_cut(45_000, None)

    assert kept is not None
    assert (kept.text, watermark.settled_ms) == ("a b", 45_000)


def test_words_before_the_start_of_a_new_stream_are_not_said_again() -> None:
    watermark = Watermark()
    watermark.on_final(final(500, 1800, heard_ms=2600), RIVA, sent_ms=2600)
    watermark.restart()

    assert stored(watermark, final(2270, 2900, heard_ms=3600), RIVA) == "w2900"
    assert watermark.repeated == 0
    watermark.restart()
    assert stored(watermark, final(3300, heard_ms=4100), RIVA) is None
    assert watermark.repeated == 1


@pytest.mark.parametrize("capabilities", [SETTLING, RIVA])
def test_a_final_that_comes_twice_counts_once(capabilities: Capabilities) -> None:
    watermark = Watermark()
    line = final(500, 1800, heard_ms=2600)

    assert stored(watermark, line, capabilities) == "w500 w1800"
    assert stored(watermark, line, capabilities) is None
    assert watermark.repeated == 1


# Cutting and joining


def test_the_widest_gap_is_looked_for_in_the_last_seconds_alone() -> None:
    early = tuple(Word("early", at, at + 100) for at in (0, 5000))
    late = tuple(Word("late", at, at + 100) for at in (10_000, 10_200, 10_700, 10_900))
    line = early + tuple(Word(w.word, w.start_ms + CUT_WINDOW_MS, w.end_ms + CUT_WINDOW_MS) for w in late)

    assert widest_gap(line) == 4
    assert widest_gap(late[:1]) is None
    assert widest_gap(()) is None


def test_a_cut_keeps_the_recognisers_own_punctuation() -> None:
    line = FinalResult("Well, yes.", 0, 1000, words=(Word("well", 0, 300), Word("yes", 700, 1000)))
    before, after = split(line, 1)
    assert (before.text, after.text) == ("Well,", "yes.")
    assert (before.end_ms, after.start_ms) == (300, 700)
    assert join(before, after).text == "Well, yes."


def test_words_that_were_written_as_one_are_cut_as_they_were_said() -> None:
    line = FinalResult("$5", 0, 1000, words=(Word("five", 0, 300), Word("dollars", 700, 1000)))
    assert [part.text for part in split(line, 1)] == ["five", "dollars"]


# Any recogniser, lost at any time


@dataclass
class Spoken:
    """Numbered words with their times."""

    words: list[Word]

    @classmethod
    def make(cls, dice: random.Random, pause_share: float) -> Spoken:
        words, at = [], 0
        for number in range(60):
            length = dice.randint(150, 450)
            words.append(Word(f"w{number}", at, at + length))
            at += length + (dice.randint(900, 2000) if dice.random() < pause_share else dice.randint(40, 250))
        return cls(words)


class SimulatedRecogniser:
    """Hears words from a position on, whole ones only: half a word is heard as half a word."""

    def __init__(self, spoken: Spoken, base_ms: int, dice: random.Random, error_ms: int) -> None:
        self.position_ms = base_ms
        self._dice = dice
        self._error_ms = error_ms
        self._left = [
            word if word.start_ms >= base_ms else Word(f"part-{word.word}", base_ms, word.end_ms)
            for word in spoken.words
            if word.end_ms > base_ms
        ]
        self._open: list[Word] = []

    def hear_next(self) -> FinalResult | None:
        """Hear one more word; the final that its silence, or the engine's own limit, brings."""
        if not self._left:
            self.position_ms += 800
            return self._final()
        word = self._left.pop(0)
        self._open.append(word)
        following_ms = self._left[0].start_ms if self._left else word.end_ms + 2000
        if following_ms - word.end_ms >= 800:
            self.position_ms = word.end_ms + 800
            return self._final()
        self.position_ms = word.end_ms
        # Engines close long utterances themselves, in the middle of speech.
        return self._final() if self._dice.random() < 0.1 else None

    def half_close(self, sent_ms: int) -> FinalResult | None:
        """All that was sent: a word that goes on behind it is cut off."""
        self.position_ms = sent_ms
        while self._left and self._left[0].start_ms < sent_ms:
            word = self._left.pop(0)
            is_whole = word.end_ms <= sent_ms
            self._open.append(word if is_whole else Word(f"part-{word.word}", word.start_ms, sent_ms))
        return self._final()

    def _final(self) -> FinalResult | None:
        heard, self._open = self._open, []
        if not heard:
            return None
        heard_ms = self.position_ms
        words = tuple(
            Word(word.word, max(0, word.start_ms + self._off()), max(0, word.end_ms + self._off())) for word in heard
        )
        text = " ".join(word.word for word in words)
        return FinalResult(text, words[0].start_ms, words[-1].end_ms, words=words, audio_processed_ms=heard_ms)

    def _off(self) -> int:
        return self._dice.randint(-self._error_ms, self._error_ms)


def transcribe(seed: int, *, error_ms: int, pad_ms: int, pause_share: float, loss_share: float) -> list[str]:
    """What is stored of 60 words by a recogniser that is lost, and cut, at random."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    spoken = Spoken.make(dice, pause_share)
    watermark = Watermark(pad_ms=pad_ms)
    engine = SimulatedRecogniser(spoken, 0, dice, error_ms)
    stored: list[str] = []

    def keep(kept: FinalResult | None) -> None:
        if kept is not None:
            stored.extend(kept.text.split())

    end_ms = spoken.words[-1].end_ms + 800
    while engine.position_ms < end_ms:
        said = engine.hear_next()
        if said is not None:
            keep(watermark.on_final(said, RIVA, sent_ms=max(engine.position_ms, said.end_ms)))
        if dice.random() < loss_share:
            watermark.restart()
            engine = SimulatedRecogniser(spoken, watermark.settled_ms, dice, error_ms)
        elif dice.random() < loss_share / 2:
            sent_ms = engine.position_ms + dice.randint(0, 600)
            watermark.half_closed(is_cut=True)
            said = engine.half_close(sent_ms)
            if said is not None:
                keep(watermark.on_final(said, RIVA, sent_ms=sent_ms))
            keep(watermark.on_cut(sent_ms, None))
            watermark.restart()
            engine = SimulatedRecogniser(spoken, watermark.settled_ms, dice, error_ms)
    watermark.half_closed(is_cut=False)
    said = engine.half_close(end_ms)
    if said is not None:
        keep(watermark.on_final(said, RIVA, sent_ms=end_ms))
    keep(watermark.on_flushed(end_ms, None))
    return stored


ALL_WORDS = [f"w{number}" for number in range(60)]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=150, deadline=None)
def test_every_word_is_stored_once_however_often_the_recogniser_is_lost(seed: int, pause_share: float) -> None:
    """With exact word times."""
    said = transcribe(seed, error_ms=0, pad_ms=WATERMARK_PAD_MS, pause_share=pause_share, loss_share=0.15)
    assert said == ALL_WORDS


def test_wrong_word_times_cost_nothing_where_people_pause() -> None:
    """Word times wrong by up to 200 ms: what the pad is for."""

    def wrong(pad_ms: int) -> int:
        """Of 200 recordings with a pause after every word but the engine's own cuts."""
        return sum(
            transcribe(seed, error_ms=200, pad_ms=pad_ms, pause_share=1.0, loss_share=0.3) != ALL_WORDS
            for seed in range(200)
        )

    assert wrong(WATERMARK_PAD_MS) == 0
    assert wrong(0) > 20, "without the pad the simulation must show what it is good for"


results = st.one_of(
    st.builds(lambda end, heard: final(end, heard_ms=heard), st.integers(200, 9000), st.integers(0, 9000) | st.none()),
    st.builds(Progress, st.integers(0, 9000)),
    st.builds(interim, st.sampled_from(["", "words"])),
    st.sampled_from(["cut", "restart", "half_closed"]),
)


@given(st.lists(results, max_size=30), st.sampled_from([SETTLING, RIVA, TIMELESS]))
def test_it_never_goes_back_and_never_past_what_was_sent(said: list[object], capabilities: Capabilities) -> None:
    """Whatever an engine says, in any order."""
    watermark, sent_ms = Watermark(), 10_000
    for result in said:
        before_ms = watermark.settled_ms
        match result:
            case FinalResult():
                kept = watermark.on_final(result, capabilities, sent_ms=sent_ms)
                assert kept is None or kept.text
            case Progress():
                watermark.on_progress(result, capabilities)
            case InterimResult():
                assert watermark.on_interim(result).text.endswith(result.text)
            case "cut":
                watermark.on_cut(sent_ms, None)
            case "restart":
                watermark.restart()
            case "half_closed":
                watermark.half_closed(is_cut=True)
        assert before_ms <= watermark.settled_ms <= sent_ms
