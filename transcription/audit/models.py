"""Entries of the audit log."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from transcription.models import ApiKey


class AuditEvent(models.Model):
    """Something that somebody did or saw. Written by recording.py, changed by nobody.

    actor: the name of the user or key as it was then; it stays when they are deleted. object_type, object_id: the
    model's name and what people know the object by. details: facts and counts, never secrets or text of transcripts.
    once: where the same is noted once an hour only, what makes it the same.
    """

    class What(models.TextChoices):
        WATCHED = "watched", _("Watched a session")
        WATCHED_CONSOLE = "watched_console", _("Watched the live sessions")
        SEARCHED = "searched", _("Searched transcripts")
        LISTENED = "listened", _("Listened to audio")
        EXPORTED = "exported", _("Exported a transcript")
        EXPORTED_MANY = "exported_many", _("Exported transcripts")
        EDITED = "edited", pgettext_lazy("audit", "Edited")
        DELETED = "deleted", pgettext_lazy("audit", "Deleted")
        DELETED_AUDIO = "deleted_audio", _("Deleted audio")
        STOPPED = "stopped", _("Stopped a session")
        CANCELLED = "cancelled", _("Cancelled a job")
        DISABLED = "disabled", _("Disabled a webhook")
        PROTECTED = "protected", _("Protected a session")
        UNPROTECTED = "unprotected", _("Ended a protection")
        MADE = "made", _("Made")
        REVOKED = "revoked", _("Revoked a key")
        RIGHTS_CHANGED = "rights_changed", _("Changed rights")
        LOGIN_FAILED = "login_failed", _("Failed to log in")
        LOCKED_OUT = "locked_out", _("Was locked out")

    class ActorKind(models.TextChoices):
        USER = "user", _("User")
        KEY = "key", _("Key")
        TOKEN = "token", _("Token")
        LOCAL = "local", _("This machine")
        COMMAND = "command", _("Command")
        RULE = "rule", _("Rule")
        NOBODY = "nobody", _("Nobody known")

    at = models.DateTimeField(_("when"), default=timezone.now)
    what = models.CharField(_("what"), max_length=16, choices=What.choices)
    actor_kind = models.CharField(_("kind"), max_length=8, choices=ActorKind.choices)
    actor = models.CharField(_("who"), max_length=150, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, verbose_name=_("user"), null=True, blank=True, related_name="+"
    )
    api_key = models.ForeignKey(
        ApiKey, models.SET_NULL, verbose_name=_("API key"), null=True, blank=True, related_name="+"
    )
    object_type = models.CharField(_("object"), max_length=40, blank=True)
    object_id = models.CharField(_("id"), max_length=150, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    once = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001 - unique if it is set

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        default_permissions = ("view",)
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["what", "-at", "-id"], name="audit_what_newest"),
            models.Index(fields=["object_id", "-at"], name="audit_object_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.object_type} {self.object_id}".strip()
