"""Client secrets: a single-use token, and beside it the settings of the session it opens. Pure.

The settings are no secret and need no signature: whoever holds the token may change them once connected.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from transcription.errors import BadConfig, BadMessage
from transcription.identity.credentials import header_credential, subprotocol_credential
from transcription.safe_json import parse_object

NVIDIA_PREFIX = "realtime-token."
OPENAI_PREFIX = "openai-insecure-api-key."
# Allowed in a subprotocol and in no token.
SEPARATOR = "~"
# A handshake's head has bounds, and so has the token before it.
MAX_SETTINGS_CHARACTERS = 4000


def join_secret(token: str, session: Mapping[str, Any]) -> str:
    """What a client is given. session: as it asked for it. Raises BadConfig for one that is too long."""
    if not session:
        return token
    text = json.dumps(session, separators=(",", ":")).encode()
    encoded = base64.urlsafe_b64encode(text).decode().rstrip("=")
    if len(encoded) > MAX_SETTINGS_CHARACTERS:
        raise BadConfig(
            "session: too long for a client secret; send what is long with session.update.", field="session"
        )
    return f"{token}{SEPARATOR}{encoded}"


def offered_credential(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
    """A key or secret as it was offered: `Authorization: Bearer`, `X-API-Key`, or a subprotocol of either client's."""
    for found in (
        header_credential(headers),
        headers.get("x-api-key"),
        subprotocol_credential(subprotocols, NVIDIA_PREFIX),
        subprotocol_credential(subprotocols, OPENAI_PREFIX),
    ):
        if found is not None:
            return found
    return None


def token_of(credential: str) -> str:
    return credential.partition(SEPARATOR)[0]


def session_of(credential: str | None) -> dict[str, Any]:
    """The settings beside a secret's token; empty where there are none, or none that can be read."""
    encoded = (credential or "").partition(SEPARATOR)[2]
    if not encoded or len(encoded) > MAX_SETTINGS_CHARACTERS:
        return {}
    try:
        text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        return parse_object(text)
    except (ValueError, BadMessage):
        return {}
