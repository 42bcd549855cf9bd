"""Single-use tokens: a server with a key gets one for a browser, which opens one socket with it.

The text goes into a subprotocol, so it has only letters, digits, `-` and `_`. Plain functions for a database thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.access import require_scope
from transcription.errors import NotAuthenticated
from transcription.identity.key_models import SocketToken, digest_of_secret, parse_scopes
from transcription.identity.keys import why_unusable
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope

TOKEN_START = "spt_"  # noqa: S105 - how a token begins, not a secret
TOKEN_SECRET_BYTES = 32
MAX_TOKEN_LIFETIME_S = 60.0
# What a browser needs that only speaks; more has to be asked for.
USUAL_SCOPES = frozenset({Scope.TRANSCRIBE})
# Used and expired ones are kept so long, so that their holder is told which it was.
KEPT_FOR = timedelta(minutes=10)
PURGED_AT_ONCE = 200
MAX_PURGES = 5


def issue_token(
    principal: Principal,
    *,
    lifetime_s: float = MAX_TOKEN_LIFETIME_S,
    scopes: Collection[Scope] = USUAL_SCOPES,
    session_id: str | None = None,
) -> tuple[str, datetime]:
    """A token that opens one socket as this principal, and when it ends by the database's clock.

    scopes: what it may be used for, of the principal's own. session_id: the only transcription session it may open.
    Raises NotAllowed for a scope that the principal lacks.
    """
    for scope in sorted(scopes):
        require_scope(principal, scope)
    text = TOKEN_START + secrets.token_urlsafe(TOKEN_SECRET_BYTES)
    row = SocketToken.objects.create(
        digest=digest_of_secret(text),
        user_id=principal.user_id,
        api_key_id=principal.key_id,
        label=principal.label,
        scopes=sorted(scopes),
        session_id=session_id or "",
        expires_at=Now() + timedelta(seconds=lifetime_s),
    )
    row.refresh_from_db(fields=["expires_at"])
    return text, row.expires_at


def redeem_token(text: str) -> Principal:
    """Whom a token stands for; it is used up by this, whatever follows, and by one caller alone.

    Raises NotAuthenticated: not ours, expired, used before, or its key or account is not good any more.
    """
    tokens = SocketToken.objects.filter(digest=digest_of_secret(text))
    # One statement decides, whoever else redeems it at this moment.
    is_ours = tokens.filter(used_at=None, expires_at__gt=Now()).update(used_at=Now()) == 1
    row = tokens.select_related("api_key__owner", "user").annotate(now=Now()).first()
    if row is None:
        raise NotAuthenticated(_("This token is not valid."), reason="wrong_token")
    if not is_ours:
        raise _too_late(row)
    if row.api_key is not None:
        problem = why_unusable(row.api_key, row.now)
        if problem is not None:
            raise problem
    if row.user is not None and not row.user.is_active:
        raise NotAuthenticated(_("This account is closed."), reason="account_closed")
    return Principal(
        kind="token",
        user_id=row.user_id,
        key_id=row.api_key_id,
        session_id=row.session_id or None,
        label=row.label,
        scopes=parse_scopes(row.scopes),
    )


def purge_tokens() -> int:
    """Delete some that ended a while ago, in pieces: a long write would hold up live commits. Returns how many."""
    purged = 0
    for _piece in range(MAX_PURGES):
        old = SocketToken.objects.filter(expires_at__lt=Now() - KEPT_FOR)
        ids = list(old.values_list("pk", flat=True)[:PURGED_AT_ONCE])
        if ids:
            purged += SocketToken.objects.filter(pk__in=ids).delete()[0]
        if len(ids) < PURGED_AT_ONCE:
            break
    return purged


def _too_late(row: SocketToken) -> NotAuthenticated:
    if row.used_at is not None:
        return NotAuthenticated(_("This token has been used. Get a new one."), reason="token_used")
    return NotAuthenticated(_("This token has expired. Get a new one."), reason="token_expired")
