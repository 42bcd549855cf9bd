"""Choosing a related row by typing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import ForeignKey
from django.forms import Media
from django.http import HttpRequest
from django.utils.text import capfirst


class NamedAutocomplete(AutocompleteSelect):
    """Select2 names its box by what is chosen or, where nothing is, by the placeholder. Django gives it none."""

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        return {**attrs, "data-placeholder": capfirst(self.field.verbose_name)}

    @property
    def media(self) -> Media:
        media: Media = super().media
        return media + Media(js=["js/admin-choosing.js"])


class NamedAutocompleteMixin(admin.ModelAdmin):
    """For a ModelAdmin with `autocomplete_fields`."""

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any, Any], request: HttpRequest, **options: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            options.setdefault("widget", NamedAutocomplete(db_field, self.admin_site, using=options.get("using")))
        return super().formfield_for_foreignkey(db_field, request, **options)
