"""Errors as clients of `/v1/realtime` know them: OpenAI's error objects, close codes, and answers to HTTP requests."""

from __future__ import annotations

import json
from typing import Any

from transcription.dialects.base import Denial
from transcription.dialects.realtime_settings import client_name
from transcription.errors import BadMessage, NotAuthenticated, TranscriptionError

INVALID_REQUEST, RATE_LIMIT, SERVER_ERROR = "invalid_request_error", "rate_limit_error", "server_error"
NORMAL_CLOSE = 1000
INTERNAL_CLOSE = 1011
# Those of RFC 6455, and those registered with IANA for what HTTP has a status for. OpenAI's clients connect again
# after 1001, 1011 and 1013.
CLOSE_CODES = {
    4400: 1008, 4401: 3000, 4403: 3003, 4408: 3008, 4409: 1008, 4410: 1001, 4413: 1009, 4415: 1003, 4422: 1008,
    4429: 1008, 4490: 1008, 4500: 1011, 4502: 1011, 4503: 1013, 4504: 1011, 4507: 1013,
}  # fmt: skip
# What a handshake answers with a status, to clients that can read one.
DENIED_STATUSES = frozenset({401, 403, 429, 503})


class ClientEventError(BadMessage):
    """One event of the client's was wrong and changed nothing; the session goes on.

    event_id: the client's own of that event.
    """

    def __init__(self, message: str, *, reason: str, field: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message, reason=reason, field=field)
        self.event_id = event_id


def error_object(error: TranscriptionError) -> dict[str, Any]:
    """`error` of an `error` event, and of an HTTP answer."""
    field = error.field
    if field is not None and field.startswith("config."):
        # Of the recogniser, which knows our own name only.
        field = client_name(field.removeprefix("config."))
    found = {
        "type": error_type(error),
        "code": error_code(error),
        "message": error.message,
        "param": field,
        "event_id": getattr(error, "event_id", None),
    }
    return found if error.retry_after_ms is None else found | {"retry_after_ms": error.retry_after_ms}


def error_type(error: TranscriptionError) -> str:
    if error.code == 4429:
        return RATE_LIMIT
    return INVALID_REQUEST if error.code < 4490 and error.code not in (4408, 4410) else SERVER_ERROR


def error_code(error: TranscriptionError) -> str:
    if isinstance(error, NotAuthenticated) and error.reason in ("wrong_key", "not_authenticated"):
        return "invalid_api_key"
    return error.reason


def error_body(error: TranscriptionError, request_id: str) -> dict[str, Any]:
    """The body of an HTTP answer: OpenAI's clients read `error`, NVIDIA's `detail`."""
    return {"detail": error.message, "error": error_object(error), "request_id": request_id}


def close_code(error: TranscriptionError | None) -> int:
    return NORMAL_CLOSE if error is None else CLOSE_CODES.get(error.code, INTERNAL_CLOSE)


def denial(error: TranscriptionError, *, from_page: bool, request_id: str) -> Denial | None:
    """from_page: a browser's; it cannot read the status of a handshake, and is told by an event."""
    if from_page or error.http_status not in DENIED_STATUSES:
        return None
    headers = [(b"content-type", b"application/json")]
    if error.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.retry_after_ms is not None:
        headers.append((b"retry-after", str(-(-error.retry_after_ms // 1000)).encode()))
    return Denial(error.http_status, json.dumps(error_body(error, request_id)).encode(), tuple(headers))
