"""Rules, with what they would take; and what is left of deleted sessions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcription.admin.choosing import NamedAutocompleteMixin
from transcription.admin.display import SHOWN_ID_CHARACTERS, format_duration, moment
from transcription.admin.lists import CappedListMixin
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.retention.models import RetentionRule, Tombstone
from transcription.retention.purging import foresee

ROWS_PER_PAGE = 50
RULE_FIELDS = ("name", "takes", "after_days", "language", "api_key", "metadata_key", "metadata_value", "enabled")


class RuleForm(ModelForm):
    class Meta:
        model = RetentionRule
        fields = RULE_FIELDS

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if bool(cleaned.get("metadata_key")) != bool(cleaned.get("metadata_value")):
            raise forms.ValidationError(_("A metadata key and its value go together."))
        return cleaned


@admin.register(RetentionRule)
class RetentionRuleAdmin(NamedAutocompleteMixin):
    form = RuleForm
    list_display = ("name", "takes", "after_days", "matches", "enabled")
    list_filter = ("takes", "enabled")
    search_fields = ("name",)
    autocomplete_fields = ("api_key",)
    list_select_related = ("api_key",)
    show_facets = ShowFacets.NEVER
    actions = None

    def get_fields(self, request: HttpRequest, obj: RetentionRule | None = None) -> tuple[str, ...]:
        return RULE_FIELDS if obj is None else (*RULE_FIELDS, "would_take")

    def get_readonly_fields(self, request: HttpRequest, obj: RetentionRule | None = None) -> tuple[str, ...]:
        return () if obj is None else ("would_take",)

    @admin.display(description=gettext_lazy("of"))
    def matches(self, rule: RetentionRule) -> str:
        parts = [rule.language, rule.api_key.name if rule.api_key else ""]
        parts.append(f"{rule.metadata_key}: {rule.metadata_value}" if rule.metadata_key else "")
        return ", ".join(part for part in parts if part) or _("all sessions")

    @admin.display(description=gettext_lazy("would take now"))
    def would_take(self, rule: RetentionRule) -> str:
        """As it is stored: a dry run."""
        (taken,) = foresee([rule])
        if taken.audio_only:
            return _("the audio of %(sessions)d sessions, %(seconds)d s") % {
                "sessions": taken.sessions,
                "seconds": taken.audio_ms // 1000,
            }
        counts = {"sessions": taken.sessions, "segments": taken.segments, "seconds": taken.audio_ms // 1000}
        text = _("%(sessions)d sessions, %(segments)d segments, %(seconds)d s of audio") % counts
        if taken.reruns:
            also = _("%(count)d of them are reruns of others, which go along") % {"count": taken.reruns}
            text = f"{text}; {also}"
        return text

    def save_model(self, request: HttpRequest, obj: RetentionRule, form: ModelForm[Any], change: bool) -> None:
        super().save_model(request, obj, form, change)
        what = AuditEvent.What.EDITED if change else AuditEvent.What.MADE
        if change and not form.changed_data:
            return
        facts = {name: form.cleaned_data[name] for name in ("takes", "after_days", "language", "enabled")}
        if change:
            facts["fields"] = sorted(form.changed_data)
        record(what, obj, {**facts, "key": obj.api_key.name if obj.api_key else "", "metadata_key": obj.metadata_key})


@admin.register(Tombstone)
class TombstoneAdmin(CappedListMixin, admin.ModelAdmin):
    list_display = (
        "short_id", "by", "length", "segments", "reruns", "audio_files", "shown_began", "shown_finished",
        "shown_scrubbed",
    )  # fmt: skip
    fields = (
        "public_id", "rerun_of", "deleted_by", "rule", "created_at", "started_at", "ended_at", "audio_ms", "segments",
        "versions", "deliveries", "reruns", "audio_files", "audio_file_bytes", "shown_rows", "began_at", "finished_at",
        "scrubbed_at",
    )  # fmt: skip
    list_filter = (("finished_at", admin.EmptyFieldListFilter), "rule")
    search_fields = ("=public_id", "=rerun_of")
    search_help_text = gettext_lazy("The whole id of a session; finds its reruns too")
    date_hierarchy = "began_at"
    ordering = ("-began_at", "-id")
    sortable_by = ()
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("id"))
    def short_id(self, stone: Tombstone) -> str:
        return str(Truncator(stone.public_id).chars(SHOWN_ID_CHARACTERS))

    @admin.display(description=gettext_lazy("by"))
    def by(self, stone: Tombstone) -> str:
        return stone.rule or stone.deleted_by or "-"

    @admin.display(description=gettext_lazy("audio heard"))
    def length(self, stone: Tombstone) -> str:
        return format_duration(stone.audio_ms)

    @admin.display(description=gettext_lazy("rows of each table"))
    def shown_rows(self, stone: Tombstone) -> str:
        return ", ".join(f"{name}: {count}" for name, count in sorted(stone.rows.items())) or "-"

    @admin.display(description=gettext_lazy("deletion began"))
    def shown_began(self, stone: Tombstone) -> str | None:
        return moment(stone.began_at)

    @admin.display(description=gettext_lazy("deleted"))
    def shown_finished(self, stone: Tombstone) -> str | None:
        return moment(stone.finished_at)

    @admin.display(description=gettext_lazy("overwritten"))
    def shown_scrubbed(self, stone: Tombstone) -> str | None:
        return moment(stone.scrubbed_at)
