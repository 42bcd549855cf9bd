"""What is asked before an action on sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcription.retention.models import MAX_DAYS, MAX_REASON_CHARACTERS
from transcription.services import MAX_STOP_REASON_CHARACTERS


class StopForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=MAX_STOP_REASON_CHARACTERS,
        widget=forms.TextInput({"class": "vTextField", "dir": "auto", "autofocus": True}),
        help_text=gettext_lazy("Shown to the speaker and kept with the session."),
    )


class RetentionForm(forms.Form):
    """choices: of RULES, DAYS, PROTECT and UNPROTECT those that may be chosen."""

    RULES, DAYS, PROTECT, UNPROTECT = "rules", "days", "protect", "unprotect"
    LABELS = (
        (RULES, gettext_lazy("As the rules and settings say")),
        (DAYS, gettext_lazy("Delete after so many days from today")),
        (PROTECT, gettext_lazy("Protect, so that nobody and no rule deletes it")),
        (UNPROTECT, gettext_lazy("End the protection")),
    )

    keep = forms.ChoiceField(label=gettext_lazy("Retention"), widget=forms.RadioSelect)
    days = forms.IntegerField(
        label=gettext_lazy("Days"),
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        widget=forms.NumberInput({"class": "vIntegerField"}),
        help_text=gettext_lazy("From today, for what is to be deleted then."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=MAX_REASON_CHARACTERS,
        widget=forms.TextInput({"class": "vTextField", "dir": "auto"}),
        help_text=gettext_lazy("Of the protection; shown to whoever wants to delete it."),
    )

    def __init__(self, data: Any = None, *, choices: Sequence[str]) -> None:
        super().__init__(data)
        labels = [(name, label) for name, label in self.LABELS if name in choices]
        self.fields["keep"].choices = labels  # type: ignore[attr-defined]
        self.fields["keep"].initial = labels[0][0] if labels else None

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        if asked.get("keep") == self.DAYS and not asked.get("days") and "days" not in self.errors:
            self.add_error("days", _("Say after how many days."))
        if asked.get("keep") == self.PROTECT and not asked.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Say why they are to be protected."))
        return asked
