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
from transcription.daily.grouping import By, Line, total
from transcription.daily.plots import ALL_COLUMNS, PLOTS, Name, show
from transcription.daily.reading import key_names, read_lines, seen
from transcription.errors import NotAllowed, NotFound
from transcription.exports.safe_text import cell
from transcription.identity.principals import Principal
from transcription.pages.views import page


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
        name = _namer(asked.by, names)
        context |= {
            "asked": asked,
            "is_time": asked.by.is_time,
            "lines": lines,
            "figures": figures,
            "plots": [show(plot, lines, figures, name) for plot in PLOTS],
            "heading": HEADINGS[asked.by.value],
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
    asked = form.asked()
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


def _namer(by: By, keys: dict[int, str]) -> Name:
    def name(line: Line) -> str:
        if isinstance(line.what, date):
            return date_format(line.what, "YEAR_MONTH_FORMAT" if by is By.MONTH else "SHORT_DATE_FORMAT")
        return _plain(line, keys)

    return name


def _plain(line: Line, keys: dict[int, str]) -> str:
    return keys[line.what] if isinstance(line.what, int) else str(line.what)
