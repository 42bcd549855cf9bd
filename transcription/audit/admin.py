"""The audit log in the admin: to be read, filtered and saved as CSV, and changed by nobody."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from transcription.admin.display import SHOWN_ID_CHARACTERS, moment, shorten, with_second_line
from transcription.admin.filters import ValuesFilter
from transcription.admin.lists import CappedListMixin
from transcription.admin.periods import with_whole_periods
from transcription.audit.models import AuditEvent
from transcription.exports import streamed

ROWS_PER_PAGE = 50
ROWS_PER_READ = 500
MAX_CSV_ROWS = 100_000
COLUMNS = ("at", "what", "actor_kind", "actor", "object_type", "object_id", "address", "details", "request_id")
# A spreadsheet takes what begins like this for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """Gives back what the CSV writer writes."""

    def write(self, text: str) -> str:
        return text


@admin.register(AuditEvent)
class AuditEventAdmin(CappedListMixin, admin.ModelAdmin):
    list_display = ("shown_at", "who", "what", "on", "shown_details", "address")
    list_filter = ("what", "actor_kind", ("object_type", ValuesFilter), ("user", admin.RelatedOnlyFieldListFilter))
    search_fields = ("=object_id", "=actor", "=request_id")
    search_help_text = gettext_lazy("The whole id of an object or request, or the whole name of a person or key")
    date_hierarchy = "at"
    ordering = ("-at", "-id")
    sortable_by = ()
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    actions = ("save_csv",)
    fields = ("at", "what", "actor_kind", "actor", "user", "api_key", "object_type", "object_id", "address", "details", "request_id")  # fmt: skip  # noqa: E501

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return with_whole_periods(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("when"))
    def shown_at(self, event: AuditEvent) -> str | None:
        return moment(event.at)

    @admin.display(description=gettext_lazy("who"))
    def who(self, event: AuditEvent) -> str:
        return with_second_line(event.actor or "-", event.get_actor_kind_display())

    @admin.display(description=gettext_lazy("object"))
    def on(self, event: AuditEvent) -> str:
        if not event.object_id:
            return "-"
        return with_second_line(Truncator(event.object_id).chars(SHOWN_ID_CHARACTERS), event.object_type)

    @admin.display(description=gettext_lazy("details"))
    def shown_details(self, event: AuditEvent) -> str:
        return shorten("; ".join(f"{name}: {_plain(value)}" for name, value in event.details.items())) or "-"

    @admin.action(permissions=["view"], description=gettext_lazy("Save selected entries as CSV"))
    def save_csv(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> HttpResponseBase:
        """Of what is selected, or of everything that the filters leave: as the admin offers above the list."""
        disposition = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        return streamed(request, write_csv(queryset), content_type="text/csv; charset=utf-8", headers=disposition)


def write_csv(events: QuerySet[AuditEvent]) -> Iterator[str]:
    """A row for each entry, newest first; at most MAX_CSV_ROWS."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    keys = list(events.order_by("-at", "-id").values_list("pk", flat=True)[:MAX_CSV_ROWS])
    for start in range(0, len(keys), ROWS_PER_READ):
        piece = AuditEvent.objects.filter(pk__in=keys[start : start + ROWS_PER_READ]).order_by("-at", "-id")
        for event in piece:
            yield writer.writerow(_cell(getattr(event, name)) for name in COLUMNS)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False) if value else ""
    else:
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
