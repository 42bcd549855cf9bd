"""Secrets of endpoints, and the signatures made with them. No I/O.

A secret is derived from SECRET_KEY and a random salt, and only the salt is stored: it must be readable for signing,
so a hash would not do, and this way a copy of the database signs nothing. Who changes SECRET_KEY changes every
secret; the fingerprint that is stored beside the salt tells.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from django.utils.crypto import salted_hmac

SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, none itself
SALT_BYTES = 24
FINGERPRINT_CHARACTERS = 16
EVENT_ID_BYTES = 16


def make_salt() -> str:
    return secrets.token_urlsafe(SALT_BYTES)


def make_event_id() -> str:
    """An id that is an event's for good, `msg_…`: letters, digits, `-` and `_`, never the `.` of signatures."""
    return f"msg_{secrets.token_urlsafe(EVENT_ID_BYTES)}"


def secret_key(salt: str) -> bytes:
    """The 32 bytes to sign with."""
    return salted_hmac("transcription.webhooks", salt, algorithm="sha256").digest()


def secret_text(salt: str) -> str:
    """The secret as receivers keep it: `whsec_` and Base64."""
    return SECRET_PREFIX + base64.b64encode(secret_key(salt)).decode()


def fingerprint(salt: str) -> str:
    """What tells whether a salt still gives the secret that its owner was shown."""
    return hashlib.sha256(secret_key(salt)).hexdigest()[:FINGERPRINT_CHARACTERS]


def signed_headers(event_id: str, body: bytes, *, salts: Sequence[str], timestamp_s: int) -> dict[str, str]:
    """The three headers of the specification. salts: of every secret that is good now, the newest first.

    timestamp_s: of this attempt, in seconds since 1970; receivers refuse what is older than five minutes.
    """
    signed = b".".join((event_id.encode(), str(timestamp_s).encode(), body))
    signatures = (hmac.digest(secret_key(salt), signed, "sha256") for salt in salts)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }
