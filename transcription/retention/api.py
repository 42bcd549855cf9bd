"""Keeping a session from deletion, over the HTTP API."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field

from transcription.access import get_session, protectable_sessions
from transcription.identity.scopes import Scope
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.schemas import ErrorAnswer, ProtectionAnswer
from transcription.retention.models import MAX_REASON_CHARACTERS
from transcription.retention.protecting import protect, unprotect

router = Router(tags=["sessions"])
PROTECTION = "/sessions/{session_id}/protection"


class ProtectionRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARACTERS)]


@router.put(
    PROTECTION,
    operation_id="protect_session",
    summary="Keep a session from deletion, whoever or whatever wants it",
    response={200: ProtectionAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS | {409}: ErrorAnswer},
)
def protect_session(request: HttpRequest, session_id: str, wanted: ProtectionRequest) -> ProtectionAnswer:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    session = get_session(session_id, principal, protectable_sessions(principal))
    return ProtectionAnswer.of(protect(session, wanted.reason))


@router.delete(
    PROTECTION,
    operation_id="unprotect_session",
    summary="Let a session be deleted again",
    response={204: None, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def unprotect_session(request: HttpRequest, session_id: str) -> Status[None]:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    session = get_session(session_id, principal)
    unprotect(session, principal)
    return Status(204, None)
