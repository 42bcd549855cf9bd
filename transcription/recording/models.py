"""The audio of a session that is kept."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.jobs.leased_row import LeasedRow


class SessionRecording(LeasedRow):
    """One session's audio, from its start until it is deleted. Without a session: still to be deleted.

    folder: of its parts. name: of the finished file in the storage "recordings"; "" while there is none.
    reached_bytes: how far the kept audio goes, as the session counts. missing: [start_ms, end_ms) within that which
    nobody received or wrote; it is silence in the file. peaks: a byte for each peak_ms, 255 for full scale.
    needs_repair: whether audio that no final covers may have to be heard before the session is given up.
    """

    class State(models.TextChoices):
        RECORDING = "recording", _("Recording")
        COMPLETE = "complete", _("Complete")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")
        DELETED = "deleted", _("Deleted")

    session = models.OneToOneField(
        "transcription.TranscriptionSession",
        models.SET_NULL,
        verbose_name=_("transcription session"),
        null=True,
        related_name="recording",
    )
    folder = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.RECORDING)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    format = models.CharField(_("format"), max_length=8, blank=True)
    name = models.CharField(_("name in the storage"), max_length=255, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), default=0)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    duration_ms = models.PositiveBigIntegerField(_("length (ms)"), default=0)
    reached_bytes = models.PositiveBigIntegerField(_("audio kept (bytes)"), default=0)
    missing = models.JSONField(_("not received (ms)"), default=list, blank=True)
    peaks = models.BinaryField(editable=False, default=bytes)
    peak_ms = models.PositiveIntegerField(default=0, editable=False)
    needs_repair = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    class Meta:
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            # What is looked for every few seconds: of all rows only those that something is to be done with.
            models.Index(fields=["due_at", "id"], name="recording_unfinished", condition=Q(state="recording")),
            models.Index(fields=["id"], name="recording_orphaned", condition=Q(session__isnull=True)),
            models.Index(
                fields=["finished_at"], name="recording_kept", condition=Q(state__in=("complete", "partial", "failed"))
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.folder

    @property
    def is_kept(self) -> bool:
        """Whether there is a file to hear."""
        return self.state in (self.State.COMPLETE, self.State.PARTIAL)
