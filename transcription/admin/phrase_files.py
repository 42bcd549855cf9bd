"""Text files of phrase sets: what is imported and exported."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy

from transcription.models import PhraseSet
from transcription.phrases.models import MAX_NAME_CHARACTERS
from transcription.phrases.text import (
    MAX_FILE_BYTES,
    PhrasesError,
    parse_phrases,
    read_file,
    write_phrases,
)

TEXT_TYPE = "text/plain; charset=utf-8"


class ImportForm(forms.Form):
    """into: the key of the set that is chosen first."""

    REPLACE, ADD = "replace", "add"

    file = forms.FileField(
        label=gettext_lazy("Text file"),
        widget=forms.ClearableFileInput({"accept": ".txt,text/plain"}),
        allow_empty_file=True,
    )
    into = forms.ModelChoiceField(
        label=gettext_lazy("Into"),
        queryset=PhraseSet.objects.none(),
        required=False,
        empty_label=gettext_lazy("a new phrase set"),
    )
    how = forms.ChoiceField(
        label=gettext_lazy("The phrases there"),
        choices=[
            (REPLACE, gettext_lazy("are replaced by those of the file")),
            (ADD, gettext_lazy("stay, and those of the file are added")),
        ],
        help_text=gettext_lazy("Of a set that is there already."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=MAX_NAME_CHARACTERS,
        widget=forms.TextInput({"class": "vTextField", "dir": "auto"}),
        help_text=gettext_lazy("Of a new set. Empty: the name of the file."),
    )
    language = forms.CharField(
        label=gettext_lazy("Language"),
        required=False,
        max_length=35,
        help_text=gettext_lazy("Of a new set, such as en-US. Empty: any."),
    )

    def __init__(self, data: Any = None, files: Any = None, *, into: str = "") -> None:
        # A file alone is an answer too.
        super().__init__(data, files, initial={"into": into if into.isascii() and into.isdigit() else None})
        self.fields["into"].queryset = PhraseSet.objects.order_by("name", "pk")  # type: ignore[attr-defined]

    def clean_file(self) -> list[str]:
        file = self.cleaned_data["file"]
        try:
            # A byte more than there may be: enough to see that it is too long.
            return parse_phrases(read_file(file.read(MAX_FILE_BYTES + 1)))
        except PhrasesError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        if not self.errors:
            asked["phrase_set"] = self._phrase_set(asked)
        return asked

    def _phrase_set(self, asked: dict[str, Any]) -> PhraseSet:
        """With its new phrases, not saved. Raises ValidationError."""
        into: PhraseSet | None = asked["into"]
        phrases: list[str] = asked["file"]
        if into is None:
            name = asked["name"] or str(self.files["file"]).removesuffix(".txt")[:MAX_NAME_CHARACTERS]
            phrase_set = PhraseSet(name=name, language=asked["language"])
        else:
            phrase_set = into
            if asked["how"] == self.ADD:
                phrases = [*into.phrase_list, *phrases]
        phrase_set.phrases = write_phrases(phrases)
        try:
            phrase_set.full_clean()
        except forms.ValidationError as error:
            # Of fields that this form may not have.
            raise forms.ValidationError(error.messages) from None
        return phrase_set

    def save(self) -> tuple[PhraseSet, bool]:
        """Of a valid form: the stored set, and whether it is new."""
        phrase_set: PhraseSet = self.cleaned_data["phrase_set"]
        is_new = phrase_set.pk is None
        phrase_set.changed_at = timezone.now()
        with transaction.atomic():
            phrase_set.save()
        return phrase_set, is_new


def phrase_file_response(phrase_sets: Sequence[PhraseSet]) -> HttpResponse:
    """One set as a text file, several as a ZIP of them."""
    if len(phrase_sets) == 1:
        (only,) = phrase_sets
        return _attachment(write_phrases(only.phrase_list).encode(), TEXT_TYPE, f"{_file_name(only)}.txt")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for phrase_set in phrase_sets:
            # Names need not differ where owners do, nor once they are made fit for files.
            name = f"{_file_name(phrase_set)}-{phrase_set.pk}.txt"
            archive.writestr(name, write_phrases(phrase_set.phrase_list))
    return _attachment(packed.getvalue(), "application/zip", "phrase-sets.zip")


def _file_name(phrase_set: PhraseSet) -> str:
    return slugify(phrase_set.name) or "phrases"


def _attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=disposition)
