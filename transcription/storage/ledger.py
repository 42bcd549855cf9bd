"""The coverage ledger of a stored session: what is known of every millisecond of its audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from transcription.models import TranscriptionSession
from transcription.storage.coverage import Interval, Kind, Span, coverage, gap_spans, lost, total_ms

State = TranscriptionSession.State

# The watermark comes from whole ms, so at the end of a session that was answered whole it may lie this much short.
ROUNDING_MS = 2


@dataclass(frozen=True, slots=True)
class Ledger:
    """intervals: from 0 to audio_ms, without hole. gaps: those of the lost stretches that never came."""

    audio_ms: int
    intervals: list[Interval]
    gaps: list[Span]

    @property
    def lost(self) -> list[Span]:
        return lost(self.intervals)

    def total_ms(self, kind: Kind) -> int:
        return total_ms(self.intervals, kind)

    @property
    def missing_ms(self) -> int:
        """Audio that the client no longer had when it came back."""
        return sum(gap.end_ms - gap.start_ms for gap in self.gaps)

    @property
    def unanswered_ms(self) -> int:
        """Audio that came and was never recognised."""
        return self.total_ms("lost") - self.missing_ms


def read_ledger(session: TranscriptionSession) -> Ledger:
    return build_ledger(session, read_spans(session))


def read_spans(session: TranscriptionSession) -> Iterator[Span]:
    """The times of the segments, without their text."""
    return (Span(*times) for times in session.segments.order_by("index").values_list("start_ms", "end_ms"))


def build_ledger(session: TranscriptionSession, segments: Iterable[Span]) -> Ledger:
    """The ledger of a row whose segments lie there.

    Of a session that goes on, or may be resumed, only what is answered is told: the rest may still come. Where bytes
    tell no time, a completed session was answered to its end, and another one as far as its last segment.
    """
    spans = list(segments)
    flushed_ms = session.audio_format.bytes_to_ms(session.flushed_bytes)
    settled_ms = max(session.committed_ms, max((span.end_ms for span in spans), default=0))
    answered_ms = max(settled_ms, flushed_ms)
    audio_ms = session.audio_ms if session.has_ended else answered_ms
    if session.state == State.COMPLETED:
        is_rounding = audio_ms - answered_ms <= ROUNDING_MS
        if is_rounding or not session.audio_format.has_constant_rate:
            settled_ms = audio_ms
    gaps = [
        Span(min(gap.start_ms, audio_ms), min(gap.end_ms, audio_ms))
        for gap in gap_spans(session.gaps, session.audio_format)
        if gap.start_ms < audio_ms
    ]
    intervals = coverage(spans, settled_ms=settled_ms, flushed_ms=flushed_ms, audio_ms=audio_ms, gaps=gaps)
    return Ledger(audio_ms, intervals, gaps)
