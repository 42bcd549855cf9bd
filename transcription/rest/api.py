"""The HTTP API. Its documents are served at `docs` and `openapi.json` below it.

Operations are synchronous: under ASGI each runs in its request's own thread, so the database never holds
the event loop.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from speechsite.config import get_config
from transcription import services
from transcription.files.api import router as file_jobs
from transcription.identity.auth import issue_start_token
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession
from transcription.recording.api import router as recordings
from transcription.reruns.api import router as reruns
from transcription.rest import document as api_document
from transcription.rest.asyncapi_document import router as asyncapi
from transcription.rest.authentication import BearerKey, HeaderKey, Login, principal_of
from transcription.rest.errors import (
    BODY_ERRORS,
    COMMON_ERRORS,
    JsonParser,
    add_error_handlers,
    not_found,
    shape_wrong_methods,
)
from transcription.rest.export import router as export
from transcription.rest.idempotency_key import idempotent
from transcription.rest.recognisers import router as models
from transcription.rest.schemas import ErrorAnswer, HealthAnswer, StartAnswer, StartRequest
from transcription.rest.sessions import router as sessions
from transcription.rest.tokens import router as tokens
from transcription.rest.usage import router as usage
from transcription.retention.api import router as protections
from transcription.review.api import router as review
from transcription.review.figures_api import router as review_figures
from transcription.review.notes_api import router as notes
from transcription.webhooks.api import router as webhooks

ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
UNKNOWN_ADDRESS = "unknown_address"


class Api(NinjaAPI):
    """NinjaAPI whose every error has the one shape."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        api_document.complete(document)
        return document

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        shape_wrong_methods(patterns)
        # What answers every other address comes behind all of them, routers that are added later included.
        patterns.sort(key=lambda pattern: getattr(pattern, "name", None) == UNKNOWN_ADDRESS)
        return patterns, app_name, namespace


api = Api(
    title=get_config().project_name,
    version=get_config().version,
    description="Live and stored transcriptions. Audio is streamed over the WebSocket, see docs/websocket-api.md.",
    urls_namespace="api",
    docs_url="/docs",
    openapi_url="/openapi.json",
    parser=JsonParser(),
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


def _renewed(request: HttpRequest, answered: dict[str, Any]) -> StartAnswer:
    """The same session again, with a token of its own: the first one is told once."""
    return _start_answer(request, answered["session_id"])


@api.post(
    "/start-transcription",
    operation_id="start_transcription",
    summary="Make a session and get the address and token to stream to",
    tags=["transcription"],
    response={200: StartAnswer, COMMON_ERRORS | BODY_ERRORS | {409}: ErrorAnswer},
)
@idempotent(secrets=("token",), renew=_renewed)
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
    return _start_answer(request, session.public_id)


def _start_answer(request: HttpRequest, session_id: str) -> StartAnswer:
    token, expires_at = issue_start_token(session_id, principal_of(request, Scope.TRANSCRIBE))
    address = request.build_absolute_uri(f"{get_config().api_v1_str}/transcribe/{session_id}")
    return StartAnswer(
        session_id=session_id,
        websocket_url=address.replace("http", "ws", 1),
        token=token,
        expires_at=expires_at,
    )


# The other operations, a router for each kind of object.
for router in (
    sessions, reruns, recordings, file_jobs, export, models, tokens, usage, webhooks, asyncapi, review, review_figures,
    notes, protections,
):  # fmt: skip
    api.add_router("", router)


@api.api_operation(ALL_METHODS, "/{path:rest}", auth=None, include_in_schema=False, url_name=UNKNOWN_ADDRESS)
def answer_unknown_address(request: HttpRequest, rest: str) -> None:
    """Anything else below the API: Django's own answer would be a page."""
    raise not_found()
