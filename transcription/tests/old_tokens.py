"""Start tokens from a while ago."""

from __future__ import annotations

from django.core import signing
from django.utils import timezone

from transcription.identity.auth import TOKEN_LIFETIME_S


class _OldSigner(signing.TimestampSigner):
    def timestamp(self) -> str:
        return signing.b62_encode(int(timezone.now().timestamp()) - TOKEN_LIFETIME_S - 1)


def expired_token(session_id: str, *, user_id: int | None = None) -> str:
    """A token that could start the session until a second ago; without a user: of somebody on this machine."""
    claims = {"s": session_id, "u": user_id, "k": None, "l": ""}
    return _OldSigner(sep=".", salt="transcription.start").sign_object(claims)
