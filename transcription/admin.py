"""The admin: records of the past, for people who look after the service. What is live is on the console.

Facts and the machine's text are read-only. Of a segment the current text, the speaker and whether it was
reviewed can be corrected, with history; of a session its title.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.options import ShowFacets
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Avg, QuerySet
from django.db.models.fields.json import KeyTransform
from django.forms import ModelForm, Textarea
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from simple_history.admin import SimpleHistoryAdmin

from transcription import access, admin_keys, services
from transcription.admin_display import (
    console_address,
    console_link,
    format_duration,
    moment,
    paragraph,
    segment_list_address,
    session_link,
    short_name,
    shorten,
    state_badge,
    with_second_line,
)
from transcription.admin_filters import ConfidenceFilter, DialectFilter, EditedFilter, ErrorFilter
from transcription.admin_lists import MAX_FOUND, CappedListMixin, SegmentList
from transcription.audit.recording import record_exports, record_watching
from transcription.exports import MAX_ZIPPED_SESSIONS, ZIP_CONTENT_TYPE, streamed, write_json_list, write_zip
from transcription.models import TranscriptionSession, TranscriptSegment, Worker
from transcription.retention.protecting import reasons_of
from transcription.review.admin_edits import correct
from transcription.review.errors import ReviewRefused
from transcription.search import search_segments, search_sessions

ROWS_PER_PAGE = 50
MAX_STOPPED_AT_ONCE = 200
# Of a term in the names of users.
MAX_USERS_FOUND = 100
METADATA_TERM = re.compile(r"([\w.-]{1,200}):(.{1,200})")

__all__ = ["admin_keys"]

admin.site.site_header = settings.CONFIG.project_name
admin.site.site_title = settings.CONFIG.project_name
admin.site.index_title = gettext_lazy("Records")


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


@admin.register(TranscriptionSession)
class TranscriptionSessionAdmin(CappedListMixin, admin.ModelAdmin):
    list_display = (
        "name", "state_and_reason", "started", "length", "word_count", "mean_confidence", "who", "open",
    )  # fmt: skip
    list_filter = (
        "state",
        ErrorFilter,
        ("language", admin.AllValuesFieldListFilter),
        DialectFilter,
        ("api_key", admin.RelatedOnlyFieldListFilter),
        ("owner", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("title",)
    search_help_text = gettext_lazy("Words of the text or title, the beginning of an id, a user, or key:value")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_select_related = ("owner", "api_key")
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.ALLOW
    autocomplete_fields = ("owner", "api_key")
    actions = ("stop_sessions", "export_zip", "export_json")
    change_form_template = "admin/transcription/transcriptionsession/change_form.html"
    fieldsets = (
        (None, {"fields": ("title", "state_label", "console")}),
        (
            gettext_lazy("Who"),
            {"fields": ("public_id", "owner", "api_key", "client_address", "user_agent", "metadata")},
        ),
        (
            gettext_lazy("When"),
            {
                "fields": (
                    "created_at", "started_at", "detached_at", "resume_until", "ended_at", "end_reason", "end_message",
                    "stop_request",
                ),
                "description": gettext_lazy("By the clock of the database."),
            },
        ),
        (
            gettext_lazy("What was heard"),
            {"fields": ("length", "segment_count", "word_count", "first_interim_ms", "final_lag")},
        ),
        (
            gettext_lazy("How"),
            {
                "classes": ("collapse",),
                "fields": (
                    "dialect", "language", "audio_format_label", "recogniser", "model", "options_asked",
                    "options_applied",
                ),
            },
        ),
        (
            gettext_lazy("Inside"),
            {
                "classes": ("collapse",),
                "description": gettext_lazy("What the service itself goes by when it recovers."),
                "fields": (
                    "worker", "epoch", "next_seq", "header_bytes", "committed_bytes", "flushed_bytes", "audio_bytes",
                    "gaps",
                ),
            },
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[TranscriptionSession]:
        return access.listed_sessions(request.user).select_related("owner", "api_key", "worker")

    def get_readonly_fields(self, request: HttpRequest, obj: TranscriptionSession | None = None) -> tuple[str, ...]:
        fields = [field for _name, options in self.fieldsets for field in options["fields"]]
        return tuple(str(field) for field in fields if field != "title")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(access.Permission.STOP)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms([access.Permission.EXPORT, access.Permission.VIEW_CAPTIONS])

    def view_on_site(self, obj: TranscriptionSession) -> str:
        return console_address(obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        others = []
        if "\0" not in term:
            everything = TranscriptionSession.objects.order_by()
            users = get_user_model().objects.filter(username__icontains=term)
            others.append(everything.filter(owner__in=users.order_by("pk")[:MAX_USERS_FOUND]))
            if match := METADATA_TERM.fullmatch(term):
                by_metadata = everything.alias(wanted=KeyTransform(match[1], "metadata"))
                others.append(by_metadata.filter(wanted=match[2].strip()))
        readable = access.visible_sessions(request.user)
        found = search_sessions(queryset, term, limit=MAX_FOUND + 1, readable=readable, others=others)
        return queryset.filter(pk__in=found.order_by().values("pk")), False

    @admin.display(description=gettext_lazy("session"), ordering="title")
    def name(self, session: TranscriptionSession) -> str:
        return short_name(session)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_label(self, session: TranscriptionSession) -> str:
        return state_badge(session)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_and_reason(self, session: TranscriptionSession) -> str:
        reason = "" if session.end_reason == "client" else session.end_reason
        return with_second_line(state_badge(session), reason.replace("_", " "))

    @admin.display(description=gettext_lazy("who"), ordering="owner__username")
    def who(self, session: TranscriptionSession) -> str | None:
        names = [str(named) for named in (session.owner, session.api_key and session.api_key.name) if named]
        return with_second_line(*names) if names else None

    @admin.display(description=gettext_lazy("started"), ordering="started_at")
    def started(self, session: TranscriptionSession) -> str | None:
        return moment(session.started_at)

    @admin.display(description=gettext_lazy("length"), ordering="audio_ms")
    def length(self, session: TranscriptionSession) -> str:
        return format_duration(session.audio_ms if session.has_ended else session.committed_ms)

    @admin.display(description=gettext_lazy("confidence"))
    def mean_confidence(self, session: TranscriptionSession) -> str | None:
        mean = getattr(session, "mean_of_confidence", None)
        return None if mean is None else f"{mean:.2f}"

    @admin.display(description=gettext_lazy("console"))
    def console(self, session: TranscriptionSession) -> str:
        return console_link(session)

    @admin.display(description=gettext_lazy("console"))
    def open(self, session: TranscriptionSession) -> str:
        return console_link(session, _("Open"))

    @admin.display(description=gettext_lazy("stop requested"))
    def stop_request(self, session: TranscriptionSession) -> str:
        if session.stop_requested_at is None:
            return "-"
        return _("%(when)s by %(who)s: %(reason)s") % {
            "when": session.stop_requested_at.isoformat(timespec="seconds"),
            "who": session.stop_requested_by or "-",
            "reason": session.stop_reason or "-",
        }

    @admin.display(description=gettext_lazy("final lag, median / 95 % (ms)"))
    def final_lag(self, session: TranscriptionSession) -> str:
        if session.final_lag_p50_ms is None:
            return "-"
        return f"{session.final_lag_p50_ms} / {session.final_lag_p95_ms}"

    @admin.display(description=gettext_lazy("audio format"))
    def audio_format_label(self, session: TranscriptionSession) -> str:
        return f"{session.encoding}, {session.sample_rate_hz} Hz, {session.channels} channel(s)"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The means of the shown page alone: over the whole list they would cost a pass over all segments."""
        changelist = super().get_changelist_instance(request)
        if changelist.query:
            # The years of all that is found would have to be read before its first page.
            changelist.date_hierarchy = None
        shown = list(changelist.result_list)
        segments = TranscriptSegment.objects.filter(session__in=[session.pk for session in shown])
        means = dict(segments.order_by().values_list("session").annotate(Avg("confidence")))
        for session in shown:
            session.mean_of_confidence = means.get(session.pk)
        changelist.result_list = shown
        return changelist

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        session = self.get_object(request, object_id)
        context: dict[str, Any] = dict(extra_context or {})
        if session is not None:
            context |= {
                "segment_page": self._segment_page(request, session),
                "segment_list_address": segment_list_address(session),
                "console_address": console_address(session),
                "may_open_segments": request.user.has_perm("transcription.view_transcriptsegment"),
            }
        return super().change_view(request, object_id, form_url, context)

    def _segment_page(self, request: HttpRequest, session: TranscriptionSession) -> Any:
        """A page of the session's segments, or None where the text may not be read."""
        if not access.may_read_text(request.user, session):
            return None
        record_watching(session)
        paginator = Paginator(session.segments.order_by("index").defer("words", "alternatives"), ROWS_PER_PAGE)
        return paginator.get_page(request.GET.get("segments"))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What a deletion takes along, told in seconds and segments instead of thousands of lines."""
        told, kept, segments = [], [], 0
        protections = reasons_of(session.pk for session in objs)
        for session in objs:
            if session.is_live:
                kept.append(_("%(session)s is live. Stop it before you delete it.") % {"session": session})
            if session.pk in protections:
                reason = {"session": session, "reason": protections[session.pk]}
                kept.append(_("%(session)s is protected: %(reason)s") % reason)
            told.append(
                _("%(session)s: %(seconds)d s of audio, %(segments)d segments")
                % {
                    "session": session,
                    "seconds": session.audio_ms // 1000,
                    "segments": session.segment_count,
                }
            )
            segments += session.segment_count
        counts = {
            str(self.opts.verbose_name_plural): len(told),
            str(TranscriptSegment._meta.verbose_name_plural): segments,
        }
        allowed = self.has_delete_permission(request)
        return told, counts, set() if allowed else {str(self.opts.verbose_name)}, kept

    def delete_model(self, request: HttpRequest, obj: TranscriptionSession) -> None:
        services.delete_session(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TranscriptionSession]) -> None:
        for session in queryset:
            services.delete_session(session)

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


@admin.register(TranscriptSegment)
class TranscriptSegmentAdmin(CappedListMixin, SimpleHistoryAdmin):
    list_display = (
        "short_text", "session_name", "index", "start", "speaker", "confidence", "is_corrected", "reviewed",
    )  # fmt: skip
    list_filter = ("reviewed", EditedFilter, ConfidenceFilter, "tail", "promoted")
    search_fields = ("text",)
    search_help_text = gettext_lazy("Words of the current text")
    # Neither dates nor facets nor other orders: each would read the whole table, which is the largest by far.
    ordering = ("-session_id", "index")
    sortable_by = ()
    list_select_related = ("session",)
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    actions = None
    change_form_template = "admin/transcription/transcriptsegment/change_form.html"
    object_history_list_template = "admin/transcription/transcriptsegment/history_list.html"
    history_list_display = ("text", "speaker", "reviewed")
    formfield_overrides: ClassVar = {
        models.TextField: {"widget": Textarea(attrs={"rows": 4, "cols": 75, "dir": "auto"})}
    }
    fieldsets: ClassVar[Any] = (
        (
            None,
            {
                "fields": ("text", "speaker", "reviewed"),
                "description": gettext_lazy("Corrections keep a history. What the machine heard stays below."),
            },
        ),
        (
            gettext_lazy("What the machine heard"),
            {"fields": ("machine_text", "confidence", "language", "channel", "tail", "promoted")},
        ),
        (
            gettext_lazy("Where"),
            {"fields": ("session_name", "console", "index", "start", "end", "created_at")},
        ),
    )
    EDITABLE = ("text", "speaker", "reviewed")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TranscriptSegment]:
        segments: QuerySet[TranscriptSegment] = super().get_queryset(request)
        if access.may_read_all_captions(request.user):
            return segments
        return segments.filter(session__in=access.visible_sessions(request.user))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SegmentList]:
        return SegmentList

    def get_readonly_fields(self, request: HttpRequest, obj: TranscriptSegment | None = None) -> tuple[str, ...]:
        fields = [field for _name, options in self.fieldsets for field in options["fields"]]
        return tuple(field for field in fields if field not in self.EDITABLE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TranscriptSegment | None = None) -> bool:
        """Never one alone: the indexes of a session's segments have no holes."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        return search_segments(queryset, search_term, limit=MAX_FOUND + 1), False

    def save_model(self, request: HttpRequest, obj: TranscriptSegment, form: ModelForm[Any], change: bool) -> None:
        # Compared with what is stored: when a version is restored the form itself has no change.
        stored = TranscriptSegment.objects.get(pk=obj.pk)
        if all(getattr(obj, field) == getattr(stored, field) for field in self.EDITABLE):
            return
        try:
            correct(obj, request.user)
        except ReviewRefused as error:
            request.correction_refused = True  # type: ignore[attr-defined]  # for log and message below
            self.message_user(request, error.message, messages.ERROR)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if not getattr(request, "correction_refused", False):
            return super().log_change(request, obj, message)
        return None

    def response_change(self, request: HttpRequest, obj: TranscriptSegment) -> HttpResponse:
        if getattr(request, "correction_refused", False):
            # Not "was changed successfully".
            return HttpResponseRedirect(request.get_full_path())
        response: HttpResponse = super().response_change(request, obj)
        return response

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        segment = self.get_object(request, object_id)
        context: dict[str, Any] = dict(extra_context or {})
        if segment is not None:
            record_watching(segment.session)
            context["console_address"] = console_address(segment.session)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @admin.display(description=gettext_lazy("text"), ordering="text")
    def short_text(self, segment: TranscriptSegment) -> str:
        return shorten(segment.text) or "-"

    @admin.display(description=gettext_lazy("session"), ordering="session")
    def session_name(self, segment: TranscriptSegment) -> str:
        return session_link(segment.session)

    @admin.display(description=gettext_lazy("console"))
    def console(self, segment: TranscriptSegment) -> str:
        return console_link(segment.session)

    @admin.display(description=gettext_lazy("start"), ordering="start_ms")
    def start(self, segment: TranscriptSegment) -> str:
        return format_duration(segment.start_ms)

    @admin.display(description=gettext_lazy("end"), ordering="end_ms")
    def end(self, segment: TranscriptSegment) -> str:
        return format_duration(segment.end_ms)

    @admin.display(description=gettext_lazy("edited"), boolean=True)
    def is_corrected(self, segment: TranscriptSegment) -> bool:
        return segment.is_edited

    @admin.display(description=gettext_lazy("machine text"))
    def machine_text(self, segment: TranscriptSegment) -> str:
        return paragraph(segment.asr_text)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "heartbeat_at")
    search_fields = ("host",)
    date_hierarchy = "started_at"
    ordering = ("host", "pid")


# Django finds what the admin shows through this module.
from transcription.files import admin as file_admin  # noqa: E402, F401
