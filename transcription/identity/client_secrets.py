"""What a server with a key gets for a client that may open one socket, and no more. Plain, for a database thread."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transcription.dialects.realtime import SESSION_PREFIX
from transcription.errors import BadConfig
from transcription.identity.principals import Principal
from transcription.identity.tokens import issue_token

SESSION_ID_BYTES = 12
MIN_LIFETIME_S, MAX_LIFETIME_S = 10, 7200


class ExpiresAfter(BaseModel):
    """How long a secret may be used for, as OpenAI's clients ask for it."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=MIN_LIFETIME_S, le=MAX_LIFETIME_S)]


def lifetime_s(asked: Any, *, usual_s: int, field: str) -> int:
    """asked: an ExpiresAfter, or None for the usual. Raises BadConfig naming what is wrong below field."""
    if asked is None:
        return usual_s
    try:
        return ExpiresAfter.model_validate(asked).seconds
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join([field, *map(str, problem["loc"])])
        raise BadConfig(f"{path}: {problem['msg']}", field=path) from None


def mint_client_secret(principal: Principal, *, lifetime_s: int) -> tuple[str, str, datetime]:
    """A new session's id, a token that opens this one session for its owner, once, and when it ends."""
    session_id = SESSION_PREFIX + secrets.token_hex(SESSION_ID_BYTES)
    token, expires_at = issue_token(principal, lifetime_s=lifetime_s, session_id=session_id)
    return session_id, token, expires_at
