"""Filters of the admin's lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from transcription.dialects.listen import ListenDialect
from transcription.dialects.native import NativeDialect
from transcription.dialects.realtime import RealtimeDialect
from transcription.files.engine import DIALECT as UPLOAD
from transcription.models import TranscriptSegment

LOW_CONFIDENCE = 0.8
# Every name that a session's dialect may have.
DIALECTS = (NativeDialect.name, RealtimeDialect.name, ListenDialect.name, UPLOAD)


class EditedFilter(admin.SimpleListFilter):
    """Whether somebody corrected the machine's text."""

    title = _("edited")
    parameter_name = "edited"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("yes", _("Yes")), ("no", _("No")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[TranscriptSegment]) -> QuerySet[TranscriptSegment]:
        match self.value():
            case "yes":
                return queryset.exclude(text=F("asr_text"))
            case "no":
                return queryset.filter(text=F("asr_text"))
        return queryset


class ConfidenceFilter(admin.SimpleListFilter):
    """How sure the recogniser was, where it says so."""

    title = _("confidence")
    parameter_name = "confidence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (
            ("low", _("Below %(limit)s") % {"limit": LOW_CONFIDENCE}),
            ("high", _("At least %(limit)s") % {"limit": LOW_CONFIDENCE}),
            ("unknown", _("Not told")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[TranscriptSegment]) -> QuerySet[TranscriptSegment]:
        match self.value():
            case "low":
                return queryset.filter(confidence__lt=LOW_CONFIDENCE)
            case "high":
                return queryset.filter(confidence__gte=LOW_CONFIDENCE)
            case "unknown":
                return queryset.filter(confidence=None)
        return queryset


class DialectFilter(admin.SimpleListFilter):
    """What the client spoke. The dialects are known; asking the table for them would read it whole."""

    title = _("dialect")
    parameter_name = "dialect"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(name, name) for name in DIALECTS] if len(DIALECTS) > 1 else ()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(dialect=self.value()) if self.value() else queryset


class ErrorFilter(admin.SimpleListFilter):
    """Whether something was said when the session ended badly."""

    title = _("errors")
    parameter_name = "errors"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("yes", _("With errors")), ("no", _("Without errors")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.filter(state__in=("interrupted", "failed"))
            case "no":
                return queryset.exclude(state__in=("interrupted", "failed"))
        return queryset
