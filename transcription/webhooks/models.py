"""Endpoints that events go to, deliveries of events to them, and what is left to do."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.jobs.leased_row import LeasedRow
from transcription.models import ApiKey, TranscriptionSession
from transcription.webhooks import signing
from transcription.webhooks.event_types import EventType
from transcription.webhooks.targets import MAX_URL_CHARACTERS

MAX_DESCRIPTION_CHARACTERS = 200


class WebhookEndpoint(models.Model):
    """An address of another application, what it wants to hear of, and whose sessions that may be.

    owner, api_key: who made it, as of a session; an endpoint without either is this machine's own, in the
    development profile. salt, previous_salt: see signing.py. failing_since: the first of the failures after which
    nothing was delivered.
    """

    class Reach(models.TextChoices):
        OWN = "own", _("Own sessions")
        ALL = "all", _("All sessions")

    class DisabledReason(models.TextChoices):
        BY_HAND = "by_hand", _("Switched off by hand")
        GONE = "gone", _("It answered 410 Gone")
        FAILING = "failing", _("Nothing could be delivered for days")
        BACKLOG = "backlog", _("Too many events waited for it")
        SECRET = "secret", _("SECRET_KEY has changed, and its secret with it: rotate the secret")
        CREDENTIALS = "credentials", _("The key or account that made it may no longer be used")

    public_id = models.CharField(_("id"), max_length=40, unique=True, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="webhook_endpoints",
    )
    api_key = models.ForeignKey(
        ApiKey, models.CASCADE, verbose_name=_("API key"), null=True, blank=True, related_name="webhook_endpoints"
    )
    reach = models.CharField(
        _("reach"),
        max_length=3,
        choices=Reach.choices,
        default=Reach.OWN,
        help_text=_("All sessions: only as long as the owner may read every transcript."),
    )
    url = models.CharField(_("URL"), max_length=MAX_URL_CHARACTERS)
    description = models.CharField(_("description"), max_length=MAX_DESCRIPTION_CHARACTERS, blank=True)
    events = models.JSONField(_("events"), default=list)
    enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(
        _("reason"), max_length=12, choices=DisabledReason.choices, blank=True, editable=False
    )
    disabled_at = models.DateTimeField(_("disabled"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    salt = models.CharField(max_length=40, default=signing.make_salt, editable=False)
    fingerprint = models.CharField(max_length=signing.FINGERPRINT_CHARACTERS, editable=False)
    previous_salt = models.CharField(max_length=40, blank=True, editable=False)
    previous_until = models.DateTimeField(_("old secret good until"), null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    delivered_at = models.DateTimeField(_("last delivered"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering: ClassVar = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.description or self.url

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.fingerprint = signing.fingerprint(self.salt)
        super().save(*args, **kwargs)

    @property
    def secret(self) -> str:
        """The secret's text: to be shown once, where it is made."""
        return signing.secret_text(self.salt)

    @property
    def is_secret_known(self) -> bool:
        """Whether the secret is still the one that was shown; not after SECRET_KEY was changed."""
        return self.fingerprint == signing.fingerprint(self.salt)


class WebhookDelivery(LeasedRow):
    """One event on its way to one endpoint; the row is the log of it.

    event_id: the `webhook-id`, the same at every attempt. body: what is sent, as it is sent. session: of whom it
    tells, null for a test; a session that is deleted takes what was told of it along. first_segment, next_segment:
    of `segment.final`, the segments [first, next). due_at of LeasedRow: the next attempt.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    endpoint = models.ForeignKey(
        WebhookEndpoint,
        models.CASCADE,
        verbose_name=_("endpoint"),
        related_name="deliveries",
        db_index=False,  # delivery_endpoint_newest begins with it
    )
    session = models.ForeignKey(
        TranscriptionSession,
        models.CASCADE,
        verbose_name=_("session"),
        null=True,
        blank=True,
        related_name="webhook_deliveries",
    )
    event_id = models.CharField(_("event id"), max_length=40, unique=True, default=signing.make_event_id)
    event_type = models.CharField(_("event"), max_length=20, choices=[(e.value, e.value) for e in EventType])
    body = models.TextField(_("payload"))
    first_segment = models.PositiveIntegerField(_("first segment"), null=True, blank=True)
    next_segment = models.PositiveIntegerField(_("segment after the last"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.PENDING)
    response_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    response_excerpt = models.TextField(_("beginning of the response"), blank=True)
    error = models.CharField(_("error"), max_length=20, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    attempted_at = models.DateTimeField(_("last attempt"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering: ClassVar = ["-created_at", "-id"]
        permissions: ClassVar = [("resend_webhookdelivery", _("Can send deliveries again"))]
        constraints: ClassVar = [
            # Two processes that announced at once would tell a segment twice, under two ids.
            models.UniqueConstraint(
                fields=["endpoint", "session", "first_segment"],
                name="delivery_tells_a_segment_once",
                condition=Q(first_segment__isnull=False),
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_endpoint_newest"),
            models.Index(fields=["-created_at", "-id"], name="delivery_newest"),
            # What is to be sent, which is little among many.
            models.Index(fields=["endpoint", "due_at"], name="delivery_due", condition=Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class SessionEnd(models.Model):
    """A session that has ended and of which nobody was told yet. See outbox.py."""

    session = models.ForeignKey(TranscriptionSession, models.CASCADE, related_name="+")
    epoch = models.PositiveIntegerField()
    state = models.CharField(max_length=12)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.session_id} {self.state}"


class Chore(LeasedRow):
    """What one process at a time does again and again: one row for each, by its name."""

    name = models.CharField(max_length=20, unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
