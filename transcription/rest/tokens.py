"""Single-use tokens of the HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from transcription.identity.scopes import Scope
from transcription.identity.tokens import MAX_TOKEN_LIFETIME_S, USUAL_SCOPES, issue_token
from transcription.options import SESSION_ID_PATTERN
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, COMMON_ERRORS
from transcription.rest.idempotency_key import idempotent
from transcription.rest.schemas import ErrorAnswer

router = Router(tags=["tokens"])


class TokenRequest(Schema):
    """What a token shall be good for. session_id: of the only transcription session it may open, null for any."""

    model_config = ConfigDict(extra="forbid")

    session_id: Annotated[str, Field(pattern=SESSION_ID_PATTERN)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] = sorted(USUAL_SCOPES)
    expires_in_s: Annotated[int, Field(ge=1, le=round(MAX_TOKEN_LIFETIME_S))] = round(MAX_TOKEN_LIFETIME_S)


class TokenAnswer(Schema):
    """The token, to bring along once in the subprotocol `speech.token.<token>` or as a bearer of a socket."""

    token: str
    expires_at: datetime
    session_id: str | None
    scopes: list[Scope]


def _renewed(request: HttpRequest, answered: dict[str, Any]) -> TokenAnswer:
    """A token for the same: the first one is told once."""
    return _issue(request, TokenRequest(session_id=answered["session_id"], scopes=answered["scopes"]))


@router.post(
    "/tokens",
    operation_id="create_token",
    summary="Get a token that opens one socket within a minute",
    response={200: TokenAnswer, COMMON_ERRORS | BODY_ERRORS: ErrorAnswer},
)
@idempotent(secrets=("token",), renew=_renewed)
def create_token(request: HttpRequest, wanted: TokenRequest | None = None) -> TokenAnswer:
    return _issue(request, wanted or TokenRequest())


def _issue(request: HttpRequest, wanted: TokenRequest) -> TokenAnswer:
    principal = principal_of(request, *wanted.scopes)
    scopes = sorted(set(wanted.scopes))
    token, expires_at = issue_token(
        principal, lifetime_s=wanted.expires_in_s, scopes=scopes, session_id=wanted.session_id
    )
    return TokenAnswer(token=token, expires_at=expires_at, session_id=wanted.session_id, scopes=scopes)
