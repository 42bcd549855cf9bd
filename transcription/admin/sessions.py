"""Sessions: their facts are read-only; the title can be changed."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Avg, QuerySet
from django.db.models.fields.json import KeyTransform
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from transcription import access
from transcription.admin.display import console_address, segment_list_address
from transcription.admin.filters import DialectFilter, ErrorFilter, ReviewFilter
from transcription.admin.lists import MAX_FOUND, ROWS_PER_PAGE, CappedListMixin
from transcription.admin.periods import with_whole_periods
from transcription.admin.session_actions import SessionActions
from transcription.admin.session_columns import SessionColumns
from transcription.admin.session_deletion import SessionDeletion
from transcription.audit.recording import record_search, record_watching
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search.queries import search_sessions

# Of a term in the names of users.
MAX_USERS_FOUND = 100
METADATA_TERM = re.compile(r"([\w.-]{1,200}):(.{1,200})")


@admin.register(TranscriptionSession)
class TranscriptionSessionAdmin(CappedListMixin, SessionColumns, SessionActions, SessionDeletion):
    # What the table has of columns stands in two lines each where it would not fit between both side bars.
    list_display = (
        "name_and_language", "state_and_errors", "who", "started", "length", "word_count", "mean_confidence", "open",
    )  # fmt: skip
    list_filter = (
        "state",
        ErrorFilter,
        ("language", admin.AllValuesFieldListFilter),
        DialectFilter,
        ReviewFilter,
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
    actions = ("stop_sessions", "export_zip", "export_json", "set_retention", "delete_selected")
    change_form_template = "admin/transcription/transcriptionsession/change_form.html"
    fieldsets = (
        (None, {"fields": ("title", "state_label", "console", "recording_link", "retention")}),
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
        listed = access.listed_sessions(request.user).select_related("owner", "api_key", "worker")
        return with_whole_periods(listed)

    def get_readonly_fields(self, request: HttpRequest, obj: TranscriptionSession | None = None) -> tuple[str, ...]:
        fields = [field for _name, options in self.fieldsets for field in options["fields"]]
        return tuple(str(field) for field in fields if field != "title")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

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

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The means of the shown page alone: over the whole list they would cost a pass over all segments."""
        changelist = super().get_changelist_instance(request)
        if changelist.query:
            # The years of all that is found would have to be read before its first page.
            changelist.date_hierarchy = None
        shown = list(changelist.result_list)
        if changelist.query and access.may_read_all_captions(request.user):
            # Which sessions are found tells what is said in them.
            record_search(shown, changelist.query)
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
