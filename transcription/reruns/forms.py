"""How a recording shall be heard once more, as the page asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from transcription.errors import BadConfig
from transcription.models import PhraseSet, TranscriptionSession
from transcription.options import MAX_PHRASES, MAX_SHORT_CHARACTERS
from transcription.phrases.models import DEFAULT_BOOST
from transcription.phrases.text import PhrasesError, parse_phrases, write_phrases
from transcription.reruns.asking import options_for
from transcription.reruns.offering import languages_of
from transcription.riva.offer import RivaModel

MAX_PHRASES_CHARACTERS = MAX_PHRASES * (MAX_SHORT_CHARACTERS + 2)
# Which field of the form an option comes from.
FIELD_OF = {"language": "language", "model": "model", "speech_contexts": "phrases", "endpointing": "stop_history"}


class RerunForm(forms.Form):
    language = forms.CharField(label=_("Language"), max_length=35)
    model = forms.CharField(
        label=_("Model"),
        required=False,
        max_length=MAX_SHORT_CHARACTERS,
        help_text=_("Empty: the recogniser's choice."),
    )
    phrase_set = forms.ModelChoiceField(
        label=_("Phrase set"), queryset=PhraseSet.objects.none(), required=False, empty_label=_("None")
    )
    phrases = forms.CharField(
        label=_("Phrases to expect"),
        required=False,
        max_length=MAX_PHRASES_CHARACTERS,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("One a line."),
    )
    boost = forms.FloatField(label=_("Boost of the phrases"), required=False, min_value=-100, max_value=100)
    stop_history = forms.IntegerField(
        label=_("Silence that ends an utterance (ms)"),
        required=False,
        min_value=1,
        max_value=60_000,
        help_text=_("Empty: as the recogniser does it."),
    )

    def __init__(
        self, session: TranscriptionSession, offered: Sequence[RivaModel], sets: QuerySet[PhraseSet], data: Any = None
    ) -> None:
        """sets: of phrases, those that may be chosen from."""
        contexts = list(session.options_asked.get("speech_contexts") or [])
        phrase_set = _set_among(contexts, sets)
        initial = {
            "language": session.language,
            "model": session.options_asked.get("model", ""),
            "phrase_set": phrase_set,
            "phrases": "\n".join(phrase for context in contexts for phrase in context.get("phrases", [])),
            "boost": contexts[0].get("boost", DEFAULT_BOOST) if contexts else DEFAULT_BOOST,
            "stop_history": (session.options_asked.get("endpointing") or {}).get("stop_history"),
        }
        super().__init__(data, initial=initial)
        self._session = session
        self._offered = offered
        languages = sorted(languages_of(offered) or {session.language})
        chosen = [] if session.language in languages else [(session.language, session.language)]
        self.fields["language"].widget = forms.Select(choices=[*chosen, *((each, each) for each in languages)])
        if offered:
            names = sorted({model.name for model in offered} | {initial["model"]} - {""})
            choices = [("", _("The recogniser's choice")), *((name, name) for name in names)]
            self.fields["model"].widget = forms.Select(choices=choices)
            self.fields["model"].help_text = ""
        self.fields["phrase_set"].queryset = sets.order_by("name", "pk")  # type: ignore[attr-defined]

    def clean_phrases(self) -> list[str]:
        text: str = self.cleaned_data["phrases"]
        if not text.strip():
            return []
        try:
            return parse_phrases(text)
        except PhrasesError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                options_for(self._session, self.changes(), self._offered)
            except BadConfig as error:
                self.add_error(FIELD_OF.get((error.field or "").partition(".")[0]), error.message)
        return cleaned

    def changes(self) -> dict[str, Any]:
        """Of a valid form: the options that it has."""
        asked = self.cleaned_data
        boost = DEFAULT_BOOST if asked["boost"] is None else asked["boost"]
        contexts = [asked["phrase_set"].speech_context.model_dump()] if asked["phrase_set"] else []
        if asked["phrases"]:
            contexts.append({"phrases": asked["phrases"], "boost": boost})
        endpointing = dict(self._session.options_asked.get("endpointing") or {})
        endpointing.pop("stop_history", None)
        if asked["stop_history"] is not None:
            endpointing["stop_history"] = asked["stop_history"]
        return {
            "language": asked["language"],
            "model": asked["model"],
            "speech_contexts": contexts,
            "endpointing": endpointing,
        }


def _set_among(contexts: list[dict[str, Any]], sets: QuerySet[PhraseSet]) -> PhraseSet | None:
    """The set that a session was started with, if it is still the same; its context is taken out."""
    for context in contexts:
        phrases = write_phrases(context.get("phrases", [])).rstrip("\n")
        found = sets.filter(phrases=phrases, boost=context.get("boost", DEFAULT_BOOST)).first()
        if found is not None:
            contexts.remove(context)
            return found
    return None
