"""Doing nothing twice: requests with an Idempotency-Key, and what was answered. Plain functions for threads.

A row says that a request is worked at, from before the work until a day after it. Whoever comes with the same key
meanwhile waits for its answer.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import BadConfig, TranscriptionError
from transcription.identity.principals import Principal
from transcription.models import IdempotentRequest

HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 200
KEY_PATTERN = "^[!-~]{1,200}$"
KEPT_FOR = timedelta(hours=24)
# Longer than any operation takes: whoever worked at it is dead.
ABANDONED_AFTER = timedelta(seconds=60)
WAIT_S = 10.0
POLL_S = 0.05
RETRY_AFTER_MS = 1000
MAX_FORGOTTEN_AT_ONCE = 200


class RequestInProgress(TranscriptionError):
    """The same request is still worked at."""

    code, default_reason, default_retryable = 4409, "request_in_progress", True


class KeyReused(TranscriptionError):
    """The key belongs to another request."""

    code, default_reason = 4409, "idempotency_key_reused"


class AnsweredAlready(TranscriptionError):
    """The request was answered, and its answer holds a secret, which is told once."""

    code, default_reason = 4409, "answered_already"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered before: a status and a JSON text."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work, and the duty to call keep() or give_up() after it."""

    pk: int
    holder: uuid.UUID


def check_key(key: str) -> None:
    """Raises BadConfig for what is no key: 1 to MAX_KEY_CHARACTERS visible ASCII characters."""
    if not re.fullmatch(KEY_PATTERN, key):
        message = _("%(header)s must have 1 to %(limit)d visible ASCII characters.")
        raise BadConfig(message % {"header": HEADER, "limit": MAX_KEY_CHARACTERS}, field=HEADER)


def claim(principal: Principal, key: str, fingerprint: str, *, wait_s: float = WAIT_S) -> Answer | Claim:
    """The answer to the same request, or the right to answer it. Waits for whoever works at it already.

    fingerprint: SHA-256 of all that is asked for. Raises KeyReused if the key came with another one,
    RequestInProgress after wait_s.
    """
    deadline_s = time.monotonic() + wait_s
    same = IdempotentRequest.objects.filter(principal=_name_of(principal), key=key)
    same.filter(started_at__lt=Now() - KEPT_FOR).delete()
    while True:
        row = same.first()
        if row is not None and row.fingerprint != fingerprint:
            raise KeyReused(_("This %(header)s came with another request before.") % {"header": HEADER}, field=HEADER)
        if row is not None and row.status is not None:
            return Answer(row.status, row.answer)
        claimed = _insert(principal, key, fingerprint) if row is None else _take_over(same)
        if claimed is not None:
            return claimed
        if time.monotonic() >= deadline_s:
            raise RequestInProgress(
                _("The same request is still worked at. Please ask again."), retry_after_ms=RETRY_AFTER_MS
            )
        time.sleep(POLL_S)


def keep(claimed: Claim, answer: Answer) -> None:
    """Keep the answer for a day. Raises RequestInProgress if another attempt took the work over meanwhile.

    In one transaction with the work, either both are there afterwards or neither.
    """
    if not _held(claimed).update(status=answer.status, answer=answer.text):
        raise RequestInProgress(_("The same request is worked at elsewhere."), retry_after_ms=RETRY_AFTER_MS)


def give_up(claimed: Claim) -> None:
    """The work failed: whoever asks again tries again."""
    _held(claimed).delete()


def forget_old() -> None:
    """Delete answers older than a day, some at a time: one large write would hold up live commits."""
    old = IdempotentRequest.objects.filter(started_at__lt=Now() - KEPT_FOR)
    ids = list(old.values_list("pk", flat=True)[:MAX_FORGOTTEN_AT_ONCE])
    if ids:
        IdempotentRequest.objects.filter(pk__in=ids).delete()


def _insert(principal: Principal, key: str, fingerprint: str) -> Claim | None:
    holder = uuid.uuid4()
    try:
        with transaction.atomic():
            row = IdempotentRequest.objects.create(
                principal=_name_of(principal), key=key, fingerprint=fingerprint, holder=holder, started_at=Now()
            )
    except IntegrityError:
        # Somebody was quicker.
        return None
    return Claim(row.pk, holder)


def _take_over(same: QuerySet[IdempotentRequest]) -> Claim | None:
    dead = same.filter(status=None, started_at__lt=Now() - ABANDONED_AFTER)
    row = dead.first()
    holder = uuid.uuid4()
    if row is None or not dead.filter(holder=row.holder).update(holder=holder, started_at=Now()):
        return None
    return Claim(row.pk, holder)


def _held(claimed: Claim) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(pk=claimed.pk, holder=claimed.holder, status=None)


def _name_of(principal: Principal) -> str:
    match principal.kind:
        case "user":
            return f"user:{principal.user_id}"
        case "key":
            return f"key:{principal.key_id}"
        case "token":
            return f"token:{principal.user_id}:{principal.key_id}:{principal.session_id}"
    return principal.kind
