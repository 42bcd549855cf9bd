"""The admin of webhook endpoints."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from speechsite.config import get_config
from transcription.access import may_read_all_captions
from transcription.admin.choosing import NamedAutocompleteMixin
from transcription.admin.confirming import ask, is_confirmed, line
from transcription.admin.display import moment, shorten, with_second_line
from transcription.errors import TranscriptionError
from transcription.webhooks import delivery_admin as delivery_admin  # registers the log
from transcription.webhooks import endpoints
from transcription.webhooks.event_types import SUBSCRIBABLE
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.queue import DisabledReason, disable
from transcription.webhooks.targets import TargetRules

ROWS_PER_PAGE = 50
MAX_DISABLED_AT_ONCE = 200
SAVED = ("url", "description", "events", "reach")
EVENT_LABELS = {
    "session.completed": gettext_lazy("session.completed: a session has ended as it should"),
    "session.failed": gettext_lazy("session.failed: a session has failed or was interrupted"),
    "segment.final": gettext_lazy("segment.final: final text, while a session is live"),
}


class EndpointForm(ModelForm):
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        choices=[(event.value, EVENT_LABELS[event.value]) for event in SUBSCRIBABLE],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "description", "events", "owner", "reach", "enabled")
        widgets: ClassVar = {"url": forms.URLInput(attrs={"class": "vURLField", "size": 60})}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        problem = TargetRules.of(get_config()).problem(url).removeprefix("url: ")
        if problem:
            raise forms.ValidationError(problem[0].upper() + problem[1:])
        return url

    def clean_events(self) -> list[str]:
        return endpoints.order_events(self.cleaned_data["events"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        owner = cleaned.get("owner", self.instance.owner)
        if cleaned.get("reach") == WebhookEndpoint.Reach.ALL and not (owner and may_read_all_captions(owner)):
            self.add_error("reach", _("The owner may not read every transcript."))
        return cleaned


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(NamedAutocompleteMixin):
    """Whoever changes where an endpoint leads is sent what its owner may read: that takes the right to read it."""

    form = EndpointForm
    list_display = ("name", "state", "shown_events", "who", "last_result", "deliveries")
    list_filter = ("enabled", "disabled_reason", "reach", ("owner", admin.RelatedOnlyFieldListFilter))
    search_fields = ("url", "description", "public_id", "owner__username")
    search_help_text = gettext_lazy("A part of the URL, the description, the id or the owner's name")
    list_select_related = ("owner", "api_key")
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.ALLOW
    autocomplete_fields = ("owner",)
    actions = ("send_test", "rotate_secret", "enable", "disable")
    SETTLED = (
        "public_id", "state", "owner", "api_key", "created_at", "failing_since", "delivered_at", "previous_until",
        "deliveries",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:
        what = ("url", "description", "events", "owner", "reach", "enabled")
        if obj is None:
            return [(None, {"fields": what})]
        shown = ("state", "deliveries", "delivered_at", "failing_since")
        return [
            (None, {"fields": ("url", "description", "events", "reach", "enabled")}),
            (_("How it goes"), {"fields": shown}),
            (_("Who"), {"fields": ("public_id", "owner", "api_key", "created_at", "previous_until")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        """The owner decides what an endpoint hears of, so it is settled with the endpoint."""
        return () if obj is None else self.SETTLED

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and may_read_all_captions(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and may_read_all_captions(request.user)

    # Lists

    @admin.display(description=gettext_lazy("endpoint"), ordering="url")
    def name(self, endpoint: WebhookEndpoint) -> str:
        url = shorten(endpoint.url)
        return with_second_line(endpoint.description, url) if endpoint.description else url

    @admin.display(description=gettext_lazy("state"), ordering="enabled")
    def state(self, endpoint: WebhookEndpoint) -> str:
        if not endpoint.enabled:
            badge = format_html('<span class="state state-failed">{}</span>', _("Disabled"))
            return with_second_line(badge, endpoint.get_disabled_reason_display())
        if endpoint.failing_since is not None:
            return format_html('<span class="state state-interrupted">{}</span>', _("Failing"))
        return format_html('<span class="state state-live">{}</span>', _("Enabled"))

    @admin.display(description=gettext_lazy("events"))
    def shown_events(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events)

    @admin.display(description=gettext_lazy("who"), ordering="owner__username")
    def who(self, endpoint: WebhookEndpoint) -> str:
        names = [str(named) for named in (endpoint.owner, endpoint.api_key and endpoint.api_key.name) if named]
        if endpoint.reach == WebhookEndpoint.Reach.ALL:
            names = [*names[:1], endpoint.get_reach_display()]
        return with_second_line(*names[:2]) if names else "-"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The last results of the shown page alone, each by an index."""
        changelist = super().get_changelist_instance(request)
        shown = list(changelist.result_list)
        for endpoint in shown:
            newest = WebhookDelivery.objects.filter(endpoint=endpoint, attempts__gt=0).order_by("-created_at", "-id")
            endpoint.newest = newest.only("state", "response_status", "error", "attempted_at").first()
        changelist.result_list = shown
        return changelist

    @admin.display(description=gettext_lazy("last result"))
    def last_result(self, endpoint: Any) -> str | None:
        newest: WebhookDelivery | None = endpoint.newest
        if newest is None:
            return None
        result = str(newest.response_status or newest.get_state_display())
        result = f"{result}, {newest.error.replace('_', ' ')}" if newest.error else result
        return with_second_line(result, moment(newest.attempted_at) or "")

    @admin.display(description=gettext_lazy("deliveries"))
    def deliveries(self, endpoint: WebhookEndpoint) -> str:
        address = reverse("admin:webhooks_webhookdelivery_changelist")
        query = urlencode({"endpoint__id__exact": endpoint.pk})
        return format_html('<a href="{}?{}">{}</a>', address, query, _("Deliveries"))

    # Writing

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: ModelForm[Any], change: bool) -> None:
        if not change:
            obj.public_id = endpoints.make_endpoint_id()
            super().save_model(request, obj, form, change)
            endpoints.note_made(obj)
            return
        enabled, rows = obj.enabled, WebhookEndpoint.objects.filter(pk=obj.pk)
        rows.update(**{name: form.cleaned_data[name] for name in SAVED})
        endpoints.note_changed(obj, set(form.changed_data) & set(SAVED))
        if enabled:
            endpoints.enable(rows)
        else:
            disable(rows, DisabledReason.BY_HAND)
        obj.refresh_from_db()

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_secret(request, obj, _("The endpoint was made"))

    def _show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint, title: str) -> HttpResponse:
        """The secret stands in this answer alone: what a redirect tells comes by a cookie or the database."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "endpoint": endpoint,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/webhooks/webhookendpoint/secret.html", context)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What a deletion takes along is told by its number."""
        told = [str(endpoint) for endpoint in objs]
        allowed = self.has_delete_permission(request)
        missing = set() if allowed else {str(self.opts.verbose_name)}
        return (
            [*told, _("and the log of their deliveries")],
            {str(self.opts.verbose_name_plural): len(told)},
            missing,
            [],
        )

    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        endpoints.delete_endpoint(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            endpoints.delete_endpoint(endpoint)

    # Actions

    @admin.action(permissions=["change"], description=gettext_lazy("Send a test to selected endpoints"))
    def send_test(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            try:
                delivery = endpoints.send_test(endpoint)
            except TranscriptionError as error:
                self.message_user(request, f"{endpoint}: {error.message}", messages.WARNING)
            else:
                address = reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk])
                text = format_html('{}: <a href="{}">{}</a>', endpoint, address, _("a test is on its way"))
                self.message_user(request, text, messages.SUCCESS)

    @admin.action(permissions=["change"], description=gettext_lazy("Replace the secret of the selected endpoint"))
    def rotate_secret(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one endpoint: its new secret is shown once."), messages.WARNING)
            return None
        if not is_confirmed(request):
            explanation = _(
                "The new secret is shown once. The old one signs beside it for %(hours)d hours, so that the receiver "
                "can change over without a gap."
            ) % {"hours": endpoints.DEFAULT_OVERLAP_HOURS}
            title = _("Replace the secret")
            return ask(self, request, "rotate_secret", chosen, title=title, explanation=explanation, is_harmful=False)
        endpoints.rotate_secret(chosen[0])
        self.log_change(request, chosen[0], _("The secret was replaced."))
        return self._show_secret(request, chosen[0], _("The secret was replaced"))

    @admin.action(permissions=["change"], description=gettext_lazy("Enable selected endpoints"))
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        self._log(request, list(queryset.filter(enabled=False)), _("Enabled."))
        endpoints.enable(WebhookEndpoint.objects.filter(pk__in=queryset.values("pk")))

    @admin.action(permissions=["change"], description=gettext_lazy("Disable selected endpoints"))
    def disable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        enabled = list(queryset.filter(enabled=True)[:MAX_DISABLED_AT_ONCE])
        if not enabled:
            self.message_user(request, _("The selected endpoints were disabled before."), messages.WARNING)
            return None
        if not is_confirmed(request):
            title = ngettext("Disable %(count)d endpoint", "Disable %(count)d endpoints", len(enabled))
            explanation = _(
                "Nothing more is sent to them, and what waits for them is given up. Enabled again, they hear of what "
                "happens from then on."
            )
            return ask(
                self,
                request,
                "disable",
                enabled,
                title=title % {"count": len(enabled)},
                explanation=explanation,
                lines=[line(one.url, one.description) for one in enabled],
            )
        self._log(request, enabled, _("Disabled."))
        disable(WebhookEndpoint.objects.filter(pk__in=[one.pk for one in enabled]), DisabledReason.BY_HAND)
        return None

    def _log(self, request: HttpRequest, changed: list[WebhookEndpoint], what: str) -> None:
        for endpoint in changed:
            self.log_change(request, endpoint, what)
        text = ngettext("%(count)d endpoint is changed.", "%(count)d endpoints are changed.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)
