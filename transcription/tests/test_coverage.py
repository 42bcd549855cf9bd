"""The ledger of a session's audio."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.storage.coverage import Interval, Span, account, condense, coverage, gap_spans, lost, total_ms

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


def test_a_gap_is_lost_although_later_audio_is_settled() -> None:
    ledger = coverage([Span(0, 1000), Span(4000, 5000)], settled_ms=5000, audio_ms=5000, gaps=[Span(1500, 3900)])
    assert ledger == [
        Interval(0, 1000, "recognised"),
        Interval(1000, 1500, "silent"),
        Interval(1500, 3900, "lost"),
        Interval(3900, 4000, "silent"),
        Interval(4000, 5000, "recognised"),
    ]
    assert total_ms(ledger, "lost") == 2400


def test_words_whose_times_are_estimates_do_not_cover_a_gap() -> None:
    ledger = coverage([Span(0, 2000)], settled_ms=2000, audio_ms=2000, gaps=[Span(500, 1000)])
    assert lost(ledger) == [Span(500, 1000)]


def test_what_was_flushed_when_the_connection_broke_is_answered() -> None:
    ledger = coverage([Span(0, 1000), Span(1200, 2000)], settled_ms=1000, flushed_ms=3000, audio_ms=3500)
    assert ledger == [
        Interval(0, 1000, "recognised"),
        Interval(1000, 1200, "silent"),
        Interval(1200, 2000, "recognised"),
        Interval(2000, 3000, "silent"),
        Interval(3000, 3500, "lost"),
    ]


def test_gaps_that_touch_are_one() -> None:
    assert gap_spans([[3200, 6400], [0, 3200]], AudioFormat()) == [Span(0, 200)]


def test_a_gap_of_a_single_sample_is_still_to_be_seen() -> None:
    assert gap_spans([[0, 2]], AudioFormat()) == [Span(0, 1)]


def test_where_bytes_tell_no_time_there_is_no_gap() -> None:
    assert gap_spans([[0, 3200]], AudioFormat(Encoding.OGGOPUS)) == []


def test_every_byte_is_accounted_for() -> None:
    found = account(settled=100, flushed=150, gaps=[[20, 50], [90, 110], [180, 300]], audio=200)
    assert found == (60, 40, 70, 30)


def test_a_picture_shows_what_was_lost_however_short() -> None:
    ledger = coverage([], settled_ms=60_000, audio_ms=60_000, gaps=[Span(30_000, 30_001)])
    assert condense(ledger, 10) == [Interval(0, 5, "silent"), Interval(5, 6, "lost"), Interval(6, 10, "silent")]
    assert condense([], 10) == []


@given(spans, moments, moments, moments, spans)
def test_every_ledger_adds_up_to_the_audio_and_has_no_hole(
    segments: list[Span], settled_ms: int, flushed_ms: int, audio_ms: int, gaps: list[Span]
) -> None:
    ledger = coverage(segments, settled_ms=settled_ms, flushed_ms=flushed_ms, audio_ms=audio_ms, gaps=gaps)
    assert sum(interval.duration_ms for interval in ledger) == audio_ms
    assert_whole(ledger, audio_ms)
    assert_whole(condense(ledger, 100), 100 if audio_ms else 0)


def assert_whole(ledger: list[Interval], end: int) -> None:
    position = 0
    for before, interval in zip([None, *ledger], ledger, strict=False):
        assert interval.start_ms == position
        assert interval.end_ms > interval.start_ms
        assert before is None or before.kind != interval.kind
        position = interval.end_ms
    assert position == end


@given(spans, moments, moments, st.integers(0, 300), spans)
def test_every_millisecond_is_what_the_rules_say(
    segments: list[Span], settled_ms: int, flushed_ms: int, audio_ms: int, gaps: list[Span]
) -> None:
    segments, gaps = [shrunk(span) for span in segments], [shrunk(span) for span in gaps]
    settled_ms, flushed_ms = settled_ms // 200, flushed_ms // 200
    ledger = coverage(segments, settled_ms=settled_ms, flushed_ms=flushed_ms, audio_ms=audio_ms, gaps=gaps)
    told = [interval.kind for interval in ledger for _ in range(interval.duration_ms)]
    for moment, kind in enumerate(told):
        if any(start <= moment < end for start, end in gaps):
            assert kind == "lost"
        elif any(start <= moment < end for start, end in segments):
            assert kind == "recognised"
        else:
            assert kind == ("silent" if moment < max(settled_ms, flushed_ms) else "lost")


def shrunk(span: Span) -> Span:
    return Span(span.start_ms // 200, span.end_ms // 200)


positions = st.integers(0, 10_000)
byte_gaps = st.lists(st.tuples(positions, positions).map(lambda pair: (min(pair), max(pair))), max_size=10)


@given(positions, positions, positions, byte_gaps)
def test_the_account_adds_up_to_the_bytes_received(
    settled: int, flushed: int, audio: int, gaps: list[tuple[int, int]]
) -> None:
    """Invariant I2: bytes received = bytes settled + bytes flushed + bytes in gaps, and those that nobody answered."""
    found = account(settled=settled, flushed=flushed, gaps=gaps, audio=audio)
    assert sum(found) == audio
    assert min(found) >= 0
    in_gaps = {byte for start, end in gaps for byte in range(start, min(end, audio))}
    assert found.gaps == len(in_gaps)
    assert found.settled == len(set(range(min(settled, audio))) - in_gaps)


@given(positions, positions, byte_gaps)
def test_times_of_gaps_are_as_long_as_the_gaps_to_the_millisecond(
    settled: int, audio: int, gaps: list[tuple[int, int]]
) -> None:
    audio_format = AudioFormat(sample_rate_hz=8000)
    aligned = [(audio_format.align(start), audio_format.align(end)) for start, end in gaps]
    audio = audio_format.align(audio)
    ledger = coverage(
        [],
        settled_ms=audio_format.bytes_to_ms(audio),
        audio_ms=audio_format.bytes_to_ms(audio),
        gaps=gap_spans(aligned, audio_format),
    )
    lost_bytes = account(settled=audio, flushed=0, gaps=aligned, audio=audio).gaps
    exact_ms = lost_bytes * 1000 / audio_format.bytes_per_second
    assert exact_ms - 1 <= total_ms(ledger, "lost") <= exact_ms + 2 * len(gaps)
