"""What became of a session's audio: recognised, silent or lost. Pure.

Two views of the same: `account` counts bytes, exactly; `coverage` says for every millisecond what is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from transcription.audio.formats import MS_PER_SECOND, AudioFormat

Kind = Literal["recognised", "silent", "lost"]


class Timed(Protocol):
    """Anything with a beginning and an end in ms of the session's audio."""

    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


class Span(NamedTuple):
    """A stretch of audio; the end is exclusive."""

    start_ms: int
    end_ms: int


class Interval(NamedTuple):
    """One entry of a coverage ledger."""

    start_ms: int
    end_ms: int
    kind: Kind

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


class Account(NamedTuple):
    """The bytes of a session's audio by what became of them; together they are all of it.

    settled: answered for good. flushed: answered when a connection broke, and not settled since. gaps: the client no
    longer had them. unanswered: they came, and no recogniser answered them.
    """

    settled: int
    flushed: int
    gaps: int
    unanswered: int


def account(*, settled: int, flushed: int, gaps: Iterable[Sequence[int]], audio: int) -> Account:
    """Every byte before `audio`, once. gaps: [start, end) each, in any order; what surrounds them is without them."""
    settled = min(settled, audio)
    answered = max(settled, min(flushed, audio))
    # Here they are bytes; what overlaps is joined in the same way.
    missing = _merge(Span(gap[0], gap[1]) for gap in gaps)

    def missing_in(first: int, last: int) -> int:
        return sum(max(0, min(gap.end_ms, last) - max(gap.start_ms, first)) for gap in missing)

    return Account(
        settled=settled - missing_in(0, settled),
        flushed=answered - settled - missing_in(settled, answered),
        gaps=missing_in(0, audio),
        unanswered=audio - answered - missing_in(answered, audio),
    )


def gap_spans(gaps: Iterable[Sequence[int]], audio_format: AudioFormat) -> list[Span]:
    """Gaps in bytes, [start, end) each, as times. The end is rounded up: a gap of one sample is still to be seen."""
    if not audio_format.has_constant_rate:
        return []
    rate = audio_format.bytes_per_second
    return _merge(Span(audio_format.bytes_to_ms(gap[0]), -(-gap[1] * MS_PER_SECOND // rate)) for gap in gaps)


def coverage(
    segments: Iterable[Timed], *, settled_ms: int, audio_ms: int, flushed_ms: int = 0, gaps: Iterable[Span] = ()
) -> list[Interval]:
    """The ledger of a session: intervals in order, without hole or overlap, from 0 to exactly audio_ms.

    Gaps are lost, wherever they lie. Of the rest, recognised is what segments cover (those flushed when a connection
    broke included; overlapping ones count once); what else lies before settled_ms or flushed_ms was heard and
    silent; what lies behind both was never answered and is lost.
    """
    answered_ms = min(max(settled_ms, flushed_ms), audio_ms)
    missing = _merge(gaps)
    heard = _merge(Span(segment.start_ms, segment.end_ms) for segment in segments)
    cuts = {0, answered_ms, audio_ms, *(min(edge, audio_ms) for span in (*missing, *heard) for edge in span)}
    is_missing, is_heard = _Walk(missing), _Walk(heard)
    ledger: list[Interval] = []
    for start, end in pairwise(sorted(cuts)):
        # Between two cuts there is one answer to each question.
        in_gap, in_segment = is_missing.covers(start), is_heard.covers(start)
        is_lost = in_gap or not (in_segment or end <= answered_ms)
        _add(ledger, Interval(start, end, "lost" if is_lost else "recognised" if in_segment else "silent"))
    return ledger


class _Walk:
    """Whether spans, in order and apart, cover positions that are asked for in order."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self._at = 0

    def covers(self, position: int) -> bool:
        while self._at < len(self._spans) and self._spans[self._at].end_ms <= position:
            self._at += 1
        return self._at < len(self._spans) and self._spans[self._at].start_ms <= position


def lost(ledger: Iterable[Interval]) -> list[Span]:
    """The gaps: stretches of audio of which nothing is known."""
    return [Span(interval.start_ms, interval.end_ms) for interval in ledger if interval.kind == "lost"]


def total_ms(ledger: Iterable[Interval], kind: Kind) -> int:
    return sum(interval.duration_ms for interval in ledger if interval.kind == kind)


def condense(ledger: Iterable[Interval], columns: int) -> list[Interval]:
    """The ledger as a picture of some columns: intervals of columns, in order, without hole.

    A column that several kinds share shows what matters more: lost before recognised before silent.
    """
    entries = list(ledger)
    audio_ms = entries[-1].end_ms if entries else 0
    kinds: list[Kind] = ["silent"] * (columns if audio_ms else 0)
    shown: tuple[Kind, ...] = ("recognised", "lost")
    for kind in shown:
        for interval in entries:
            if interval.kind == kind:
                first, last = interval.start_ms * columns // audio_ms, -(-interval.end_ms * columns // audio_ms)
                kinds[first:last] = [kind] * (last - first)
    picture: list[Interval] = []
    for column, kind in enumerate(kinds):
        _add(picture, Interval(column, column + 1, kind))
    return picture


def _add(ledger: list[Interval], interval: Interval) -> None:
    """Append an interval, joined to the one before where both are of a kind."""
    if ledger and ledger[-1].kind == interval.kind:
        ledger[-1] = Interval(ledger[-1].start_ms, interval.end_ms, interval.kind)
    else:
        ledger.append(interval)


def _merge(spans: Iterable[Span]) -> list[Span]:
    """The same stretches in order, those that overlap or touch joined."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_ms <= merged[-1].end_ms:
            merged[-1] = Span(merged[-1].start_ms, max(merged[-1].end_ms, span.end_ms))
        elif span.end_ms > span.start_ms:
            merged.append(span)
    return merged
