"""Kept audio: how much there is of it and in which state. It is heard on the session's page."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcription import access
from transcription.admin.display import format_duration, moment, session_link, short_name, with_second_line
from transcription.admin.filters import ValuesFilter
from transcription.admin.lists import CappedListMixin
from transcription.admin.read_only import ReadOnlyAdmin
from transcription.models import SessionRecording

# Each in its own colour of the states of sessions.
COLOURS = {"recording": "live", "complete": "completed", "partial": "interrupted", "failed": "failed"}


@admin.register(SessionRecording)
class SessionRecordingAdmin(CappedListMixin, ReadOnlyAdmin):
    list_display = ("whose_audio", "state_and_reason", "length", "seconds", "format", "size", "created", "finished")
    list_filter = ("state", ("format", ValuesFilter), ("reason", ValuesFilter))
    search_fields = ("=session__public_id",)
    search_help_text = gettext_lazy("The whole id of a session")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_select_related = ("session",)
    actions = None
    fieldsets: ClassVar = (
        (None, {"fields": ("session_name", "state_and_reason", "length", "seconds", "not_received")}),
        (gettext_lazy("The file"), {"fields": ("format", "size", "size_bytes", "sha256", "stored_name")}),
        (gettext_lazy("When"), {"fields": ("created_at", "finished_at", "deleted_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SessionRecording]:
        found: QuerySet[SessionRecording] = super().get_queryset(request)
        # A waveform is most of a row, and not shown here.
        return found.defer("peaks")

    def has_view_permission(self, request: HttpRequest, obj: SessionRecording | None = None) -> bool:
        """Facts of a session, like those on its own page."""
        return request.user.has_perm(access.Permission.VIEW)

    @admin.display(description=gettext_lazy("session"))
    def whose_audio(self, recording: SessionRecording) -> str:
        return short_name(recording.session) if recording.session is not None else _("deleted")

    @admin.display(description=gettext_lazy("session"))
    def session_name(self, recording: SessionRecording) -> str:
        return session_link(recording.session) if recording.session is not None else _("deleted")

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_and_reason(self, recording: SessionRecording) -> str:
        colour, label = COLOURS.get(recording.state, "created"), recording.get_state_display()
        badge = format_html('<span class="state state-{}">{}</span>', colour, label)
        return with_second_line(badge, recording.reason.replace("_", " "))

    @admin.display(description=gettext_lazy("length"), ordering="duration_ms")
    def length(self, recording: SessionRecording) -> str:
        return format_duration(recording.duration_ms)

    @admin.display(description=gettext_lazy("seconds"), ordering="duration_ms")
    def seconds(self, recording: SessionRecording) -> str:
        return f"{recording.duration_ms / 1000:.1f}"

    @admin.display(description=gettext_lazy("size"), ordering="size_bytes")
    def size(self, recording: SessionRecording) -> str:
        return filesizeformat(recording.size_bytes)

    @admin.display(description=gettext_lazy("name in the storage"))
    def stored_name(self, recording: SessionRecording) -> str:
        return recording.name or "-"

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, recording: SessionRecording) -> str | None:
        return moment(recording.created_at)

    @admin.display(description=gettext_lazy("finished"), ordering="finished_at")
    def finished(self, recording: SessionRecording) -> str | None:
        return moment(recording.finished_at)

    @admin.display(description=gettext_lazy("not received"))
    def not_received(self, recording: SessionRecording) -> str:
        lost_ms = sum(end_ms - start_ms for start_ms, end_ms in recording.missing)
        return _("%(seconds).1f s in %(count)d gaps") % {"seconds": lost_ms / 1000, "count": len(recording.missing)}
