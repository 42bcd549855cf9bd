"""What can be done to selected sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import access, services
from transcription.admin.confirming import ask, is_confirmed, line
from transcription.admin.session_forms import RetentionForm, StopForm
from transcription.admin.session_retention import with_retention
from transcription.audit.recording import record_exports
from transcription.errors import SessionTaken
from transcription.exports import MAX_ZIPPED_SESSIONS, ZIP_CONTENT_TYPE, streamed, write_json_list, write_zip
from transcription.models import TranscriptionSession
from transcription.past.rows import speaker_of
from transcription.retention.protecting import protect, unprotect
from transcription.retention.terms import set_term

MAX_STOPPED_AT_ONCE = 200
MAX_RETAINED_AT_ONCE = 200


def _retention_choices(user: Any) -> list[str]:
    """What of retention somebody may set for sessions of everybody."""
    may_delete = user.has_perm(access.Permission.DELETE)
    may_protect = user.has_perm(access.Permission.PROTECT)
    may_unprotect = user.has_perm(access.Permission.UNPROTECT)
    return (
        [RetentionForm.RULES, RetentionForm.DAYS] * may_delete
        + [RetentionForm.PROTECT] * may_protect
        + [RetentionForm.UNPROTECT] * may_unprotect
    )


class SessionActions(admin.ModelAdmin):
    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(access.Permission.STOP)

    def has_retention_permission(self, request: HttpRequest) -> bool:
        return bool(_retention_choices(request.user))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms([access.Permission.EXPORT, access.Permission.VIEW_CAPTIONS])

    @admin.action(permissions=["stop"], description=gettext_lazy("Stop selected sessions"))
    def stop_sessions(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> HttpResponse | None:
        states = TranscriptionSession.State
        live = list(queryset.filter(state__in=(states.LIVE, states.DETACHED))[:MAX_STOPPED_AT_ONCE])
        if not live:
            self.message_user(request, _("None of the selected sessions is live or detached."), messages.WARNING)
            return None
        form = StopForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            title = ngettext("Stop %(count)d session", "Stop %(count)d sessions", len(live))
            explanation = _(
                "The last words are still recognised and stored; then each speaker is told that an operator stopped "
                "the session, with your reason."
            )
            return ask(
                self,
                request,
                "stop_sessions",
                live,
                title=title % {"count": len(live)},
                explanation=explanation,
                lines=[line(str(one), one.language, speaker_of(one)) for one in live],
                form=form,
            )
        reason = form.cleaned_data["reason"]
        stopped = [session for session in live if services.request_stop(session, request.user, reason)]
        for session in stopped:
            self.log_change(request, session, _("Stop requested: %(reason)s") % {"reason": reason or "-"})
        count = len(stopped)
        text = ngettext("%(count)d session is asked to stop.", "%(count)d sessions are asked to stop.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        return None

    @admin.action(permissions=["retention"], description=gettext_lazy("Set retention of selected sessions"))
    def set_retention(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> HttpResponse | None:
        chosen = list(queryset[:MAX_RETAINED_AT_ONCE])
        form = RetentionForm(request.POST if is_confirmed(request) else None, choices=_retention_choices(request.user))
        if not form.is_valid():
            title = ngettext("Set retention of %(count)d session", "Set retention of %(count)d sessions", len(chosen))
            explanation = _(
                "What has a term of its own is deleted at its end, with its audio, whatever rules and settings say. "
                "What is protected is not deleted at all until somebody ends the protection."
            )
            return ask(
                self,
                request,
                "set_retention",
                chosen,
                title=title % {"count": len(chosen)},
                explanation=explanation,
                lines=[line(str(one), retention) for one, retention in with_retention(chosen)],
                form=form,
                is_harmful=False,
            )
        if form.cleaned_data["keep"] == RetentionForm.PROTECT:
            self._protect(request, chosen, form.cleaned_data["reason"])
            return None
        if form.cleaned_data["keep"] == RetentionForm.UNPROTECT:
            self._unprotect(request, chosen)
            return None
        days = form.cleaned_data["days"] if form.cleaned_data["keep"] == RetentionForm.DAYS else None
        changed = set_term(chosen, days)
        said = _("as the rules say") if days is None else _("%(days)d days from today") % {"days": days}
        for session in changed:
            self.log_change(request, session, _("Retention: %(term)s") % {"term": said})
        text = ngettext(
            "Retention of %(count)d session is set.", "Retention of %(count)d sessions is set.", len(changed)
        )
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)
        return None

    def _protect(self, request: HttpRequest, chosen: list[TranscriptionSession], reason: str) -> None:
        count = 0
        for session in chosen:
            try:
                protect(session, reason)
            except SessionTaken as error:
                self.message_user(request, f"{session}: {error.message}", messages.WARNING)
            else:
                self.log_change(request, session, _("Protected: %(reason)s") % {"reason": reason})
                count += 1
        text = ngettext("%(count)d session is protected.", "%(count)d sessions are protected.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def _unprotect(self, request: HttpRequest, chosen: list[TranscriptionSession]) -> None:
        ended = [session for session in chosen if unprotect(session, request.user)]
        for session in ended:
            self.log_change(request, session, _("Protection ended"))
        text = ngettext(
            "Protection of %(count)d session is over.", "Protection of %(count)d sessions is over.", len(ended)
        )
        self.message_user(request, text % {"count": len(ended)}, messages.SUCCESS if ended else messages.WARNING)

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
