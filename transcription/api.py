"""The HTTP API. Its documents are served at `docs` and `openapi.json` below it.

Operations are synchronous: under ASGI each runs in its request's own thread, so the database never holds
the event loop.
"""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext as _
from ninja import NinjaAPI, Query, Status
from ninja.security.base import AuthBase

from speechsite.config import get_config
from transcription import services
from transcription.access import (
    deletable_sessions,
    exportable_sessions,
    get_session,
    listed_sessions,
    require_scope,
    visible_sessions,
)
from transcription.api_errors import add_error_handlers, shape_wrong_methods
from transcription.api_schemas import (
    Cursor,
    ErrorAnswer,
    HealthAnswer,
    SessionAnswer,
    SessionFilters,
    SessionPage,
    StartAnswer,
    StartRequest,
)
from transcription.auth import issue_start_token, request_principal
from transcription.errors import NotFound
from transcription.exports import transcript_response
from transcription.models import TranscriptionSession
from transcription.principals import Principal
from transcription.scopes import Scope
from transcription.search import search_sessions
from transcription.session_list import with_facts

COMMON_ERRORS = frozenset({401, 403, 422, 500, 507})
ONE_SESSION_ERRORS = COMMON_ERRORS | {404}
ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class BearerKey(AuthBase):
    """`Authorization: Bearer KEY`."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Principal | None:
        return request_principal(request) if "Authorization" in request.headers else None


class HeaderKey(AuthBase):
    """`X-API-Key: KEY`."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "X-API-Key"

    def __call__(self, request: HttpRequest) -> Principal | None:
        return request_principal(request) if "X-API-Key" in request.headers else None


class Login(AuthBase):
    """The login of the pages; in the development profile also a client on this machine without any."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Principal:
        return request_principal(request)


class Api(NinjaAPI):
    """NinjaAPI whose every error has the one shape."""

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        shape_wrong_methods(patterns)
        return patterns, app_name, namespace


api = Api(
    title=get_config().project_name,
    version=get_config().version,
    description="Live and stored transcriptions. Audio is streamed over the WebSocket, see docs/websocket-api.md.",
    urls_namespace="api",
    docs_url="/docs",
    openapi_url="/openapi.json",
    auth=[BearerKey(), HeaderKey(), Login()],
)
add_error_handlers(api)


@api.get(
    "/health",
    operation_id="get_health",
    summary="Whether the service answers, and how full it is",
    tags=["service"],
    auth=None,
    response={200: HealthAnswer, frozenset({500, 507}): ErrorAnswer},
)
def get_health(request: HttpRequest) -> HealthAnswer:
    config = get_config()
    return HealthAnswer(
        status="healthy",
        version=config.version,
        live_sessions=TranscriptionSession.objects.filter(state=TranscriptionSession.State.LIVE).count(),
        max_concurrent_sessions=config.max_concurrent_sessions,
    )


@api.post(
    "/start-transcription",
    operation_id="start_transcription",
    summary="Make a session and get the address and token to stream to",
    tags=["transcription"],
    response={200: StartAnswer, COMMON_ERRORS | {400, 409, 429}: ErrorAnswer},
)
def start_transcription(request: HttpRequest, options: StartRequest | None = None) -> StartAnswer:
    principal = principal_of(request, Scope.TRANSCRIBE)
    options = options or StartRequest()
    session = services.start_session(
        principal,
        options.config(),
        options.session_id,
        client_address=request.META.get("REMOTE_ADDR"),
        user_agent=request.headers.get("User-Agent", ""),
    )
    token, expires_at = issue_start_token(session.public_id, principal)
    address = request.build_absolute_uri(f"{get_config().api_v1_str}/transcribe/{session.public_id}")
    return StartAnswer(
        session_id=session.public_id,
        websocket_url=address.replace("http", "ws", 1),
        token=token,
        expires_at=expires_at,
    )


@api.get(
    "/sessions",
    operation_id="list_sessions",
    summary="Sessions, newest first",
    tags=["sessions"],
    response={200: SessionPage, COMMON_ERRORS: ErrorAnswer},
)
def list_sessions(request: HttpRequest, filters: Query[SessionFilters]) -> SessionPage:
    principal = principal_of(request, Scope.SESSIONS_READ)
    sessions = listed_sessions(principal).filter(filters.conditions())
    if filters.cursor:
        sessions = sessions.filter(Cursor.parse(filters.cursor).conditions())
    least = filters.limit + 1
    chosen = search_sessions(sessions, filters.q, limit=least, readable=visible_sessions(principal))
    found = with_facts(chosen[:least])
    page = found[: filters.limit]
    has_more = len(found) > len(page)
    return SessionPage(
        sessions=[SessionAnswer.of(session) for session in page],
        next=str(Cursor(page[-1].created_at, page[-1].pk)) if has_more else None,
    )


@api.get(
    "/sessions/{session_id}",
    operation_id="read_session",
    summary="One session",
    tags=["sessions"],
    response={200: SessionAnswer, ONE_SESSION_ERRORS: ErrorAnswer},
)
def read_session(request: HttpRequest, session_id: str) -> SessionAnswer:
    return SessionAnswer.of(get_session(session_id, principal_of(request, Scope.SESSIONS_READ)))


@api.get(
    "/sessions/{session_id}/transcript",
    operation_id="read_transcript",
    summary="The transcript of a session as JSON, plain text, SubRip or WebVTT",
    tags=["sessions"],
    response={200: Any, ONE_SESSION_ERRORS: ErrorAnswer},
)
def read_transcript(
    request: HttpRequest, session_id: str, format: Literal["json", "txt", "srt", "vtt"] = "json"
) -> StreamingHttpResponse:
    principal = principal_of(request, Scope.SESSIONS_READ)
    session = get_session(session_id, principal, exportable_sessions(principal))
    return transcript_response(request, session, format, as_attachment=False)


@api.delete(
    "/sessions/{session_id}",
    operation_id="delete_session",
    summary="Delete a session that has ended, with its segments",
    tags=["sessions"],
    response={204: None, ONE_SESSION_ERRORS | {409}: ErrorAnswer},
)
def delete_session(request: HttpRequest, session_id: str) -> Status[None]:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    services.delete_session(get_session(session_id, principal, deletable_sessions(principal)))
    return Status(204, None)


@api.api_operation(ALL_METHODS, "/{path:rest}", auth=None, include_in_schema=False)
def answer_unknown_address(request: HttpRequest, rest: str) -> None:
    """Anything else below the API: Django's own answer would be a page."""
    raise NotFound(_("There is nothing at this address."))


def principal_of(request: HttpRequest, scope: Scope) -> Principal:
    """Whom this request's credentials stand for; every operation but the open ones has one.

    Raises NotAllowed for a key that may not be used for scope.
    """
    principal: Principal = request.auth  # type: ignore[attr-defined]  # set by the framework from our auth
    require_scope(principal, scope)
    return principal
