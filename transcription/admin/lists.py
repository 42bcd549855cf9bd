"""Lists of the admin over tables of any size."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

ROWS_PER_PAGE = 50
MAX_LISTED = 10_000
# Of a search, where counting reads segments.
MAX_FOUND = 1000
NOT_LISTED = (
    "words", "alternatives", "session__metadata", "session__options_asked", "session__options_applied",
)  # fmt: skip


class SegmentList(ChangeList):
    """Without what no column shows: words and options are most of a row."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(*args, **kwargs).defer(*NOT_LISTED)


class CappedPaginator(Paginator):
    """Pages of the first rows, so that neither counting nor the last page takes longer in a larger table."""

    object_list: QuerySet[Any]

    def __init__(self, rows: QuerySet[Any], per_page: int, *, limit: int) -> None:
        super().__init__(rows, per_page)
        self.limit = limit

    @cached_property
    def _found(self) -> int:
        # In their order: PostgreSQL takes corrected texts for frequent, and without an order reads the whole table.
        return len(self.object_list.select_related(None).values_list("pk")[: self.limit + 1])

    @cached_property
    def count(self) -> int:
        return min(self._found, self.limit)

    @property
    def is_capped(self) -> bool:
        return self._found > self.limit


class CappedListMixin:
    """For a ModelAdmin whose list counts as far as it has pages."""

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> Paginator:
        return CappedPaginator(queryset, per_page, limit=MAX_FOUND if request.GET.get(SEARCH_VAR) else MAX_LISTED)
