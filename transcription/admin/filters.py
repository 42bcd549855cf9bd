"""Filters of the admin's lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import CharField, F, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from transcription.dialects.listen import ListenDialect
from transcription.dialects.native import NativeDialect
from transcription.dialects.realtime import RealtimeDialect
from transcription.files.engine import DIALECT as UPLOAD
from transcription.identity.scopes import Scope
from transcription.models import ApiKey, PhraseSet, TranscriptSegment
from transcription.past.filters import SOURCES, is_at_review
from transcription.search.error_index import has_errors

LOW_CONFIDENCE = 0.8
MAX_LANGUAGES = 100
# Every name that a session's dialect may have.
DIALECTS = (NativeDialect.name, RealtimeDialect.name, ListenDialect.name, UPLOAD)


class ValuesFilter(admin.AllValuesFieldListFilter):
    """All values of a field, where the empty one has a name too."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or _("None")}


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

    title = _("source")
    parameter_name = "dialect"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return SOURCES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(dialect=self.value()) if self.value() else queryset


class ErrorFilter(admin.SimpleListFilter):
    """Whether a session was not completed, or lost audio."""

    title = _("errors")
    parameter_name = "errors"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("yes", _("With errors")), ("no", _("Without errors")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.filter(has_errors())
            case "no":
                return queryset.exclude(has_errors())
        return queryset


class ReviewFilter(admin.SimpleListFilter):
    """How far people have gone through the transcript."""

    title = _("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (
            ("reviewed", _("Reviewed")),
            ("started", _("Edited, not reviewed")),
            ("open", _("Not reviewed")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(is_at_review(self.value() or "")) if self.value() else queryset


class MeantForFilter(admin.SimpleListFilter):
    """The language of phrase sets, those for any language apart."""

    title = _("language")
    parameter_name = "language"
    ANY = "any"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        used = PhraseSet.objects.exclude(language="").order_by("language").values_list("language", flat=True)
        return [(self.ANY, _("Any language")), *((language, language) for language in used.distinct()[:MAX_LANGUAGES])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PhraseSet]) -> QuerySet[PhraseSet]:
        if not self.value():
            return queryset
        return queryset.filter(language="" if self.value() == self.ANY else self.value())


class ScopeFilter(admin.SimpleListFilter):
    """What a key may be used for."""

    title = _("scope")
    parameter_name = "scope"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(scope.value, scope.value) for scope in Scope]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() not in set(Scope):
            return queryset
        # A list of a few words, as JSON text: SQLite has no test for what is in it.
        return queryset.alias(words=Cast("scopes", CharField())).filter(words__contains=f'"{self.value()}"')
