"""The ledger of a session's audio."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcription.coverage import Interval, Span, coverage, lost

moments = st.integers(0, 60_000)
spans = st.lists(st.builds(lambda a, b: Span(min(a, b), max(a, b)), moments, moments), max_size=20)


def test_what_lies_between_segments_is_silent() -> None:
    assert coverage([Span(1000, 2000), Span(3000, 4000)], settled_ms=5000, audio_ms=5000) == [
        Interval(0, 1000, "silent"),
        Interval(1000, 2000, "recognised"),
        Interval(2000, 3000, "silent"),
        Interval(3000, 4000, "recognised"),
        Interval(4000, 5000, "silent"),
    ]


def test_audio_that_was_never_answered_is_lost() -> None:
    ledger = coverage([Span(0, 1000)], settled_ms=1500, audio_ms=4000)
    assert ledger == [
        Interval(0, 1000, "recognised"),
        Interval(1000, 1500, "silent"),
        Interval(1500, 4000, "lost"),
    ]
    assert lost(ledger) == [Span(1500, 4000)]


def test_segments_that_overlap_or_touch_count_once() -> None:
    segments = [Span(2000, 3000), Span(0, 1500), Span(1000, 2000)]
    assert coverage(segments, settled_ms=3000, audio_ms=3000) == [Interval(0, 3000, "recognised")]


def test_estimated_times_past_the_end_of_the_audio_are_cut() -> None:
    assert coverage([Span(500, 9000)], settled_ms=1000, audio_ms=1000) == [
        Interval(0, 500, "silent"),
        Interval(500, 1000, "recognised"),
    ]


def test_no_audio_has_an_empty_ledger() -> None:
    assert coverage([], settled_ms=0, audio_ms=0) == []


@given(spans, moments, moments)
def test_every_ledger_adds_up_to_the_audio_and_has_no_hole(
    segments: list[Span], settled_ms: int, audio_ms: int
) -> None:
    ledger = coverage(segments, settled_ms, audio_ms)
    assert sum(interval.end_ms - interval.start_ms for interval in ledger) == audio_ms
    position = 0
    for before, interval in zip([None, *ledger], ledger, strict=False):
        assert interval.start_ms == position
        assert interval.end_ms > interval.start_ms
        assert before is None or before.kind != interval.kind
        position = interval.end_ms
    assert all(interval.start_ms >= settled_ms for interval in ledger if interval.kind == "lost")
