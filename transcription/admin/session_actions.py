"""What can be done to selected sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import access, services
from transcription.audit.recording import record_exports
from transcription.exports import MAX_ZIPPED_SESSIONS, ZIP_CONTENT_TYPE, streamed, write_json_list, write_zip
from transcription.models import TranscriptionSession

MAX_STOPPED_AT_ONCE = 200


class SessionActions(admin.ModelAdmin):
    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(access.Permission.STOP)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms([access.Permission.EXPORT, access.Permission.VIEW_CAPTIONS])

    @admin.action(permissions=["stop"], description=gettext_lazy("Stop selected sessions"))
    def stop_sessions(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> HttpResponse | None:
        states = TranscriptionSession.State
        live = list(queryset.filter(state__in=(states.LIVE, states.DETACHED))[:MAX_STOPPED_AT_ONCE])
        if not live:
            self.message_user(request, _("None of the selected sessions is live or detached."), messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            return self._ask_before_stopping(request, live)
        reason = request.POST.get("reason", "").strip()
        stopped = [session for session in live if services.request_stop(session, request.user, reason)]
        for session in stopped:
            self.log_change(request, session, _("Stop requested: %(reason)s") % {"reason": reason or "-"})
        count = len(stopped)
        text = ngettext("%(count)d session is asked to stop.", "%(count)d sessions are asked to stop.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        return None

    def _ask_before_stopping(self, request: HttpRequest, live: list[TranscriptionSession]) -> HttpResponse:
        count = len(live)
        title = ngettext("Stop %(count)d session", "Stop %(count)d sessions", count)
        context = {
            **self.admin_site.each_context(request),
            "title": title % {"count": count},
            "sessions": live,
            "opts": self.opts,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "max_reason_characters": services.MAX_STOP_REASON_CHARACTERS,
        }
        return TemplateResponse(request, "admin/transcription/transcriptionsession/stop.html", context)

    @admin.action(permissions=["export"], description=gettext_lazy("Export as ZIP (all formats)"))
    def export_zip(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> Any:
        return self._export(request, queryset, write_zip, ZIP_CONTENT_TYPE, "transcripts.zip")

    @admin.action(permissions=["export"], description=gettext_lazy("Export as JSON"))
    def export_json(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> Any:
        return self._export(request, queryset, write_json_list, "application/json", "transcripts.json")

    def _export(
        self,
        request: HttpRequest,
        queryset: QuerySet[TranscriptionSession],
        write: Callable[[Iterable[TranscriptionSession]], Iterable[str | bytes]],
        content_type: str,
        file_name: str,
    ) -> HttpResponseBase | None:
        exportable = queryset.filter(pk__in=access.exportable_sessions(request.user).values("pk"))
        sessions = list(exportable[: MAX_ZIPPED_SESSIONS + 1])
        if len(sessions) > MAX_ZIPPED_SESSIONS:
            text = _("At most %(limit)d sessions can be exported at once.") % {"limit": MAX_ZIPPED_SESSIONS}
            self.message_user(request, text, messages.ERROR)
            return None
        record_exports(len(sessions), [session.public_id for session in sessions], file_name.rpartition(".")[2])
        disposition = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        return streamed(request, write(sessions), content_type=content_type, headers=disposition)
