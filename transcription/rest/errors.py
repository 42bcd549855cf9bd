"""Every error of the HTTP API in one shape: `{code, reason, message, retryable, field, request_id}`."""

from __future__ import annotations

import functools
import inspect
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from structlog.contextvars import get_contextvars

from transcription.errors import (
    BadConfig,
    BadMessage,
    InternalError,
    MessageTooLarge,
    NotFound,
    StorageUnavailable,
    TranscriptionError,
)

logger = logging.getLogger(__name__)

# What every operation with credentials may answer, and every one on a single object.
COMMON_ERRORS = frozenset({401, 403, 422, 429, 500, 503, 507})
ONE_OBJECT_ERRORS = COMMON_ERRORS | {404}
# Beside them, every one that takes a body.
BODY_ERRORS = frozenset({400, 413, 415})


# What operations call the parameter that holds everything of a query.
FILTERS = "filters"
JSON_TYPE = "application/json"


class MethodNotAllowed(TranscriptionError):
    """The address exists, but not for this method."""

    code, default_reason = 4405, "method_not_allowed"


class UnsupportedMediaType(TranscriptionError):
    """The body is not of a type that this operation reads."""

    code, default_reason = 4415, "unsupported_media_type"


class JsonParser(Parser):
    """Reads bodies that say they are JSON, or say nothing."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        kind = request.content_type or JSON_TYPE
        if kind != JSON_TYPE and not kind.endswith("+json"):
            raise UnsupportedMediaType(_("Send the body as %(type)s.") % {"type": JSON_TYPE})
        return super().parse_body(request)


def error_response(error: TranscriptionError) -> JsonResponse:
    """The answer for an error of ours, with Retry-After where it says when."""
    response = JsonResponse(
        {
            "code": error.code,
            "reason": error.reason,
            "message": error.message,
            "retryable": error.retryable,
            "field": error.field,
            "request_id": request_id(),
            **error.details,
        },
        status=error.http_status,
    )
    if error.retry_after_ms is not None:
        response["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    if error.http_status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def bad_request() -> BadMessage:
    return BadMessage(_("This request cannot be read."), reason="bad_request")


def not_found() -> NotFound:
    return NotFound(_("There is nothing at this address."))


def internal_error() -> InternalError:
    return InternalError(_("Something went wrong on our side. The request id names the log entry."))


def request_id() -> str:
    """The id that stands on every log line of this request."""
    return str(get_contextvars().get("request_id") or uuid.uuid4().hex)


def add_error_handlers(api: NinjaAPI) -> None:
    """Answer whatever an operation raises in the one shape."""
    api.add_exception_handler(TranscriptionError, _on_our_own)
    api.add_exception_handler(ValidationError, _on_validation_error)
    api.add_exception_handler(HttpError, _on_http_error)
    api.add_exception_handler(Http404, _on_not_found)
    for unreadable in (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError):
        api.add_exception_handler(unreadable, _on_bad_request)
    api.add_exception_handler(RequestDataTooBig, _on_too_large)
    api.add_exception_handler(OperationalError, _on_database_error)
    api.add_exception_handler(InterfaceError, _on_database_error)
    # The edge of the API: whatever is left is our fault and must still have the one shape.
    api.add_exception_handler(Exception, _on_unexpected)


# The framework types what it passes as "an error or its class"; it only ever passes errors.


def _on_our_own(_request: HttpRequest, error: Any) -> HttpResponse:
    return error_response(error)


def _on_validation_error(_request: HttpRequest, error: Any) -> HttpResponse:
    problem = error.errors[0]
    # The path begins with where it came from (body, query); then comes our name of a parameter that holds them all.
    source, *path = map(str, problem["loc"])
    field = ".".join(path[1:] if source == "body" or path[:1] == [FILTERS] else path) or None
    message = str(problem["msg"]).removeprefix("Value error, ")
    return error_response(BadConfig(f"{field}: {message}" if field else message, field=field))


def _on_http_error(_request: HttpRequest, error: Any) -> HttpResponse:
    # The framework wraps what our parser raises.
    if isinstance(error.__cause__, TranscriptionError):
        return error_response(error.__cause__)
    if error.status_code == 404:
        return error_response(NotFound(error.message))
    return error_response(BadMessage(error.message))


def _on_not_found(_request: HttpRequest, _error: Any) -> HttpResponse:
    return error_response(not_found())


def _on_bad_request(_request: HttpRequest, _error: Any) -> HttpResponse:
    return error_response(bad_request())


def _on_too_large(_request: HttpRequest, _error: Any) -> HttpResponse:
    return error_response(
        MessageTooLarge(
            _("The body may have at most %(limit)d bytes.") % {"limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE},
            reason="body_too_large",
        )
    )


def _on_database_error(_request: HttpRequest, error: Any) -> HttpResponse:
    logger.warning("The database did not answer: %s", type(error).__name__)
    return error_response(StorageUnavailable(_("The database does not answer. Please try again.")))


def _on_unexpected(_request: HttpRequest, error: Any) -> HttpResponse:
    logger.exception("An operation of the API failed", exc_info=error)
    return error_response(internal_error())


View = Callable[..., Any]


def shape_wrong_methods(patterns: Sequence[URLPattern | URLResolver]) -> None:
    """Give the framework's own 405 (plain text, made before any handler is asked) the shape as well."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            pattern.callback = _shaping(pattern.callback)


def _shaping(view: View) -> View:
    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def shaped_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _shape(await view(request, *args, **kwargs))

        return shaped_async

    @functools.wraps(view)
    def shaped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _shape(view(request, *args, **kwargs))

    return shaped


def _shape(response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code != 405:
        return response
    answer = error_response(MethodNotAllowed(_("This address does not take this method.")))
    answer["Allow"] = response["Allow"]
    return answer
