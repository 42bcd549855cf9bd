"""What a table needs so that its rows can be worked at by one process at a time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class LeasedRow(models.Model):
    """A row with work to do. Written through leases.py alone.

    due_at: not before this; None: nothing is left to do. lease_until, lease_holder: who works at it, as long as that
    process goes on saying so. attempts: how often it was begun, this time included.
    """

    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True, editable=False)
    lease_holder = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)

    class Meta:
        abstract = True
