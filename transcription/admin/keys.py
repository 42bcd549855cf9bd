"""The admin of API keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription import services
from transcription.admin.choosing import NamedAutocompleteMixin
from transcription.admin.confirming import ask, is_confirmed, line
from transcription.admin.filters import ScopeFilter
from transcription.admin.lists import ROWS_PER_PAGE
from transcription.errors import SessionTaken
from transcription.identity.key_models import default_scopes
from transcription.identity.keys import why_unusable
from transcription.identity.scopes import Scope
from transcription.models import ApiKey, UsageDay
from transcription.retention.models import RetentionRule
from transcription.webhooks.models import WebhookEndpoint

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


class RotateForm(forms.Form):
    overlap_h = forms.TypedChoiceField(
        label=gettext_lazy("The old text is good"),
        coerce=int,
        initial=24,
        choices=[
            (0, gettext_lazy("no longer: it ends now")),
            (24, gettext_lazy("for one day more")),
            (7 * 24, gettext_lazy("for seven days more")),
            (30 * 24, gettext_lazy("for thirty days more")),
        ],
        help_text=gettext_lazy("Until then both work, so that a program can change over without a gap."),
    )

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["overlap_h"])


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
class ApiKeyAdmin(NamedAutocompleteMixin):
    form = KeyForm
    list_display = ("name", "shown_prefix", "state", "owner", "shown_scopes", "expires_at", "last_used_at")
    list_filter = (
        KeyStateFilter,
        ScopeFilter,
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
    actions = ("rotate_key", "revoke_keys")
    SETTLED = ("shown_prefix", "state", "owner", "created_at", "last_used_at", "revoked_at", "previous_until")
    LIMITS = ("expires_at", "max_sessions", "rate_limit", "monthly_minutes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = super().get_queryset(request).annotate(now=Now())
        return keys

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        what = ("name", "owner", "scopes") if obj is None else ("name", "shown_prefix", "state", "owner", "scopes")
        fieldsets = [(None, {"fields": what}), (_("Limits"), {"fields": self.LIMITS})]
        if obj is not None:
            fieldsets.append((_("When"), {"fields": ("created_at", "last_used_at", "revoked_at", "previous_until")}))
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
        text = request.new_key_text  # type: ignore[attr-defined]
        return self._show_text(request, obj, text, _("The key %(name)s was made") % {"name": obj.name})

    def _show_text(self, request: HttpRequest, key: ApiKey, text: str, title: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "key": key,
            "key_text": text,
            "may_transcribe": Scope.TRANSCRIBE in key.scope_set,
            "opts": self.opts,
            "api_address": request.build_absolute_uri(settings.CONFIG.api_v1_str),
        }
        return TemplateResponse(request, "admin/transcription/apikey/created.html", context)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What a deletion takes along is told by its number. Sessions stay, without a key."""
        keys = list(objs)
        gone = {
            UsageDay: UsageDay.objects.filter(api_key__in=keys).count(),
            WebhookEndpoint: WebhookEndpoint.objects.filter(api_key__in=keys).count(),
            RetentionRule: RetentionRule.objects.filter(api_key__in=keys).count(),
        }
        counts = {str(self.opts.verbose_name_plural): len(keys)}
        counts |= {str(model._meta.verbose_name_plural): count for model, count in gone.items() if count}
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [line(key.name, key.shown_prefix) for key in keys], counts, lacking, []

    @admin.action(permissions=["revoke"], description=gettext_lazy("Rotate the selected key"))
    def rotate_key(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one key: its new text is shown once."), messages.WARNING)
            return None
        (key,) = chosen
        if key.revoked_at is not None:
            self.message_user(request, _("This key was revoked. Make another."), messages.WARNING)
            return None
        form = RotateForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            explanation = _(
                "The key gets another text, which is shown once. Its sessions, limits, usage and webhooks stay with "
                "it, and what is live goes on. Where the old text has leaked, revoke the key: that ends what is live."
            )
            return ask(
                self,
                request,
                "rotate_key",
                chosen,
                title=_("Rotate the key %(name)s") % {"name": key.name},
                explanation=explanation,
                lines=_lines(chosen),
                form=form,
                is_harmful=False,
            )
        try:
            text = services.replace_key(key, form.overlap)
        except SessionTaken as error:
            self.message_user(request, error.message, messages.ERROR)
            return None
        self.log_change(request, key, _("Rotated."))
        return self._show_text(request, key, text, _("The key %(name)s has another text") % {"name": key.name})

    @admin.action(permissions=["revoke"], description=gettext_lazy("Revoke selected keys"))
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        good = list(queryset.filter(revoked_at=None).select_related("owner")[:MAX_REVOKED_AT_ONCE])
        if not good:
            self.message_user(request, _("The selected keys were revoked before."), messages.WARNING)
            return None
        if not is_confirmed(request):
            title = ngettext("Revoke %(count)d key", "Revoke %(count)d keys", len(good)) % {"count": len(good)}
            explanation = _(
                "They work no more, and this cannot be taken back. Sessions that are live with them say their last "
                "words and end within a minute."
            )
            return ask(self, request, "revoke_keys", good, title=title, explanation=explanation, lines=_lines(good))
        for key in good:
            if services.revoke_key(key):
                self.log_change(request, key, _("Revoked."))
        text = ngettext("%(count)d key is revoked.", "%(count)d keys are revoked.", len(good))
        self.message_user(request, text % {"count": len(good)}, messages.SUCCESS)
        return None


def _lines(keys: Iterable[ApiKey]) -> list[str]:
    return [line(key.name, key.shown_prefix, key.owner, _last_use(key)) for key in keys]


def _last_use(key: ApiKey) -> str:
    if key.last_used_at is None:
        return _("never used")
    return _("last used %(when)s ago") % {"when": timesince(key.last_used_at)}
