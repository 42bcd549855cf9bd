"""What of the numbers somebody asks to see; all of it stands in the query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.daily.grouping import By, usual_by

HEADINGS = {
    By.DAY.value: _("Day"),
    By.WEEK.value: _("Week"),
    By.MONTH.value: _("Month"),
    By.LANGUAGE.value: _("Language"),
    By.KEY.value: _("Key"),
}
USUAL_DAYS = 30
MAX_DAYS = 366


@dataclass(frozen=True, slots=True)
class Asked:
    """since, until: the first and the last day (UTC). key_number: None for all, 0 for people."""

    by: By
    since: date
    until: date
    language: str
    key_number: int | None


class NumbersForm(forms.Form):
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}))
    by = forms.TypedChoiceField(
        label=_("By"),
        required=False,
        coerce=By,
        empty_value=None,
        choices=[("", _("As fits the time")), *HEADINGS.items()],
    )
    language = forms.CharField(label=_("Language"), required=False, max_length=35, widget=forms.Select)
    key = forms.IntegerField(label=_("Key"), required=False, min_value=0, max_value=2**62, widget=forms.Select)

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        today = timezone.now().astimezone(UTC).date()
        until = asked.get("until") or today
        try:
            since = asked.get("since") or until - timedelta(days=USUAL_DAYS - 1)
        except OverflowError:
            since = until
        if not self.errors and not 0 <= (until - since).days < MAX_DAYS:
            self.add_error("since", _("Choose 1 to %(limit)d days.") % {"limit": MAX_DAYS})
        asked["since"], asked["until"] = since, until
        return asked

    def offer(self, languages: list[str], keys: dict[int, str]) -> None:
        """Fill the choices with what there is, and what was chosen."""
        chosen = self.data.get("language", "")
        shown = sorted({*languages, chosen} - {""})
        self.fields["language"].widget.choices = [("", _("All languages")), *((each, each) for each in shown)]
        named = sorted(keys.items(), key=lambda item: (item[0] != 0, item[1].lower()))
        self.fields["key"].widget.choices = [("", _("All keys")), *named]

    def asked(self, *, by_day: bool = False) -> Asked:
        """Of a valid form. by_day: where nothing else was asked for, however many days there are."""
        asked = self.cleaned_data
        since, until = asked["since"], asked["until"]
        by = asked["by"] or (By.DAY if by_day else usual_by(since, until))
        return Asked(by, since, until, asked["language"], asked["key"])
