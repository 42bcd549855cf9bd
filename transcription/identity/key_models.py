"""Keys of other applications, the single-use tokens they hand out, and how much they have used."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcription.identity.scopes import DEFAULT_SCOPES, Scope

KEY_START = "spk"
KEY_PREFIX_CHARACTERS = 8
KEY_SECRET_BYTES = 32
# Of all three limits: what a column takes on every database.
MAX_LIMIT = 1_000_000_000


def default_scopes() -> list[str]:
    return sorted(DEFAULT_SCOPES)


class ApiKey(models.Model):
    """A secret of another application. Only its SHA-256 is kept: the secret has 256 bits, so no slow hash is needed.

    Of the three limits 0 means none of its own; the site's hold for every key. previous_prefix, previous_digest: of the
    text it had before it was replaced, which is good until previous_until; "" where there is none.
    """

    name = models.CharField(_("name"), max_length=100)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="api_keys",
    )
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    # The database's own default too: a worker of the version before makes keys until it is replaced.
    previous_prefix = models.CharField(max_length=16, blank=True, db_default="", editable=False, db_index=True)
    previous_digest = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    previous_until = models.DateTimeField(_("old text good until"), null=True, blank=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=default_scopes)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    max_sessions = models.PositiveIntegerField(
        _("live sessions"),
        default=0,
        validators=[MaxValueValidator(MAX_LIMIT)],
        help_text=_("How many it may have live at a time. 0: as many as its owner may."),
    )
    rate_limit = models.PositiveIntegerField(
        _("rate limit"),
        default=0,
        validators=[MaxValueValidator(MAX_LIMIT)],
        help_text=_("Starts of sessions a minute, and requests a minute to each server process. 0: any number."),
    )
    monthly_minutes = models.PositiveIntegerField(
        _("minutes a month"),
        default=0,
        validators=[MaxValueValidator(MAX_LIMIT)],
        help_text=_("Audio in a calendar month (UTC). 0: any length."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown_prefix})"

    @classmethod
    def create(cls, name: str, owner: Any = None, **fields: Any) -> tuple[ApiKey, str]:
        """Make a key. Returns the row and the key's text, which is nowhere else and never shown again."""
        prefix, text = make_key_text()
        return cls.objects.create(name=name, owner=owner, prefix=prefix, digest=digest_of_secret(text), **fields), text

    @classmethod
    def find(cls, text: str) -> ApiKey | None:
        """The key with this text, or None for anything that is not a key of ours.

        It may be of no use any more, see keys.why_unusable; `now` on it is the database's time.
        """
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != KEY_START or len(parts[1]) != KEY_PREFIX_CHARACTERS:
            return None
        prefix, digest = parts[1], digest_of_secret(text)
        keys = cls.objects.select_related("owner").annotate(now=Now())
        key = keys.filter(prefix=prefix).first()
        if key is not None:
            return key if hmac.compare_digest(key.digest, digest) else None
        replaced = keys.filter(previous_prefix=prefix, previous_until__gt=Now()).first()
        return replaced if replaced and hmac.compare_digest(replaced.previous_digest, digest) else None

    @property
    def shown_prefix(self) -> str:
        """What people tell keys apart by; no secret."""
        return f"{KEY_START}_{self.prefix}_…"

    @property
    def scope_set(self) -> frozenset[Scope]:
        return parse_scopes(self.scopes)


class SocketToken(models.Model):
    """Opens one socket, once. Only its digest is kept, for a while after its end: so reuse is told from rubbish.

    session_id: of the one transcription session it may open; empty for any.
    """

    digest = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+", db_index=False)
    api_key = models.ForeignKey(ApiKey, models.CASCADE, null=True, related_name="+", db_index=False)
    label = models.CharField(max_length=200, blank=True)
    scopes = models.JSONField(default=list)
    session_id = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("socket token")
        verbose_name_plural = _("socket tokens")

    def __str__(self) -> str:
        return f"{self.label or '-'}: {self.expires_at}"


class UsageDay(models.Model):
    """What was transcribed with one key, or by one person without a key, on one UTC day.

    owner is null where there is a key: it is the key's. Both are null for clients of the development profile.
    """

    api_key = models.ForeignKey(ApiKey, models.CASCADE, null=True, related_name="usage", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+", db_index=False)
    day = models.DateField(_("day"))
    sessions = models.PositiveBigIntegerField(_("sessions"), default=0)
    audio_ms = models.PositiveBigIntegerField(_("audio (ms)"), default=0)

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["api_key", "day"], name="usage_key_day", condition=Q(api_key__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["owner", "day"], name="usage_owner_day", condition=Q(api_key=None, owner__isnull=False)
            ),
            models.UniqueConstraint(fields=["day"], name="usage_nobody_day", condition=Q(api_key=None, owner=None)),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.api_key or self.owner or '-'}"


def make_key_text() -> tuple[str, str]:
    """A prefix that nothing else has, and the text of a key with it."""
    prefix = secrets.token_hex(KEY_PREFIX_CHARACTERS // 2)
    return prefix, f"{KEY_START}_{prefix}_{secrets.token_urlsafe(KEY_SECRET_BYTES)}"


def digest_of_secret(text: str) -> str:
    """SHA-256 in hex. A text that no UTF-8 can say is nobody's secret."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes among words; one that this version does not know gives no right."""
    return frozenset(Scope(word) for word in words if word in set(Scope))
