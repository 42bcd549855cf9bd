"""Reviews of sessions: passages that people changed, every change, who edits what right now, and notes."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.models import TranscriptionSession

MAX_AUTHOR_CHARACTERS = 200
MAX_SPEAKER_CHARACTERS = 64
MAX_NOTE_CHARACTERS = 2000


class Review(models.Model):
    """The work on one session's transcript. version: the number of its last change; 0: none yet."""

    session = models.OneToOneField(
        TranscriptionSession, models.CASCADE, primary_key=True, verbose_name=_("session"), related_name="review"
    )
    version = models.PositiveIntegerField(_("version"), default=0)
    changed_at = models.DateTimeField(_("changed"), null=True, blank=True)
    reviewed_at = models.DateTimeField(_("reviewed"), null=True, blank=True)
    reviewed_by = models.CharField(_("reviewed by"), max_length=MAX_AUTHOR_CHARACTERS, blank=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")

    def __str__(self) -> str:
        return str(self.session_id)


class ReviewPassage(models.Model):
    """A passage that differs, or differed, from the machine's segment; see passages.py for the fields."""

    session = models.ForeignKey(TranscriptionSession, models.CASCADE, related_name="+", db_index=False)
    index = models.PositiveIntegerField()
    part = models.PositiveIntegerField(default=0)
    place = models.FloatField(default=0.0)
    last_index = models.PositiveIntegerField()
    heard_from = models.PositiveIntegerField(default=0)
    heard_to = models.PositiveIntegerField()
    start_ms = models.PositiveBigIntegerField(_("start (ms)"))
    end_ms = models.PositiveBigIntegerField(_("end (ms)"))
    text = models.TextField(_("text"), blank=True)
    speaker = models.CharField(_("speaker"), max_length=MAX_SPEAKER_CHARACTERS, blank=True)
    reviewed = models.BooleanField(_("reviewed"), default=False)
    version = models.PositiveIntegerField(_("version"))

    class Meta:
        verbose_name = _("changed passage")
        verbose_name_plural = _("changed passages")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "index", "part"], name="passage_once_per_session"),
        ]

    def __str__(self) -> str:
        return f"{self.index}.{self.part}: {self.text[:60]}"


class ReviewChange(models.Model):
    """An entry of the history. items: see changes.py. details: what was asked for, such as the texts of a replacement.

    by: the author's name as it was then. target: the entry that was undone, or the one to which it was restored.
    """

    class Kind(models.TextChoices):
        EDIT = "edit", _("Edited")
        SPLIT = "split", _("Split")
        MERGE = "merge", _("Merged")
        SPEAKER = "speaker", _("Speaker named")
        REPLACE = "replace", _("Replaced")
        CHECK = "check", _("Segments marked")
        REVIEWED = "reviewed", _("Marked reviewed")
        REOPENED = "reopened", _("Reopened")
        UNDO = "undo", _("Undone")
        RESTORE = "restore", _("Restored")

    session = models.ForeignKey(TranscriptionSession, models.CASCADE, related_name="review_changes", db_index=False)
    number = models.PositiveIntegerField(_("number"))
    kind = models.CharField(_("what"), max_length=10, choices=Kind.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    by = models.CharField(_("who"), max_length=MAX_AUTHOR_CHARACTERS)
    at = models.DateTimeField(_("when"), default=timezone.now)
    target = models.PositiveIntegerField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)
    items = models.JSONField(default=list, blank=True)
    item_count = models.PositiveIntegerField(_("segments"), default=0)

    class Meta:
        verbose_name = _("change of a transcript")
        verbose_name_plural = _("changes of transcripts")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "number"], name="review_change_once_per_session"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.kind}"


class EditLock(models.Model):
    """Somebody edits a passage right now. holder: who, as principals are told apart."""

    session = models.ForeignKey(TranscriptionSession, models.CASCADE, related_name="+", db_index=False)
    index = models.PositiveIntegerField()
    part = models.PositiveIntegerField(default=0)
    holder = models.CharField(max_length=60)
    by = models.CharField(_("who"), max_length=MAX_AUTHOR_CHARACTERS)
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("edit lock")
        verbose_name_plural = _("edit locks")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "index", "part"], name="edit_lock_once_per_passage"),
        ]

    def __str__(self) -> str:
        return self.by


class SessionNote(models.Model):
    """A bookmark or note at a time of a session's audio."""

    class Kind(models.TextChoices):
        BOOKMARK = "bookmark", _("Bookmark")
        NOTE = "note", _("Note")

    session = models.ForeignKey(TranscriptionSession, models.CASCADE, related_name="notes", db_index=False)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    time_ms = models.PositiveBigIntegerField(_("time (ms)"))
    text = models.TextField(_("text"), max_length=MAX_NOTE_CHARACTERS, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    holder = models.CharField(max_length=60, editable=False)
    by = models.CharField(_("who"), max_length=MAX_AUTHOR_CHARACTERS)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), null=True, blank=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering: ClassVar = ["time_ms", "pk"]
        indexes: ClassVar = [models.Index(fields=["session", "time_ms"], name="session_note_time")]

    def __str__(self) -> str:
        return self.text[:60] or self.kind
