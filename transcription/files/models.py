"""A long file that is transcribed while nobody waits."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.jobs.leased_row import LeasedRow

# Of the sessions of jobs that hear a kept recording once more.
RERUN_DIALECT = "rerun"


class FileJob(LeasedRow):
    """One uploaded file from `queued` to an end.

    stored_name: of the file in the folder of uploads, "" once it is deleted. storage_id: of that folder, since
    only processes that have it can do the work. rerun_of: whose kept recording is heard once more; then there is no
    uploaded file. options: as the client asked. heard_ms: of duration_ms, how much is
    settled in the session.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    public_id = models.CharField(_("id"), max_length=64, unique=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # Unlike a session, which is a record, a job is work to do, and nobody is left whom it is for.
        models.CASCADE,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="file_jobs",
    )
    api_key = models.ForeignKey(
        "transcription.ApiKey",
        models.CASCADE,
        verbose_name=_("API key"),
        null=True,
        blank=True,
        related_name="file_jobs",
    )
    session = models.ForeignKey(
        "transcription.TranscriptionSession",
        models.SET_NULL,
        verbose_name=_("transcription session"),
        null=True,
        blank=True,
        related_name="file_jobs",
    )
    rerun_of = models.ForeignKey(
        "transcription.TranscriptionSession",
        models.CASCADE,
        verbose_name=_("rerun of"),
        null=True,
        blank=True,
        related_name="reruns",
    )
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.QUEUED)
    file_name = models.CharField(_("file name"), max_length=200, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), default=0)
    stored_name = models.CharField(max_length=64, blank=True, editable=False)
    storage_id = models.CharField(max_length=64, blank=True, editable=False)
    options = models.JSONField(_("options"), default=dict, blank=True)
    client_address = models.GenericIPAddressField(_("client address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    duration_ms = models.PositiveBigIntegerField(_("audio (ms)"), null=True, blank=True)
    heard_ms = models.PositiveBigIntegerField(_("heard (ms)"), default=0)
    error_code = models.PositiveIntegerField(_("error"), null=True, blank=True)
    error_reason = models.CharField(_("error reason"), max_length=40, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("file job")
        verbose_name_plural = _("file jobs")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            # What the runner looks for: of all rows only those that are not done with.
            models.Index(fields=["due_at", "id"], name="filejob_due", condition=models.Q(due_at__isnull=False)),
            models.Index(fields=["-created_at", "-id"], name="filejob_newest"),
            # The list by state: of those that failed there are few, as of those that are not done.
            models.Index(fields=["state", "-created_at", "-id"], name="filejob_state_newest"),
            models.Index(fields=["owner", "-created_at"], name="filejob_owner_newest"),
            models.Index(fields=["api_key", "-created_at"], name="filejob_key_newest"),
        ]

    def __str__(self) -> str:
        return self.file_name or self.public_id

    @property
    def has_ended(self) -> bool:
        return self.state in (self.State.COMPLETED, self.State.FAILED, self.State.CANCELLED)

    @property
    def progress(self) -> float:
        """How much of the audio is settled, 0.0-1.0; 1.0 exactly when the job is completed."""
        if self.state == self.State.COMPLETED:
            return 1.0
        return min(0.999, self.heard_ms / self.duration_ms) if self.duration_ms else 0.0
