"""Rules, protections and what is left of deleted sessions."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.models import ApiKey, TranscriptionSession

MAX_DAYS = 36_500
MAX_REASON_CHARACTERS = 300


class RetentionRule(models.Model):
    """Sessions that match and ended so many days ago are deleted, or their audio alone. Empty fields match all.

    metadata_value is asked for only where there is a metadata_key.
    """

    class Takes(models.TextChoices):
        SESSION = "session", _("The whole session")
        AUDIO = "audio", _("Its audio alone")

    name = models.CharField(_("name"), max_length=100, unique=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    takes = models.CharField(_("takes"), max_length=7, choices=Takes.choices, default=Takes.SESSION)
    after_days = models.PositiveIntegerField(
        _("days after the end"), validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)]
    )
    language = models.CharField(_("language"), max_length=35, blank=True, help_text=_("Such as en-US; empty: any."))
    api_key = models.ForeignKey(
        ApiKey,
        # A rule whose key is gone would match everybody.
        models.CASCADE,
        verbose_name=_("API key"),
        null=True,
        blank=True,
        related_name="+",
    )
    metadata_key = models.CharField(_("metadata key"), max_length=200, blank=True)
    metadata_value = models.CharField(_("metadata value"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Protection(models.Model):
    """A session that neither a rule nor a person deletes as long as this is there. The database itself refuses."""

    session = models.OneToOneField(
        TranscriptionSession, models.PROTECT, verbose_name=_("session"), related_name="protection"
    )
    reason = models.CharField(_("reason"), max_length=MAX_REASON_CHARACTERS)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("protected by"), null=True, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, models.SET_NULL, verbose_name=_("protected with"), null=True, related_name="+")
    protected_by = models.CharField(_("name"), max_length=150, blank=True)
    protected_at = models.DateTimeField(_("since"), default=timezone.now)

    class Meta:
        verbose_name = _("protection")
        verbose_name_plural = _("protections")
        default_permissions = ("add", "delete")
        ordering: ClassVar = ["-protected_at"]

    def __str__(self) -> str:
        return self.reason


class OwnTerm(models.Model):
    """When a session is deleted, with its audio, whatever the rules and settings say."""

    session = models.OneToOneField(
        TranscriptionSession, models.CASCADE, primary_key=True, verbose_name=_("session"), related_name="own_term"
    )
    ends_at = models.DateTimeField(_("deleted from"), db_index=True)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("set by"), null=True, related_name="+", db_index=False
    )

    class Meta:
        verbose_name = _("term of a session")
        verbose_name_plural = _("terms of sessions")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.session_id}: {self.ends_at}"


class Tombstone(models.Model):
    """What is left of a session that was deleted: times and counts, nothing that was said.

    Noted before the first piece goes, so that a deletion which is cut short is seen and finished. session_key: of the
    row, until it is gone. reruns: how many sessions went with it; each has a tombstone of its own, whose rerun_of is
    the id of this one. rows: how many went of each model, its own row left out. finished_at: from when on a look at
    every table found nothing of it. scrubbed_at: from when on its words are neither in the search index's old parts nor
    in free pages of SQLite's file.
    """

    session_key = models.BigIntegerField(null=True, editable=False)
    public_id = models.CharField(_("id"), max_length=64, db_index=True)
    deleted_by = models.CharField(_("deleted by"), max_length=150, blank=True)
    rule = models.CharField(_("rule"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("session created"), null=True)
    started_at = models.DateTimeField(_("session started"), null=True)
    ended_at = models.DateTimeField(_("session ended"), null=True)
    audio_ms = models.PositiveBigIntegerField(_("audio heard (ms)"), default=0)
    segments = models.PositiveIntegerField(_("segments"), default=0)
    versions = models.PositiveIntegerField(_("versions in the history"), default=0)
    reruns = models.PositiveIntegerField(_("sessions of reruns that went along"), default=0)
    rerun_of = models.CharField(_("rerun of"), max_length=64, blank=True, db_index=True)
    rows = models.JSONField(_("rows of each table"), default=dict)
    deliveries = models.PositiveIntegerField(_("webhook deliveries"), default=0)
    audio_files = models.PositiveIntegerField(_("audio files"), default=0)
    audio_file_bytes = models.PositiveBigIntegerField(_("audio files (bytes)"), default=0)
    began_at = models.DateTimeField(_("deletion began"), default=timezone.now)
    finished_at = models.DateTimeField(_("deleted"), null=True)
    scrubbed_at = models.DateTimeField(_("overwritten"), null=True)

    class Meta:
        verbose_name = _("tombstone")
        verbose_name_plural = _("tombstones")
        default_permissions = ("view",)
        ordering: ClassVar = ["-began_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-began_at", "-id"], name="tombstone_newest"),
            models.Index(fields=["began_at"], name="tombstone_unfinished", condition=models.Q(finished_at=None)),
            models.Index(fields=["finished_at"], name="tombstone_unscrubbed", condition=models.Q(scrubbed_at=None)),
        ]

    def __str__(self) -> str:
        return self.public_id
