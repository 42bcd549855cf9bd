"""Phrase sets: kept by hand, or as text files with a phrase a line."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Substr
from django.forms import ModelForm, Textarea
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from transcription.admin.choosing import NamedAutocompleteMixin
from transcription.admin.confirming import ask
from transcription.admin.display import moment, paragraph, shorten
from transcription.admin.filters import MeantForFilter
from transcription.admin.lists import ROWS_PER_PAGE
from transcription.admin.phrase_files import ImportForm, phrase_file_response
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.models import PhraseSet
from transcription.options import MAX_PHRASES, MAX_SHORT_CHARACTERS

MAX_EXPORTED_AT_ONCE = 200
SHOWN_CHARACTERS = 200


@admin.register(PhraseSet)
class PhraseSetAdmin(NamedAutocompleteMixin):
    list_display = ("name", "shown_language", "beginning", "how_many", "boost", "whose", "changed")
    list_filter = (MeantForFilter, ("owner", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "phrases")
    search_help_text = gettext_lazy("A part of the name, or of a phrase")
    ordering = ("name", "pk")
    list_select_related = ("owner",)
    list_per_page = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = ShowFacets.ALLOW
    autocomplete_fields = ("owner",)
    fields = ("name", "owner", "language", "boost", "phrases")
    actions = ("export_files", "import_file")
    change_list_template = "admin/transcription/phraseset/change_list.html"
    MADE, EDITED = AuditEvent.What.MADE, AuditEvent.What.EDITED

    class PhraseSetForm(ModelForm):
        class Meta:
            model = PhraseSet
            fields = ("name", "owner", "language", "boost", "phrases")
            widgets: ClassVar = {"phrases": Textarea({"rows": 16, "cols": 60, "dir": "auto", "spellcheck": "false"})}

    form = PhraseSetForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhraseSet]:
        found: QuerySet[PhraseSet] = super().get_queryset(request)
        match = request.resolver_match
        if request.method == "GET" and match is not None and (match.url_name or "").endswith("changelist"):
            # Sets of 500 phrases are long, and the list shows the beginning.
            return found.defer("phrases").annotate(start=Substr("phrases", 1, SHOWN_CHARACTERS))
        return found

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.import_view)
        return [path("import/", view, name="transcription_phraseset_import"), *super().get_urls()]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "may_import": self.has_import_permission(request)}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def save_model(self, request: HttpRequest, obj: PhraseSet, form: ModelForm[Any], change: bool) -> None:
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)
        self._note(obj, self.EDITED if change else self.MADE)

    def delete_model(self, request: HttpRequest, obj: PhraseSet) -> None:
        self._note(obj, AuditEvent.What.DELETED)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PhraseSet]) -> None:
        for phrase_set in queryset:
            self.delete_model(request, phrase_set)

    def _note(self, phrase_set: PhraseSet, what: AuditEvent.What) -> None:
        record(what, phrase_set, phrases=phrase_set.phrase_count, language=phrase_set.language)

    # Text files

    @admin.action(permissions=["view"], description=gettext_lazy("Export selected phrase sets"))
    def export_files(self, request: HttpRequest, queryset: QuerySet[PhraseSet]) -> HttpResponse | None:
        chosen = list(queryset[: MAX_EXPORTED_AT_ONCE + 1])
        if len(chosen) > MAX_EXPORTED_AT_ONCE:
            text = _("At most %(limit)d phrase sets can be exported at once.") % {"limit": MAX_EXPORTED_AT_ONCE}
            self.message_user(request, text, messages.ERROR)
            return None
        return phrase_file_response(chosen)

    @admin.action(permissions=["import"], description=gettext_lazy("Import a text file into the selected phrase set"))
    def import_file(self, request: HttpRequest, queryset: QuerySet[PhraseSet]) -> HttpResponse | None:
        chosen = list(queryset.values_list("pk", flat=True)[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one phrase set to import into."), messages.WARNING)
            return None
        return HttpResponseRedirect(f"{reverse('admin:transcription_phraseset_import')}?into={chosen[0]}")

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """A text file becomes a phrase set, or takes the place of one's phrases, or is added to them."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None, into=request.GET.get("into", ""))
        if not form.is_valid():
            return self._ask_for_file(request, form)
        phrase_set, is_new = form.save()
        self._note(phrase_set, self.MADE if is_new else self.EDITED)
        count = phrase_set.phrase_count
        text = ngettext("%(name)s has %(count)d phrase now.", "%(name)s has %(count)d phrases now.", count)
        said = text % {"name": phrase_set.name, "count": count}
        log = self.log_addition if is_new else self.log_change
        log(request, phrase_set, [{"added": {}}] if is_new else _("Imported a text file."))
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:transcription_phraseset_changelist"))

    def _ask_for_file(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        explanation = _(
            "A text file in UTF-8 with a phrase on each line: at most %(phrases)d phrases of at most %(characters)d "
            "characters. Empty lines and phrases that come again are left out."
        ) % {"phrases": MAX_PHRASES, "characters": MAX_SHORT_CHARACTERS}
        title = _("Import phrases")
        return ask(self, request, "", [], title=title, explanation=explanation, form=form, is_harmful=False)

    # Lists

    @admin.display(description=gettext_lazy("language"), ordering="language")
    def shown_language(self, phrase_set: PhraseSet) -> str:
        return phrase_set.language or _("any")

    @admin.display(description=gettext_lazy("phrases"))
    def beginning(self, phrase_set: Any) -> str:
        return paragraph(shorten(", ".join(phrase_set.start.split("\n"))))

    @admin.display(description=gettext_lazy("number"), ordering="phrase_count")
    def how_many(self, phrase_set: PhraseSet) -> int:
        return phrase_set.phrase_count

    @admin.display(description=gettext_lazy("whose"), ordering="owner__username")
    def whose(self, phrase_set: PhraseSet) -> str:
        return phrase_set.owner.get_username() if phrase_set.owner is not None else _("everybody's")

    @admin.display(description=gettext_lazy("changed"), ordering="changed_at")
    def changed(self, phrase_set: PhraseSet) -> str | None:
        return moment(phrase_set.changed_at)
