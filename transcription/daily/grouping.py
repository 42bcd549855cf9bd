"""Sums of days put together as somebody wants to see them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from transcription.daily.figures import Figures

USUAL_MAX_DAYS = 92


class By(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LANGUAGE = "language"
    KEY = "key"

    @property
    def is_time(self) -> bool:
        return self in (By.DAY, By.WEEK, By.MONTH)

    @property
    def kind(self) -> By:
        """What must be known of a sum to be put into a line: its day, language or key."""
        return By.DAY if self.is_time else self


# A day, the first day of a week or month, a language, or the number of a key, 0 for people.
What = date | str | int


class Sum(NamedTuple):
    """Of a day, a language or a key."""

    what: What
    figures: Figures


@dataclass(slots=True)
class Line:
    """One line of the tables."""

    what: What
    figures: Figures = field(default_factory=Figures)


def usual_by(since: date, until: date) -> By:
    """What is easy to look at: days of a quarter, weeks of a year."""
    return By.DAY if (until - since).days < USUAL_MAX_DAYS else By.WEEK


def group(sums: Iterable[Sum | Line], by: By, *, since: date, until: date) -> list[Line]:
    """Lines in the order of time, those without a session too; languages and keys by what was heard of them.

    sums: of by.kind. since, until: the first and the last day.
    """
    lines: dict[What, Line] = {}
    if by.is_time:
        lines = {first: Line(first) for first in _starts(by, since, until)}
    for each in sums:
        what = max(since, _start(by, each.what)) if isinstance(each.what, date) else each.what
        lines.setdefault(what, Line(what)).figures.add(each.figures)
    found = list(lines.values())
    if not by.is_time:
        found.sort(key=lambda line: (-line.figures.audio_ms, -line.figures.sessions, str(line.what)))
    return found


def total(lines: Iterable[Line]) -> Figures:
    figures = Figures()
    for line in lines:
        figures.add(line.figures)
    return figures


def _start(by: By, day: date) -> date:
    if by is By.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by is By.MONTH else day


def _starts(by: By, since: date, until: date) -> Iterator[date]:
    """The first days of all lines; of the first one the part that is looked at."""
    last = None
    for number in range((until - since).days + 1):
        first = max(since, _start(by, since + timedelta(days=number)))
        if first != last:
            yield first
            last = first
