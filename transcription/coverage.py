"""What became of every millisecond of a session's audio: recognised, silent or lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

Kind = Literal["recognised", "silent", "lost"]


class Timed(Protocol):
    """Anything with a beginning and an end in ms of the session's audio."""

    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


class Span(NamedTuple):
    """A stretch of audio; end_ms is exclusive."""

    start_ms: int
    end_ms: int


class Interval(NamedTuple):
    """One entry of a coverage ledger."""

    start_ms: int
    end_ms: int
    kind: Kind


def coverage(segments: Iterable[Timed], settled_ms: int, audio_ms: int) -> list[Interval]:
    """The ledger of a session: intervals in order, without hole or overlap, from 0 to exactly audio_ms.

    Recognised is what segments cover, as far as it lies before audio_ms (overlapping ones count once). Of the
    rest, what lies before settled_ms was heard and silent; what lies behind it was never answered and is lost.
    """
    ledger: list[Interval] = []
    position = 0
    for span in sorted(Span(segment.start_ms, segment.end_ms) for segment in segments):
        start, end = max(span.start_ms, position), min(span.end_ms, audio_ms)
        if start >= end:
            continue
        _add_unrecognised(ledger, position, start, settled_ms)
        _add(ledger, Interval(start, end, "recognised"))
        position = end
    _add_unrecognised(ledger, position, audio_ms, settled_ms)
    return ledger


def lost(ledger: Iterable[Interval]) -> list[Span]:
    """The gaps: stretches of audio of which nothing is known."""
    return [Span(interval.start_ms, interval.end_ms) for interval in ledger if interval.kind == "lost"]


def _add_unrecognised(ledger: list[Interval], start_ms: int, end_ms: int, settled_ms: int) -> None:
    border = min(max(settled_ms, start_ms), end_ms)
    _add(ledger, Interval(start_ms, border, "silent"))
    _add(ledger, Interval(border, end_ms, "lost"))


def _add(ledger: list[Interval], interval: Interval) -> None:
    """Append an interval, joined to the one before where both are of a kind; empty ones are left out."""
    if interval.start_ms == interval.end_ms:
        return
    if ledger and ledger[-1].kind == interval.kind:
        ledger[-1] = Interval(ledger[-1].start_ms, interval.end_ms, interval.kind)
    else:
        ledger.append(interval)
