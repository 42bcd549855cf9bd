"""Server processes."""

from __future__ import annotations

from django.contrib import admin

from transcription.admin.read_only import ReadOnlyAdmin
from transcription.models import Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "heartbeat_at")
    search_fields = ("host",)
    date_hierarchy = "started_at"
    ordering = ("host", "pid")
