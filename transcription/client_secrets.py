"""What a server with a key gets for a client that may open one socket, and no more. Plain, for a database thread."""

from __future__ import annotations

import secrets
from datetime import datetime

from transcription.auth import issue_start_token
from transcription.dialects.realtime import SESSION_PREFIX
from transcription.principals import Principal

SESSION_ID_BYTES = 12


def new_session_id() -> str:
    return SESSION_PREFIX + secrets.token_hex(SESSION_ID_BYTES)


def mint_client_secret(principal: Principal, session_id: str) -> tuple[str, datetime]:
    """A token that opens this one session for its owner, once, and when it ends."""
    return issue_start_token(session_id, principal)
