"""The coverage ledger as the session page shows it: sentences, a bar, and a table of bounded length."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext as _

from transcription.models import TranscriptionSession
from transcription.pages.words import seconds_in_words
from transcription.search.session_list import SEGMENTS_PER_PART
from transcription.storage.coverage import Interval, Kind, condense
from transcription.storage.ledger import Ledger, build_ledger, read_spans

# The bar's resolution: a stretch that was lost is at least one of them wide.
BAR_COLUMNS = 500
MAX_ROWS = 200
KINDS: tuple[Kind, ...] = ("recognised", "silent", "lost")


class Mark(NamedTuple):
    """One stretch of the bar, in per cent of its width."""

    x: str
    width: str
    kind: Kind


class Row(NamedTuple):
    """One stretch in the table. address: of the segment that lies there, or is the last before; empty for none."""

    start_ms: int
    end_ms: int
    duration_ms: int
    kind: Kind
    word: str
    address: str


@dataclass(frozen=True, slots=True)
class LedgerView:
    """totals: (kind, word, ms) of every kind. is_partial: the table has only what was lost."""

    sentences: list[str]
    marks: list[Mark]
    totals: list[tuple[Kind, str, int]]
    rows: list[Row]
    is_partial: bool
    has_losses: bool


def view_ledger(session: TranscriptionSession) -> LedgerView | None:
    """None where no audio is known."""
    spans = list(read_spans(session))
    ledger = build_ledger(session, spans)
    if not ledger.audio_ms:
        return None
    words = kind_words()
    is_partial = len(ledger.intervals) > MAX_ROWS
    shown = [interval for interval in ledger.intervals if interval.kind == "lost" or not is_partial]
    starts = [span.start_ms for span in spans]
    return LedgerView(
        sentences=_sentences(ledger),
        marks=[
            Mark(_percent(mark.start_ms), _percent(mark.duration_ms), mark.kind)
            for mark in condense(ledger.intervals, BAR_COLUMNS)
        ],
        totals=[(kind, words[kind], ledger.total_ms(kind)) for kind in KINDS],
        rows=[
            Row(*interval[:2], interval.duration_ms, interval.kind, words[interval.kind], _address(interval, starts))
            for interval in shown[:MAX_ROWS]
        ],
        is_partial=is_partial,
        has_losses=bool(ledger.lost),
    )


def kind_words() -> dict[Kind, str]:
    return {"recognised": _("Recognised"), "silent": _("Silent"), "lost": _("Lost")}


def _sentences(ledger: Ledger) -> list[str]:
    sentences = []
    if ledger.missing_ms:
        sentences.append(_("%(length)s never reached the service.") % {"length": seconds_in_words(ledger.missing_ms)})
    if ledger.unanswered_ms:
        sentences.append(
            _("%(length)s reached the service and were not recognised before the session ended.")
            % {"length": seconds_in_words(ledger.unanswered_ms)}
        )
    return sentences or [_("Nothing was lost: all audio was heard.")]


def _address(stretch: Interval, starts: list[int]) -> str:
    """Where on the page the text around the beginning of a stretch is."""
    index = max(0, bisect_right(starts, stretch.start_ms) - 1)
    if not starts:
        return ""
    part = index // SEGMENTS_PER_PART
    return (f"?part={part}" if part else "") + f"#segment-{index}"


def _percent(columns: int) -> str:
    return f"{columns * 100 / BAR_COLUMNS:g}%"
