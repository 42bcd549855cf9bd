"""Sums of days put together as somebody wants to see them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from transcription.daily.figures import Figures


class By(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LANGUAGE = "language"
    KEY = "key"

    @property
    def is_time(self) -> bool:
        return self in (By.DAY, By.WEEK, By.MONTH)


class DaySum(NamedTuple):
    """A stored row. key_number: 0 for people."""

    day: date
    language: str
    key_number: int
    figures: Figures


@dataclass(slots=True)
class Line:
    """One line of the tables: a day, the first day of a week or month, a language, or the number of a key."""

    what: date | str | int
    figures: Figures = field(default_factory=Figures)


def group(sums: Iterable[DaySum], by: By, *, since: date, until: date) -> list[Line]:
    """Lines in the order of time, those without a session too; languages and keys by what was heard of them.

    since, until: the first and the last day.
    """
    lines: dict[date | str | int, Line] = {}
    if by.is_time:
        lines = {first: Line(first) for first in _starts(by, since, until)}
    for each in sums:
        what: date | str | int
        match by:
            case By.LANGUAGE:
                what = each.language
            case By.KEY:
                what = each.key_number
            case _:
                what = max(since, _start(by, each.day))
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
