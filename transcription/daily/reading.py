"""The sums of days read from the database, never from sessions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import Aggregate, Sum, TextField
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext as _

from transcription.daily import grouping
from transcription.daily.figures import COUNTS, HISTOGRAMS, Figures
from transcription.daily.grouping import By, Line, group
from transcription.daily.histogram import Histogram, merge
from transcription.daily.models import DailyNumbers
from transcription.models import ApiKey

COLUMNS = {By.DAY: "day", By.LANGUAGE: "language", By.KEY: "key_number"}


class Joined(Aggregate):
    """The JSON texts of a group with commas between. A year has 20,000 of them, which are read quicker together."""

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="GROUP_CONCAT(%(expressions)s, ',')", **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="STRING_AGG(%(expressions)s::text, ',')", **context)


def read_sums(
    kind: By, *, since: date, until: date, language: str = "", key_number: int | None = None
) -> list[grouping.Sum]:
    """kind: what is summed up, DAY, LANGUAGE or KEY. since, until: the first and the last day."""
    rows = DailyNumbers.objects.filter(day__gte=since, day__lte=until)
    if language:
        rows = rows.filter(language=language)
    if key_number is not None:
        rows = rows.filter(key_number=key_number)
    sums = {f"sum_of_{name}": Sum(name) for name in COUNTS}
    column = COLUMNS[kind]
    found = rows.order_by(column).values_list(column).annotate(joined_times=Joined("times"), **sums)
    return [grouping.Sum(what, _figures(map(int, counts), json.loads(f"[{times}]"))) for what, times, *counts in found]


def _figures(counts: Iterable[int], times: list[dict[str, Histogram]]) -> Figures:
    """Without what a later version counted. counts: in the order of COUNTS."""
    values: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    values |= {name: merge(each[name] for each in times if name in each) for name in HISTOGRAMS}
    return Figures(**values)


def read_lines(by: By, *, since: date, until: date, language: str = "", key_number: int | None = None) -> list[Line]:
    sums = read_sums(by.kind, since=since, until=until, language=language, key_number=key_number)
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
