"""The sums of days."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from transcription.daily.figures import COUNTS, Figures


class DailyNumbers(models.Model):
    """What the sessions begun on one UTC day in one language with one key came to; what is deleted stays counted.

    key_number: of the API key, 0 for people; no reference, for the sums outlive the key. times: the histograms of
    figures.py. The other fields are those of Figures.
    """

    day = models.DateField(_("day"))
    language = models.CharField(_("language"), max_length=35)
    key_number = models.PositiveBigIntegerField(_("API key"), default=0)
    sessions = models.PositiveBigIntegerField(_("sessions"), default=0)
    failed = models.PositiveBigIntegerField(_("failed"), default=0)
    interrupted = models.PositiveBigIntegerField(_("interrupted"), default=0)
    audio_ms = models.PositiveBigIntegerField(_("audio (ms)"), default=0)
    lost_ms = models.PositiveBigIntegerField(_("audio lost (ms)"), default=0)
    segments = models.PositiveBigIntegerField(_("segments"), default=0)
    words = models.PositiveBigIntegerField(_("words"), default=0)
    rated_words = models.PositiveBigIntegerField(_("words with a confidence"), default=0)
    doubtful_words = models.PositiveBigIntegerField(_("doubtful words"), default=0)
    edited_segments = models.PositiveBigIntegerField(_("edited segments"), default=0)
    reviewed_sessions = models.PositiveBigIntegerField(_("reviewed sessions"), default=0)
    checked_words = models.PositiveBigIntegerField(_("words checked"), default=0)
    word_errors = models.PositiveBigIntegerField(_("word errors"), default=0)
    times = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        verbose_name = _("numbers of a day")
        verbose_name_plural = _("numbers by day")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "language", "key_number"], name="daily_numbers_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.language}"

    @property
    def figures(self) -> Figures:
        counts: dict[str, Any] = {name: getattr(self, name) for name in COUNTS}
        return Figures.from_json({**counts, **self.times})

    @figures.setter
    def figures(self, figures: Figures) -> None:
        for name in COUNTS:
            setattr(self, name, max(0, getattr(figures, name)))
        self.times = {name: value for name, value in figures.as_json().items() if name not in COUNTS}
