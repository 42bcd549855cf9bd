"""The sums of days read from the database, never from sessions."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from transcription.daily.figures import COUNTS, HISTOGRAMS, Figures
from transcription.daily.grouping import By, DaySum, Line, group
from transcription.daily.histogram import Histogram
from transcription.daily.models import DailyNumbers
from transcription.models import ApiKey


def read_sums(*, since: date, until: date, language: str = "", key_number: int | None = None) -> list[DaySum]:
    """since, until: the first and the last day."""
    rows = DailyNumbers.objects.filter(day__gte=since, day__lte=until)
    if language:
        rows = rows.filter(language=language)
    if key_number is not None:
        rows = rows.filter(key_number=key_number)
    # Plain values: a year has tens of thousands of rows.
    found = rows.order_by("day").values_list("day", "language", "key_number", "times", *COUNTS)
    return [DaySum(day, of, key, Figures(*counts, **_known(times))) for day, of, key, times, *counts in found]


def _known(times: dict[str, Histogram]) -> dict[str, Any]:
    """Without what a later version counted."""
    return {name: times[name] for name in HISTOGRAMS if name in times}


def read_lines(by: By, *, since: date, until: date, language: str = "", key_number: int | None = None) -> list[Line]:
    sums = read_sums(since=since, until=until, language=language, key_number=key_number)
    return group(sums, by, since=since, until=until)


def key_names(numbers: set[int]) -> dict[int, str]:
    """What keys are called; those that are deleted by their number."""
    found = dict(ApiKey.objects.filter(pk__in=numbers).values_list("pk", "name"))
    names = {number: found.get(number) or _("deleted key %(number)s") % {"number": number} for number in numbers}
    return names | {0: _("people, without a key")}


def seen(*, since: date, until: date) -> tuple[list[str], set[int]]:
    """The languages and keys of these days."""
    pairs = DailyNumbers.objects.filter(day__gte=since, day__lte=until).order_by()
    found = set(pairs.values_list("language", "key_number").distinct())
    return sorted({language for language, _key in found}), {key for _language, key in found}
