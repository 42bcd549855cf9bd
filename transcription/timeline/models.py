"""The log of one session, a row for each thing that happened to it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SessionEvent(models.Model):
    """Something that happened to a session. Never its text: whoever may see that a session exists may read this.

    audio_ms: how much audio had come by then, where that is known. detail: a few plain values, by kind.
    """

    class Kind(models.TextChoices):
        OPENED = "opened", _("recogniser opened")
        REOPENING = "reopening", _("recogniser left")
        REOPENED = "reopened", _("recogniser opened again")
        PAUSED = "paused", _("no audio")
        CONTINUED = "continued", _("audio again")
        LAGGING = "lagging", _("captions behind")
        WARNED = "warned", _("warning to the client")
        EXPIRING = "expiring", _("limit near")
        DETACHED = "detached", _("client away")
        RESUMED = "resumed", _("client back")
        STOP_REQUESTED = "stop_requested", _("stop asked")
        CUT_SHORT = "cut_short", _("log full")

    session = models.ForeignKey(
        "transcription.TranscriptionSession", models.CASCADE, verbose_name=_("session"), related_name="timeline"
    )
    at = models.DateTimeField(_("when"), default=timezone.now)
    kind = models.CharField(_("what"), max_length=20, choices=Kind.choices)
    audio_ms = models.PositiveBigIntegerField(_("audio received (ms)"), null=True, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        verbose_name = _("session event")
        verbose_name_plural = _("session events")
        ordering: ClassVar = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"
