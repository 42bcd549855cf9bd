"""Which figures are shown, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from transcription.daily import chart
from transcription.daily.figures import Figures
from transcription.pages.words import write_decimal
from transcription.templatetags.transcription_pages import UNMEASURED, grouped

MS_PER_HOUR = 3_600_000
Measure = Callable[[Figures], float | None]
Write = Callable[[float | None], str]
# Of languages and keys, whose bars lie below each other.
MAX_BARS = 30


def write_count(value: float | None) -> str:
    return UNMEASURED if value is None else grouped(round(value))


def write_hours(value: float | None) -> str:
    if value is None:
        return UNMEASURED
    return _("%(count)s h") % {"count": write_decimal(value, 2) if value < 10 else grouped(round(value))}


def write_seconds(value: float | None) -> str:
    return UNMEASURED if value is None else _("%(count)s s") % {"count": write_decimal(value, 2)}


def write_share(value: float | None) -> str:
    return UNMEASURED if value is None else _("%(count)s %%") % {"count": write_decimal(value * 100, 1)}


@dataclass(frozen=True, slots=True)
class Column:
    """slug: its name in CSV files, with the unit."""

    slug: str
    title: Any
    measure: Measure
    write: Write = write_count


def _seconds(name: str, share: float) -> Measure:
    def measure(figures: Figures) -> float | None:
        time_ms = figures.percentile_ms(name, share)
        return None if time_ms is None else time_ms / 1000

    return measure


def _ended_badly(figures: Figures) -> int:
    return figures.failed + figures.interrupted


SESSIONS = Column("sessions", gettext_lazy("Sessions"), lambda each: each.sessions)
AUDIO = Column("audio_hours", gettext_lazy("Audio"), lambda each: each.audio_ms / MS_PER_HOUR, write_hours)
WORDS = Column("words", gettext_lazy("Words"), lambda each: each.words)
BAD_ENDS = Column("failed_or_interrupted", gettext_lazy("Failed or interrupted"), _ended_badly)
FAILED = Column("failed", pgettext_lazy("sessions", "Failed"), lambda each: each.failed)
INTERRUPTED = Column("interrupted", pgettext_lazy("sessions", "Interrupted"), lambda each: each.interrupted)
LOST = Column("audio_lost_hours", gettext_lazy("Audio lost"), lambda each: each.lost_ms / MS_PER_HOUR, write_hours)
INTERIM_P50 = Column("first_interim_p50_s", gettext_lazy("Median"), _seconds("first_interim", 0.5), write_seconds)
INTERIM_P95 = Column("first_interim_p95_s", gettext_lazy("95 %"), _seconds("first_interim", 0.95), write_seconds)
FINAL_P50 = Column("final_p50_s", gettext_lazy("Median"), _seconds("final_p50", 0.5), write_seconds)
FINAL_P95 = Column("final_p95_s", gettext_lazy("95 %"), _seconds("final_p95", 0.95), write_seconds)
DOUBTFUL = Column("doubtful_words", gettext_lazy("Doubtful"), lambda each: each.doubtful_words)
RATED = Column("rated_words", gettext_lazy("Words rated"), lambda each: each.rated_words)
DOUBTFUL_SHARE = Column("doubtful_share", gettext_lazy("Share"), lambda each: each.doubtful_share, write_share)
EDITED = Column("edited_segments", pgettext_lazy("segments", "Edited"), lambda each: each.edited_segments)
SEGMENTS = Column("segments", gettext_lazy("Segments"), lambda each: each.segments)
EDITED_SHARE = Column("edited_share", gettext_lazy("Share"), lambda each: each.edited_share, write_share)

REVIEWED = Column("reviewed_sessions", pgettext_lazy("sessions", "Reviewed"), lambda each: each.reviewed_sessions)
CHECKED = Column("checked_words", gettext_lazy("Words checked"), lambda each: each.checked_words)
ERROR_RATE = Column("word_error_rate", gettext_lazy("Rate"), lambda each: each.word_error_rate, write_share)


@dataclass(frozen=True, slots=True)
class Plot:
    """outer: what the bars are. inner: of a second measure within them. columns: of the table beside it."""

    slug: str
    title: Any
    about: Any
    outer: Column
    columns: tuple[Column, ...]
    inner: Column | None = None


PLOTS = (
    Plot("sessions", gettext_lazy("Sessions"), gettext_lazy("Sessions that were begun."), SESSIONS, (SESSIONS,)),
    Plot("audio", gettext_lazy("Audio"), gettext_lazy("Hours of audio received."), AUDIO, (AUDIO, LOST)),
    Plot("words", gettext_lazy("Words"), gettext_lazy("Words recognised."), WORDS, (WORDS,)),
    Plot(
        "first-interim",
        gettext_lazy("First interim result"),
        gettext_lazy("From the first audio to the first words; half of the sessions, and 95 of 100, were as quick."),
        INTERIM_P95,
        (INTERIM_P50, INTERIM_P95),
        INTERIM_P50,
    ),
    Plot(
        "final",
        gettext_lazy("Final results"),
        gettext_lazy(
            "From the end of what was said to its final result: the median of the sessions' medians, and the 95th "
            "percentile of the sessions' 95th percentiles."
        ),
        FINAL_P95,
        (FINAL_P50, FINAL_P95),
        FINAL_P50,
    ),
    Plot(
        "errors",
        gettext_lazy("Errors"),
        gettext_lazy("Sessions that failed or were interrupted; the failed ones are the coloured part."),
        BAD_ENDS,
        (FAILED, INTERRUPTED),
        FAILED,
    ),
    Plot(
        "doubtful",
        gettext_lazy("Doubtful words"),
        gettext_lazy("Words with a confidence below 0.80, of those that have one."),
        DOUBTFUL_SHARE,
        (DOUBTFUL, RATED, DOUBTFUL_SHARE),
    ),
    Plot(
        "edits",
        gettext_lazy("Edits"),
        gettext_lazy("Segments whose text somebody corrected."),
        EDITED_SHARE,
        (EDITED, SEGMENTS, EDITED_SHARE),
    ),
    Plot(
        "word-errors",
        gettext_lazy("Word error rate"),
        gettext_lazy("Of the machine's text against the text as it stands, in sessions that were marked reviewed."),
        ERROR_RATE,
        (REVIEWED, CHECKED, ERROR_RATE),
    ),
)
PLOT_SLUGS = tuple(plot.slug for plot in PLOTS)
# Everything, each column once.
ALL_COLUMNS = (
    SESSIONS, FAILED, INTERRUPTED, AUDIO, LOST, WORDS, SEGMENTS, INTERIM_P50, INTERIM_P95, FINAL_P50, FINAL_P95,
    RATED, DOUBTFUL, DOUBTFUL_SHARE, EDITED, EDITED_SHARE, REVIEWED, CHECKED, ERROR_RATE,
)  # fmt: skip


class Named(NamedTuple):
    """A line as people read it."""

    name: str
    figures: Figures


def show(plot: Plot, lines: Sequence[Named], table: Sequence[Named], total: Figures) -> dict[str, Any]:
    """A plot with its table, for the template. table: other lines, where those of the plot are too many to read."""
    outer = [plot.outer.measure(line.figures) for line in lines]
    inner = [plot.inner.measure(line.figures) for line in lines] if plot.inner else []
    drawn = chart.draw(outer, inner)
    names = [line.name for line in lines]
    return {
        "plot": plot,
        "columns": plot.columns,
        "chart": drawn,
        "top": plot.outer.write(drawn.top),
        "first": names[0] if names else "",
        "last": names[-1] if names else "",
        "longest": [
            {
                "name": name,
                "value": plot.outer.write(value),
                "length": chart.share_of(value, drawn.top),
                "inner_length": chart.share_of(inner[number], drawn.top) if inner else 0,
            }
            for number, (name, value) in enumerate(zip(names[:MAX_BARS], outer, strict=False))
        ],
        "rows": [
            {"name": line.name, "cells": [column.write(column.measure(line.figures)) for column in plot.columns]}
            for line in table
        ],
        "totals": [column.write(column.measure(total)) for column in plot.columns],
        "summary": summarise(plot, outer, names, total),
        "has_values": any(outer),
    }


def summarise(plot: Plot, values: Sequence[float | None], names: Sequence[str], total: Figures) -> str:
    """What the bars say, in a sentence."""
    known = [(value, name) for value, name in zip(values, names, strict=True) if value]
    if not known:
        return _("Nothing in this time.")
    most, where = max(known, key=lambda pair: pair[0])
    return _("%(title)s: %(total)s overall. The highest bar is %(most)s: %(where)s.") % {
        "title": plot.title,
        "total": plot.outer.write(plot.outer.measure(total)),
        "most": plot.outer.write(most),
        "where": where,
    }
