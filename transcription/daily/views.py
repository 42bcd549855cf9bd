"""The page of the numbers, and the same as CSV."""

from __future__ import annotations

import csv
from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from transcription import access
from transcription.daily.forms import HEADINGS, Asked, NumbersForm
from transcription.daily.grouping import By, Line, group, total
from transcription.daily.plots import ALL_COLUMNS, PLOTS, Named, show
from transcription.daily.reading import key_names, read_lines, seen
from transcription.errors import NotAllowed, NotFound
from transcription.exports.safe_text import cell
from transcription.identity.principals import Principal
from transcription.pages.views import page

# Of a table.
MAX_ROWS = 100


@require_GET
@page
def day_numbers(request: HttpRequest, principal: Principal) -> HttpResponse:
    _check(principal)
    form = NumbersForm(request.GET)
    is_valid = form.is_valid()
    context: dict[str, Any] = {"form": form, "query": request.GET.urlencode()}
    if is_valid:
        asked = form.asked()
        languages, keys = seen(since=asked.since, until=asked.until)
        names = key_names(keys | ({asked.key_number} if asked.key_number is not None else set()) | {0})
        form.offer(languages, names)
        lines = _read(asked)
        figures = total(lines)
        by, table = _table(asked, lines)
        shown = [_named(line, asked.by, names) for line in lines]
        rows = [_named(line, by, names) for line in table]
        context |= {
            "asked": asked,
            "is_time": asked.by.is_time,
            "figures": figures,
            "plots": [show(plot, shown, rows, figures) for plot in PLOTS],
            "heading": HEADINGS[by.value],
            "is_by_week_instead": by is not asked.by,
            "left_out": len(lines) - len(table) if by is asked.by else 0,
        }
    else:
        form.offer([], key_names({0}))
    return render(request, "console/numbers.html", context, status=200 if is_valid else 400)


@require_GET
@page
def day_numbers_csv(request: HttpRequest, principal: Principal) -> HttpResponse:
    """All columns, or those of one plot (`plot=final`), with the names of the API and plain numbers."""
    _check(principal)
    form = NumbersForm(request.GET)
    if not form.is_valid():
        first = next(iter(form.errors.items()))
        return HttpResponse(f"{first[0]}: {first[1][0]}\n", status=400, content_type="text/plain; charset=utf-8")
    asked = form.asked(by_day=True)
    slug = request.GET.get("plot", "")
    plot = next((plot for plot in PLOTS if plot.slug == slug), None)
    if slug and plot is None:
        raise NotFound(_("There is no such plot."))
    columns = plot.columns if plot else ALL_COLUMNS
    lines = _read(asked)
    names = key_names({line.what for line in lines if isinstance(line.what, int)} | {0})
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    file_name = f"numbers-{slug or 'all'}-{asked.since}-{asked.until}.csv"
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    writer = csv.writer(response)
    writer.writerow([asked.by.value, *(column.slug for column in columns)])
    for line in lines:
        values = (column.measure(line.figures) for column in columns)
        writer.writerow([cell(_plain(line, names)), *("" if value is None else round(value, 4) for value in values)])
    return response


def _check(principal: Principal) -> None:
    if not access.may_see_numbers(principal):
        raise NotAllowed(_("This needs the permission to watch live sessions."))


def _read(asked: Asked) -> list[Line]:
    return read_lines(
        asked.by, since=asked.since, until=asked.until, language=asked.language, key_number=asked.key_number
    )


def _table(asked: Asked, lines: list[Line]) -> tuple[By, list[Line]]:
    """What the tables of the page show: not more lines than anybody reads. The files have all."""
    if len(lines) <= MAX_ROWS:
        return asked.by, lines
    if asked.by.is_time:
        return By.WEEK, group(lines, By.WEEK, since=asked.since, until=asked.until)
    return asked.by, lines[:MAX_ROWS]


def _named(line: Line, by: By, keys: dict[int, str]) -> Named:
    if isinstance(line.what, date):
        format = "YEAR_MONTH_FORMAT" if by is By.MONTH else "SHORT_DATE_FORMAT"
        return Named(date_format(line.what, format), line.figures)
    return Named(_plain(line, keys), line.figures)


def _plain(line: Line, keys: dict[int, str]) -> str:
    return keys[line.what] if isinstance(line.what, int) else str(line.what)
