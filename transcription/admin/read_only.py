"""Rows that are looked at and changed by nobody here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.http import HttpRequest

from transcription.admin.lists import ROWS_PER_PAGE


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only the service writes."""

    show_full_result_count = False
    show_facets = ShowFacets.ALLOW
    list_per_page = ROWS_PER_PAGE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
