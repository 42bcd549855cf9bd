"""`POST /v1/realtime/…`: client secrets for the sockets of OpenAI's and NVIDIA's clients, in their shapes."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from transcription.access import require_scope
from transcription.dialects.realtime_errors import error_body
from transcription.dialects.realtime_secrets import join_secret
from transcription.dialects.realtime_settings import (
    NVIDIA_RATE_HZ,
    RealtimeSettings,
    merge,
    parse_session,
    unknown_field,
)
from transcription.errors import (
    BadConfig,
    BadMessage,
    InternalError,
    MessageTooLarge,
    StorageUnavailable,
    TranscriptionError,
)
from transcription.identity.auth import request_principal
from transcription.identity.client_secrets import lifetime_s, mint_client_secret
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope
from transcription.rest.errors import MethodNotAllowed, request_id
from transcription.safe_json import parse_object

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
# OpenAI's. Those of the older shape are for clients that connect at once.
OLDER_LIFETIME_S, NEWER_LIFETIME_S = 60, 600

Operation = Callable[[Principal, dict[str, Any]], dict[str, Any]]


def create_transcription_session(principal: Principal, body: dict[str, Any]) -> dict[str, Any]:
    """A session in the older shape, with the secret that opens its socket. body: fields of the session."""
    asked = {name: value for name, value in body.items() if name != "client_secret"}
    # The usual rate of a client that says none depends on which one connects; this answer can only name one.
    settings = _settings(RealtimeSettings(sample_rate_hz=NVIDIA_RATE_HZ), asked)
    wanted = body.get("client_secret")
    wanted = wanted.get("expires_after", wanted.get("expires_at")) if isinstance(wanted, dict) else wanted
    seconds = lifetime_s(wanted, usual_s=OLDER_LIFETIME_S, field="client_secret.expires_after")
    session_id, token, expires_at = mint_client_secret(principal, lifetime_s=seconds)
    secret = {"value": join_secret(token, asked), "expires_at": int(expires_at.timestamp())}
    return settings.as_transcription_session(session_id) | {"client_secret": secret}


def create_client_secret(principal: Principal, body: dict[str, Any]) -> dict[str, Any]:
    """A secret in the newer shape. body: `session`, optionally."""
    unknown = next((name for name in body if name not in ("session", "expires_after")), None)
    if unknown is not None:
        raise BadConfig(f"Unknown parameter: {unknown}.", reason="unknown_parameter", field=unknown)
    asked = body.get("session") or {}
    if not isinstance(asked, dict):
        raise BadConfig("session must be an object.", field="session")
    settings = _settings(RealtimeSettings(), asked)
    seconds = lifetime_s(body.get("expires_after"), usual_s=NEWER_LIFETIME_S, field="expires_after")
    session_id, token, expires_at = mint_client_secret(principal, lifetime_s=seconds)
    return {
        "value": join_secret(token, asked),
        "expires_at": int(expires_at.timestamp()),
        "session": settings.as_session(session_id),
    }


def _settings(usual: RealtimeSettings, asked: dict[str, Any]) -> RealtimeSettings:
    session = parse_session(asked)
    if unknown := unknown_field(session):
        raise BadConfig(f"Unknown parameter: {unknown}.", reason="unknown_parameter", field=unknown)
    return merge(usual, session)


def _view(operation: Operation) -> Any:
    """The edge: who asks, what for, and every error in the shape that both kinds of clients read."""

    @csrf_exempt  # A login's own check is made in request_principal.
    @functools.wraps(operation)
    def view(request: HttpRequest) -> JsonResponse:
        try:
            if request.method != "POST":
                raise MethodNotAllowed(_("This address does not take this method."))
            principal = request_principal(request)
            require_scope(principal, Scope.TRANSCRIBE)
            response = JsonResponse(operation(principal, _body(request)))
            # It holds a secret.
            response["Cache-Control"] = "no-store"
            return response
        except TranscriptionError as error:
            return _error_response(error)
        except (OperationalError, InterfaceError) as error:
            logger.warning("The database did not answer: %s", type(error).__name__)
            return _error_response(StorageUnavailable(_("The database does not answer. Please try again.")))
        except Exception:
            # The edge: whatever is left is our fault and has the one shape too.
            logger.exception("A request for a client secret failed")
            return _error_response(InternalError(_("Something went wrong on our side.")))

    return view


def _body(request: HttpRequest) -> dict[str, Any]:
    body = request.body
    if len(body) > MAX_BODY_BYTES:
        raise MessageTooLarge(f"A request may have at most {MAX_BODY_BYTES} bytes.")
    if not body.strip():
        return {}
    try:
        return parse_object(body.decode())
    except UnicodeDecodeError:
        raise BadMessage("The body is not UTF-8.", reason="bad_json") from None


def _error_response(error: TranscriptionError) -> JsonResponse:
    response = JsonResponse(error_body(error, request_id()), status=error.http_status)
    if error.http_status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if error.http_status == 405:
        response["Allow"] = "POST"
    if error.retry_after_ms is not None:
        response["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


urlpatterns: list[URLPattern] = [
    path("transcription_sessions", _view(create_transcription_session)),
    path("client_secrets", _view(create_client_secret)),
]
