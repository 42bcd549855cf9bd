"""What people keep about the list of past sessions."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_NAME_CHARACTERS = 80
MAX_QUERY_CHARACTERS = 2000


class SavedView(models.Model):
    """Filters of the list under a name, for one user. query: a query string as saved_views.clean_query makes it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        related_name="saved_views",
        db_index=False,  # saved_view_name_once_per_user begins with it
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_CHARACTERS)
    query = models.CharField(_("filters"), max_length=MAX_QUERY_CHARACTERS, blank=True)
    is_default = models.BooleanField(_("shown first"), default=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering: ClassVar = ["name", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="saved_view_name_once_per_user"),
            models.UniqueConstraint(
                fields=["user"], name="saved_view_one_default_per_user", condition=Q(is_default=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ReviewAssignment(models.Model):
    """Who shall review a session's transcript."""

    session = models.OneToOneField(
        "transcription.TranscriptionSession",
        models.CASCADE,
        primary_key=True,
        verbose_name=_("session"),
        related_name="review_assignment",
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("reviewer"), related_name="review_assignments"
    )
    assigned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("assigned by"),
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # nobody looks for it
    )
    assigned_at = models.DateTimeField(_("assigned"), default=timezone.now)

    class Meta:
        verbose_name = _("review assignment")
        verbose_name_plural = _("review assignments")

    def __str__(self) -> str:
        return f"{self.session_id}: {self.reviewer_id}"
