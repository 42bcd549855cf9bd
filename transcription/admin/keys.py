"""The admin of API keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.options import ShowFacets
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import services
from transcription.admin.lists import ROWS_PER_PAGE
from transcription.identity.key_models import default_scopes
from transcription.identity.keys import why_unusable
from transcription.identity.scopes import Scope
from transcription.models import ApiKey

MAX_REVOKED_AT_ONCE = 200
# Kept with the key, and each in its own colour of the states of sessions.
STATES = {
    "active": ("live", gettext_lazy("Active")),
    "key_expired": ("detached", gettext_lazy("Expired")),
    "key_revoked": ("failed", gettext_lazy("Revoked")),
    "account_closed": ("failed", gettext_lazy("Account closed")),
}
SCOPE_LABELS = {
    Scope.TRANSCRIBE: gettext_lazy("transcribe: start, stream and resume sessions"),
    Scope.SESSIONS_READ: gettext_lazy("sessions:read: list and read its sessions, usage and live events"),
    Scope.SESSIONS_WRITE: gettext_lazy("sessions:write: change, stop and delete its sessions"),
    Scope.WEBHOOKS: gettext_lazy("webhooks: manage webhooks"),
    Scope.METRICS: gettext_lazy("metrics: read /metrics from elsewhere"),
}


class KeyForm(ModelForm):
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=[(scope.value, SCOPE_LABELS[scope]) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("What the key may be used for."),
        initial=default_scopes,
    )

    class Meta:
        model = ApiKey
        fields = ("name", "owner", "scopes", "expires_at", "max_sessions", "rate_limit", "monthly_minutes")

    def clean_scopes(self) -> list[str]:
        return sorted(self.cleaned_data["scopes"])


class KeyStateFilter(admin.SimpleListFilter):
    """Whether a key is good."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(state, label) for state, (_colour, label) in STATES.items() if state != "account_closed"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        expired = Q(expires_at__lte=Now())
        match self.value():
            case "active":
                return queryset.filter(revoked_at=None).exclude(expired)
            case "key_expired":
                return queryset.filter(expired, revoked_at=None)
            case "key_revoked":
                return queryset.filter(revoked_at__isnull=False)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    form = KeyForm
    list_display = ("name", "shown_prefix", "state", "owner", "shown_scopes", "expires_at", "last_used_at")
    list_filter = (
        KeyStateFilter,
        ("last_used_at", admin.EmptyFieldListFilter),
        ("owner", admin.RelatedOnlyFieldListFilter),
    )
    search_fields = ("name", "prefix", "owner__username")
    date_hierarchy = "created_at"
    list_select_related = ("owner",)
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.ALLOW
    autocomplete_fields = ("owner",)
    actions = ("revoke_keys",)
    SETTLED = ("shown_prefix", "state", "owner", "created_at", "last_used_at", "revoked_at")
    LIMITS = ("expires_at", "max_sessions", "rate_limit", "monthly_minutes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = super().get_queryset(request).annotate(now=Now())
        return keys

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        what = ("name", "owner", "scopes") if obj is None else ("name", "shown_prefix", "state", "owner", "scopes")
        fieldsets = [(None, {"fields": what}), (_("Limits"), {"fields": self.LIMITS})]
        if obj is not None:
            fieldsets.append((_("When"), {"fields": ("created_at", "last_used_at", "revoked_at")}))
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """The owner decides what a key reaches, so it is settled with the key."""
        return () if obj is None else self.SETTLED

    @admin.display(description=gettext_lazy("key"), ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return key.shown_prefix

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: Any) -> str:
        problem = why_unusable(key, key.now)
        colour, label = STATES[problem.reason if problem else "active"]
        return format_html('<span class="state state-{}">{}</span>', colour, label)

    @admin.display(description=gettext_lazy("scopes"))
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(sorted(key.scope_set)) or "-"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[Any], change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        fields = {name: form.cleaned_data[name] for name in KeyForm.Meta.fields if name not in ("name", "owner")}
        key, text = ApiKey.create(obj.name, obj.owner, **fields)
        obj.__dict__.update(key.__dict__)
        # For the answer to this very request; it is kept nowhere.
        request.new_key_text = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The key stands in this answer alone: what a redirect tells comes by way of a cookie or the database."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("The key %(name)s was made") % {"name": obj.name},
            "key": obj,
            "key_text": request.new_key_text,  # type: ignore[attr-defined]
            "may_transcribe": Scope.TRANSCRIBE in obj.scope_set,
            "opts": self.opts,
            "api_address": request.build_absolute_uri(settings.CONFIG.api_v1_str),
        }
        return TemplateResponse(request, "admin/transcription/apikey/created.html", context)

    @admin.action(permissions=["revoke"], description=gettext_lazy("Revoke selected keys"))
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        good = list(queryset.filter(revoked_at=None)[:MAX_REVOKED_AT_ONCE])
        if not good:
            self.message_user(request, _("The selected keys were revoked before."), messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            return self._ask_before_revoking(request, good)
        for key in good:
            if services.revoke_key(key):
                self.log_change(request, key, _("Revoked."))
        text = ngettext("%(count)d key is revoked.", "%(count)d keys are revoked.", len(good))
        self.message_user(request, text % {"count": len(good)}, messages.SUCCESS)
        return None

    def _ask_before_revoking(self, request: HttpRequest, keys: list[ApiKey]) -> HttpResponse:
        title = ngettext("Revoke %(count)d key", "Revoke %(count)d keys", len(keys))
        context = {
            **self.admin_site.each_context(request),
            "title": title % {"count": len(keys)},
            "keys": keys,
            "opts": self.opts,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/transcription/apikey/revoke.html", context)
