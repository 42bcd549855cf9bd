"""Estimated word times."""

from __future__ import annotations

from transcription.asr_server.words import Word, spread_words


def test_words_share_the_speech_by_their_length() -> None:
    assert spread_words("abc abcdefg", [(1000, 2200)]) == [
        Word("abc", 1000, 1400),
        Word("abcdefg", 1400, 2200),
    ]


def test_a_pause_lies_between_words_and_not_inside_the_next() -> None:
    words = spread_words("abc abc", [(0, 500), (2000, 2500)])
    assert words == [Word("abc", 0, 500), Word("abc", 2000, 2500)]


def test_times_never_run_backwards_and_stay_inside_the_speech() -> None:
    words = spread_words("a bb ccc dddd eeeee ffffff", [(100, 130), (300, 777), (900, 933)])
    bounds = [bound for word in words for bound in (word.start_ms, word.end_ms)]
    assert bounds == sorted(bounds)
    assert bounds[0] == 100
    assert bounds[-1] == 933


def test_no_text_has_no_words() -> None:
    assert spread_words("  ", [(0, 100)]) == []


def test_without_speech_words_have_no_place() -> None:
    assert spread_words("hello", []) == []
