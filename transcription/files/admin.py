"""File jobs in the admin: how far they are, and two things to do about them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import access
from transcription.admin.confirming import ask, is_confirmed, line
from transcription.admin.display import format_duration, moment, session_link, shorten, with_second_line
from transcription.admin.lists import CappedListMixin
from transcription.files import job_store
from transcription.files.models import FileJob
from transcription.jobs.in_process import jobs

ROWS_PER_PAGE = 50
MAX_AT_ONCE = 200


@admin.register(FileJob)
class FileJobAdmin(CappedListMixin, admin.ModelAdmin):
    list_display = ("name", "state_and_reason", "shown_progress", "length", "tries", "who", "created")
    list_filter: ClassVar = [
        "state",
        ("api_key", admin.RelatedOnlyFieldListFilter),
        ("owner", admin.RelatedOnlyFieldListFilter),
    ]
    search_fields = ("file_name", "public_id")
    search_help_text = gettext_lazy("Words of the file's name, or the id")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_select_related = ("owner", "api_key", "session")
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    # Each would count the whole table.
    show_facets = ShowFacets.NEVER
    actions = ("cancel_jobs", "queue_jobs_again")
    fields = (
        "name", "public_id", "state_and_reason", "error_message", "transcript", "shown_progress", "length",
        "size_bytes", "tries", "due_at", "who", "client_address", "user_agent", "options",
        "created_at", "started_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(access.Permission.VIEW)

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(access.Permission.STOP)

    @admin.action(description=gettext_lazy("Cancel"), permissions=["stop"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[FileJob]) -> HttpResponse | None:
        found = [job for job in queryset[:MAX_AT_ONCE] if not job.has_ended]
        if found and not is_confirmed(request):
            title = ngettext("Cancel %(count)d job", "Cancel %(count)d jobs", len(found)) % {"count": len(found)}
            explanation = _("They end within seconds. What was transcribed until then stays.")
            lines = [line(job.file_name or job.public_id, job.get_state_display(), self.who(job)) for job in found]
            return ask(self, request, "cancel_jobs", found, title=title, explanation=explanation, lines=lines)
        for job in found:
            job_store.cancel(job)
            self.log_change(request, job, _("Cancelled"))
        jobs.wake()
        text = ngettext("%(count)d job is being cancelled.", "%(count)d jobs are being cancelled.", len(found))
        self.message_user(request, text % {"count": len(found)}, messages.SUCCESS if found else messages.WARNING)
        return None

    @admin.action(description=gettext_lazy("Queue again"), permissions=["stop"])
    def queue_jobs_again(self, request: HttpRequest, queryset: QuerySet[FileJob]) -> None:
        queued = [job for job in queryset[:MAX_AT_ONCE] if job_store.queue_again(job)]
        for job in queued:
            self.log_change(request, job, _("Queued again"))
        jobs.wake()
        count = len(queued)
        if count:
            text = ngettext("%(count)d job is queued again.", "%(count)d jobs are queued again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS)
        else:
            text = _("None of them can be queued again: they are running or over, or their files are deleted.")
            self.message_user(request, text, messages.WARNING)

    @admin.display(description=gettext_lazy("file"), ordering="file_name")
    def name(self, job: FileJob) -> str:
        return format_html("<bdi>{}</bdi>", shorten(job.file_name or job.public_id))

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_and_reason(self, job: FileJob) -> str:
        badge = format_html('<span class="state state-{}">{}</span>', job.state, job.get_state_display())
        if job.cancel_requested_at is not None and not job.has_ended:
            return with_second_line(badge, _("being cancelled"))
        return with_second_line(badge, job.error_reason.replace("_", " "))

    @admin.display(description=gettext_lazy("progress"))
    def shown_progress(self, job: FileJob) -> str:
        return f"{round(job.progress * 100)} %"

    @admin.display(description=gettext_lazy("audio"), ordering="duration_ms")
    def length(self, job: FileJob) -> str:
        return format_duration(job.duration_ms) if job.duration_ms is not None else "-"

    @admin.display(description=gettext_lazy("attempts"), ordering="attempts")
    def tries(self, job: FileJob) -> int:
        return job.attempts

    @admin.display(description=gettext_lazy("who"))
    def who(self, job: FileJob) -> str:
        names = [job.owner.get_username() if job.owner else "", job.api_key.name if job.api_key else ""]
        return ", ".join(filter(None, names)) or "-"

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, job: FileJob) -> str | None:
        return moment(job.created_at)

    @admin.display(description=gettext_lazy("session"))
    def transcript(self, job: FileJob) -> str:
        return session_link(job.session) if job.session is not None else "-"
