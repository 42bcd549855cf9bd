"""How much was transcribed with each key, by day."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.utils.translation import gettext_lazy

from transcription.admin.display import format_duration
from transcription.admin.read_only import ReadOnlyAdmin
from transcription.models import UsageDay


@admin.register(UsageDay)
class UsageDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "api_key", "who", "sessions", "audio")
    list_filter = (("api_key", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("api_key__name", "owner__username", "api_key__owner__username")
    date_hierarchy = "day"
    ordering = ("-day", "pk")
    list_select_related = ("api_key__owner", "owner")
    show_facets = ShowFacets.NEVER

    @admin.display(description=gettext_lazy("owner"))
    def who(self, row: UsageDay) -> str | None:
        owner = row.api_key.owner if row.api_key is not None else row.owner
        return owner.get_username() if owner is not None else None

    @admin.display(description=gettext_lazy("audio"), ordering="audio_ms")
    def audio(self, row: UsageDay) -> str:
        return format_duration(row.audio_ms)
