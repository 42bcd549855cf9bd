"""Named lists of phrases."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.options import LANGUAGE_PATTERN, SpeechContext
from transcription.phrases.text import PhrasesError, parse_phrases, write_phrases

MAX_NAME_CHARACTERS = 80
DEFAULT_BOOST = 20.0


class PhraseSet(models.Model):
    """Phrases to expect, under a name: as many and as long as a session may start with.

    owner: whose it is; everybody's who may record, where there is none. language: which recordings it is meant for; ""
    for any. phrases: a line each. phrase_count: how many that are.
    """

    name = models.CharField(_("name"), max_length=MAX_NAME_CHARACTERS)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="phrase_sets",
        db_index=False,  # phrase_set_name_once_per_owner begins with it
        help_text=_("Who alone is offered it. Empty: everybody."),
    )
    language = models.CharField(
        _("language"),
        max_length=35,
        blank=True,
        validators=[RegexValidator(LANGUAGE_PATTERN, _("Write it as in en-US."))],
        help_text=_("Such as en-US; empty: any language."),
    )
    phrases = models.TextField(_("phrases"), help_text=_("One a line: names and rare words."))
    phrase_count = models.PositiveIntegerField(_("phrases"), default=0, editable=False)
    boost = models.FloatField(
        _("boost"),
        default=DEFAULT_BOOST,
        validators=[MinValueValidator(-100), MaxValueValidator(100)],
        help_text=_("As Riva takes it, -100 to 100; negative: to expect them less."),
    )
    changed_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("phrase set")
        verbose_name_plural = _("phrase sets")
        ordering: ClassVar = ["name", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                name="phrase_set_name_once_per_owner",
                violation_error_message=_("This owner has a phrase set of this name already."),
            ),
            models.UniqueConstraint(
                fields=["name"],
                name="phrase_set_name_once_for_all",
                condition=Q(owner=None),
                violation_error_message=_("There is a phrase set of this name for everybody already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        self.phrase_count = len(self.phrase_list)
        super().save(*args, **options)

    def clean(self) -> None:
        self.set_phrases(self.phrases)

    @property
    def phrase_list(self) -> list[str]:
        return self.phrases.split("\n") if self.phrases else []

    def set_phrases(self, text: str) -> None:
        """Take phrases from text. Raises ValidationError, at the field `phrases` and naming the line."""
        try:
            self.phrases = write_phrases(parse_phrases(text)).rstrip("\n")
        except PhrasesError as error:
            raise ValidationError({"phrases": str(error)}) from None

    @property
    def speech_context(self) -> SpeechContext:
        """As the options of a session take it."""
        return SpeechContext(phrases=self.phrase_list, boost=self.boost)
