"""The form in which people choose a file; its fields are those of the HTTP API's query."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from transcription.exports.options import (
    MAX_CHARACTERS_PER_SECOND,
    MAX_LEAST_CUE_MS,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    MIN_LINE_CHARACTERS,
    ExportOptions,
)

FORMATS = [
    ("txt", _("TXT: plain text")),
    ("docx", _("DOCX: document")),
    ("srt", _("SRT: subtitles (SubRip)")),
    ("vtt", _("VTT: subtitles (WebVTT)")),
    ("csv", _("CSV: table")),
    ("json", _("JSON: all there is, with words")),
]
USUAL = ExportOptions()


class _Choice(forms.TypedChoiceField):
    """Yes, no, or as usual for the format (None)."""

    def __init__(self, label: Any) -> None:
        choices = [("", _("As usual for the format")), ("true", _("With")), ("false", _("Without"))]
        super().__init__(label=label, required=False, choices=choices, coerce=lambda value: value == "true")
        self.empty_value = None


class _Number(forms.IntegerField):
    """A whole number; left empty it is as usual."""

    def __init__(self, label: Any, least: int, most: int, usual: int) -> None:
        widget = forms.NumberInput({"placeholder": usual})
        super().__init__(label=label, required=False, min_value=least, max_value=most, widget=widget)
        self.usual = usual

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        return self.usual if found is None else found


EVERY_FORMAT = "all"


class ExportForm(forms.Form):
    """Unbound it offers what is usual. What is left out of a query is as usual."""

    format = forms.ChoiceField(label=_("File"), choices=FORMATS, initial="txt")
    text = forms.ChoiceField(
        label=_("Text"),
        required=False,
        choices=[("edited", _("As corrected by people")), ("machine", _("As recognised"))],
        initial="edited",
    )
    speakers = _Choice(_("Speakers"))
    times = _Choice(_("Times"))
    gaps = _Choice(_("Lost audio"))
    line_characters = _Number(
        _("Characters of a line"), MIN_LINE_CHARACTERS, MAX_LINE_CHARACTERS, USUAL.line_characters
    )
    lines = _Number(_("Lines"), 1, MAX_LINES, USUAL.lines)
    characters_per_second = _Number(
        _("Characters read in a second"), 0, MAX_CHARACTERS_PER_SECOND, USUAL.characters_per_second
    )
    min_cue_ms = _Number(_("Shown at least (ms)"), 0, MAX_LEAST_CUE_MS, USUAL.min_cue_ms)

    SUBTITLE_FIELDS = ("line_characters", "lines", "characters_per_second", "min_cue_ms")

    def __init__(self, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, auto_id="export_%s", initial=initial)
        for name in self.SUBTITLE_FIELDS:
            self.fields[name].initial = getattr(USUAL, name)

    def subtitle_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.SUBTITLE_FIELDS]

    def options(self) -> ExportOptions:
        """What a valid form asks for."""
        asked = {name: value for name, value in self.cleaned_data.items() if name != "format"}
        return ExportOptions(**asked | {"text": asked["text"] or "edited"})


class ZipForm(ExportForm):
    """The same for many transcripts: a file of one format for each, or of every format."""

    format = forms.ChoiceField(
        label=_("Files of the ZIP"), choices=[(EVERY_FORMAT, _("Every format")), *FORMATS], initial=EVERY_FORMAT
    )

    def formats(self) -> tuple[str, ...]:
        chosen = self.cleaned_data["format"]
        return tuple(format for format, _label in FORMATS) if chosen == EVERY_FORMAT else (chosen,)
