"""Segments: what the machine heard, to be read and corrected. There are millions of them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelForm, Textarea
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy
from simple_history.admin import SimpleHistoryAdmin

from transcription import access
from transcription.admin.display import console_link, format_duration, paragraph, review_address, session_link, shorten
from transcription.admin.filters import ConfidenceFilter, EditedFilter
from transcription.admin.lists import MAX_FOUND, ROWS_PER_PAGE, CappedListMixin, SegmentList
from transcription.audit.recording import record_search, record_watching
from transcription.models import TranscriptSegment
from transcription.review.admin_edits import correct
from transcription.review.errors import ReviewRefused
from transcription.search.queries import search_segments


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

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Every row shows words of its session, whether they were looked for or not."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        record_search((segment.session for segment in changelist.result_list), changelist.query)
        return changelist

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
            context["review_address"] = review_address(segment)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Earlier texts are texts of the session."""
        self._note_watching(request, object_id)
        response: HttpResponse = super().history_view(request, object_id, extra_context)
        return response

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._note_watching(request, object_id)
        response: HttpResponse = super().history_form_view(request, object_id, version_id, extra_context)
        return response

    def _note_watching(self, request: HttpRequest, object_id: str) -> None:
        segment = self.get_object(request, object_id)
        if segment is not None and self.has_view_permission(request, segment):
            record_watching(segment.session)

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
