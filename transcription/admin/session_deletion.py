"""Deleting sessions: what goes along is told in seconds and segments instead of thousands of lines."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import services
from transcription.admin.confirming import ask, is_confirmed
from transcription.admin.session_retention import reasons_to_stay, what_goes
from transcription.errors import SessionTaken
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.retention.along import count_reruns

MAX_DELETED_AT_ONCE = 200


class SessionDeletion(admin.ModelAdmin):
    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        sessions = list(objs)
        counts = {
            str(self.opts.verbose_name_plural): len(sessions),
            str(TranscriptSegment._meta.verbose_name_plural): sum(session.segment_count for session in sessions),
        }
        if reruns := count_reruns(sessions):
            counts[_("reruns of them")] = reruns
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [what_goes(session) for session in sessions], counts, lacking, reasons_to_stay(sessions)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except SessionTaken as error:
            # Since the question it was protected, or its client came back.
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:transcription_transcriptionsession_changelist"))
        return response

    def delete_model(self, request: HttpRequest, obj: TranscriptionSession) -> None:
        services.delete_session(obj)

    # In the place of Django's own, which offers any number of sessions and lists them all.
    @admin.action(permissions=["delete"], description=gettext_lazy("Delete selected sessions with their audio"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> HttpResponse | None:
        chosen = list(queryset[: MAX_DELETED_AT_ONCE + 1])
        if len(chosen) > MAX_DELETED_AT_ONCE:
            text = _("At most %(limit)d sessions can be deleted at once. Retention rules delete any number.")
            self.message_user(request, text % {"limit": MAX_DELETED_AT_ONCE}, messages.ERROR)
            return None
        reasons = reasons_to_stay(chosen)
        if reasons or not is_confirmed(request):
            return self._ask_before_deleting(request, chosen, reasons)
        deleted = 0
        for session in chosen:
            # Not noted in the admin's own log, which would keep its title: the audit log and a tombstone say it.
            try:
                services.delete_session(session)
            except SessionTaken as error:
                self.message_user(request, f"{session}: {error.message}", messages.WARNING)
            else:
                deleted += 1
        text = ngettext("%(count)d session is deleted.", "%(count)d sessions are deleted.", deleted)
        self.message_user(request, text % {"count": deleted}, messages.SUCCESS if deleted else messages.WARNING)
        return None

    def _ask_before_deleting(
        self, request: HttpRequest, chosen: list[TranscriptionSession], reasons: list[str]
    ) -> HttpResponse:
        count = len(chosen)
        title = ngettext("Delete %(count)d session", "Delete %(count)d sessions", count) % {"count": count}
        if reasons:
            explanation = _("Nothing was deleted: some of the selected sessions have to stay.")
            return ask(self, request, "", [], title=title, explanation=explanation, lines=reasons, is_possible=False)
        seconds = sum(session.audio_ms // 1000 for session in chosen)
        segments = sum(session.segment_count for session in chosen)
        explanation = _(
            "%(seconds)d s of audio and %(segments)d segments go, with every version, note and recording of them. This "
            "cannot be taken back."
        ) % {"seconds": seconds, "segments": segments}
        if reruns := count_reruns(chosen):
            along = ngettext("%(count)d rerun goes along.", "%(count)d reruns go along.", reruns)
            explanation = f"{explanation} {along % {'count': reruns}}"
        return ask(
            self,
            request,
            "delete_selected",
            chosen,
            title=title,
            explanation=explanation,
            lines=[what_goes(session) for session in chosen],
        )
