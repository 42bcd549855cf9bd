"""The admin of deliveries: the log of what was sent, and sending it again."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import access
from transcription.admin.display import moment, session_link, shorten, with_second_line
from transcription.admin.lists import CappedListMixin
from transcription.admin.periods import with_whole_periods
from transcription.audit.recording import record_watching
from transcription.jobs.in_process import jobs
from transcription.webhooks.models import WebhookDelivery
from transcription.webhooks.queue import send_again

ROWS_PER_PAGE = 50
MAX_SENT_AGAIN_AT_ONCE = 1000
MAX_ID_CHARACTERS = 40
# Each in its own colour of the states of sessions.
COLOURS = {"pending": "detached", "delivered": "live", "failed": "failed"}


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(CappedListMixin, admin.ModelAdmin):
    """Only the service writes it."""

    list_display = ("event_type", "state_and_next", "session_name", "to", "attempts", "result", "created")
    list_filter = ("state", "event_type", ("endpoint", admin.RelatedOnlyFieldListFilter))
    search_fields = ("event_id",)
    search_help_text = gettext_lazy("An event id, or the id of a session, both whole")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    sortable_by = ()
    list_select_related = ("endpoint", "session")
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    actions = ("send_again",)
    fieldsets = (
        (None, {"fields": ("event_type", "shown_state", "event_id", "to", "session_name")}),
        (
            gettext_lazy("Attempts"),
            {"fields": ("attempts", "created_at", "attempted_at", "delivered_at", "due_at", "duration_ms")},
        ),
        (gettext_lazy("The last answer"), {"fields": ("response_status", "error", "shown_response")}),
        (gettext_lazy("What is sent"), {"fields": ("payload",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        found = with_whole_periods(super().get_queryset(request))
        match = request.resolver_match
        is_list = match is not None and (match.url_name or "").endswith("changelist")
        # Payloads are most of a row, and no column shows them.
        return found.defer("body", "response_excerpt") if is_list else found

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> tuple[str, ...]:
        # Who reads is known here alone: fields are shown without the request.
        if obj is not None:
            obj.is_readable = obj.session is None or access.may_read_text(request.user, obj.session)  # type: ignore[attr-defined]
        return tuple(field for _name, options in self.fieldsets for field in options["fields"])  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never by hand: how far a session was told is read from them."""
        return False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: WebhookDelivery | None = None,
    ) -> HttpResponse:
        if obj is not None and obj.session is not None and getattr(obj, "is_readable", False):
            record_watching(obj.session)
        response: HttpResponse = super().render_change_form(request, context, add, change, form_url, obj)
        return response

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhooks.resend_webhookdelivery")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()[: MAX_ID_CHARACTERS * 2]
        if not term or "\0" in term:
            return queryset, False
        by = {"event_id": term} if term.startswith("msg_") else {"session__public_id": term}
        return queryset.filter(**by), False

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, delivery: WebhookDelivery) -> str:
        colour, label = COLOURS[delivery.state], delivery.get_state_display()
        return format_html('<span class="state state-{}">{}</span>', colour, label)

    @admin.display(description=gettext_lazy("state"))
    def state_and_next(self, delivery: WebhookDelivery) -> str:
        next_attempt = moment(delivery.due_at) if delivery.state == WebhookDelivery.State.PENDING else None
        return with_second_line(self.shown_state(delivery), next_attempt or "")

    @admin.display(description=gettext_lazy("session"))
    def session_name(self, delivery: WebhookDelivery) -> str:
        return session_link(delivery.session) if delivery.session is not None else "-"

    @admin.display(description=gettext_lazy("endpoint"))
    def to(self, delivery: WebhookDelivery) -> str:
        address = reverse("admin:webhooks_webhookendpoint_change", args=[delivery.endpoint_id])
        return format_html('<a href="{}">{}</a>', address, shorten(str(delivery.endpoint)))

    @admin.display(description=gettext_lazy("last result"))
    def result(self, delivery: WebhookDelivery) -> str:
        parts = [str(delivery.response_status or ""), delivery.error.replace("_", " ")]
        return with_second_line(*[part for part in parts if part]) if any(parts) else "-"

    @admin.display(description=gettext_lazy("created"))
    def created(self, delivery: WebhookDelivery) -> str | None:
        return moment(delivery.created_at)

    @admin.display(description=gettext_lazy("beginning of the response"))
    def shown_response(self, delivery: WebhookDelivery) -> str:
        return format_html('<pre class="payload" dir="auto">{}</pre>', delivery.response_excerpt or "-")

    @admin.display(description=gettext_lazy("payload"))
    def payload(self, delivery: Any) -> str:
        if not getattr(delivery, "is_readable", False):
            return _("The text of this session is not yours to read: that takes the permission to read captions.")
        text = json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False)
        return format_html('<pre class="payload" dir="auto">{}</pre>', text)

    @admin.action(permissions=["resend"], description=gettext_lazy("Send again"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        keys = list(queryset.order_by().values_list("pk", flat=True)[:MAX_SENT_AGAIN_AT_ONCE])
        count = send_again(WebhookDelivery.objects.filter(pk__in=keys))
        jobs.wake()
        text = ngettext("%(count)d delivery is sent again.", "%(count)d deliveries are sent again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        if left := len(keys) - count:
            text = ngettext(
                "%(count)d is left out: it is being sent, or its endpoint is disabled.",
                "%(count)d are left out: they are being sent, or their endpoint is disabled.",
                left,
            )
            self.message_user(request, text % {"count": left}, messages.WARNING)
