"""Our errors in Deepgram's words: HTTP answers, `Error` messages, close codes with their reasons. Pure."""

from __future__ import annotations

from transcription import errors
from transcription.dialects.base import Denial
from transcription.dialects.listen_messages import ErrorMessage, HttpError, build_text
from transcription.errors import TranscriptionError

BAD_AUDIO = (1008, "DATA-0000")
NOTHING_SAID = (1011, "NET-0000")
NOTHING_HEARD = (1011, "NET-0001")
SCHEMA_ERROR = "SchemaError"
MAX_ECHO_CHARACTERS = 500

BAD_REQUEST = (400, "Bad Request")
UNAVAILABLE = (503, "SERVICE_UNAVAILABLE")
HTTP: dict[type[TranscriptionError], tuple[int, str]] = {
    errors.BadMessage: BAD_REQUEST,
    errors.BadConfig: BAD_REQUEST,
    errors.BadAudio: BAD_REQUEST,
    errors.NotAuthenticated: (401, "INVALID_AUTH"),
    errors.NotAllowed: (403, "INSUFFICIENT_PERMISSIONS"),
    errors.NotFound: (404, "NOT_FOUND"),
    errors.NothingToResume: (404, "NOT_FOUND"),
    errors.TimedOutClient: (408, "REQUEST_TIMEOUT"),
    errors.SessionTaken: (409, "CONFLICT"),
    errors.StoppedByOperator: (409, "STOPPED"),
    errors.MessageTooLarge: (413, "PAYLOAD_TOO_LARGE"),
    errors.TooFast: (429, "TOO_MANY_REQUESTS"),
    errors.InternalError: (500, "INTERNAL_SERVER_ERROR"),
    errors.RecogniserFailed: (502, "RECOGNISER_FAILED"),
    errors.AtCapacity: UNAVAILABLE,
    errors.StorageUnavailable: UNAVAILABLE,
    errors.RecogniserSilent: (504, "RECOGNISER_SILENT"),
    errors.SessionOver: (504, "SESSION_TIMEOUT"),
}

# Code and reason; without one the error's own. What is not here is the client's fault, POLICY.
CLOSES: dict[type[TranscriptionError], tuple[int, str]] = {
    errors.BadAudio: BAD_AUDIO,
    errors.TimedOutClient: NOTHING_HEARD,
    errors.RecogniserFailed: NOTHING_SAID,
    errors.RecogniserSilent: NOTHING_SAID,
    errors.MessageTooLarge: (1009, ""),
    errors.TooFast: (1013, ""),
    errors.AtCapacity: (1013, ""),
    errors.StorageUnavailable: (1013, ""),
    errors.SessionOver: (1001, ""),
    errors.StoppedByOperator: (1001, ""),
    errors.InternalError: (1011, ""),
}
POLICY = 1008
DRAINING = "draining"
RESTARTS = 1012
SLOW_READER = "slow_reader"


class Unreadable(errors.BadMessage):
    """A text message that is none of the client's; it is told which."""

    def __init__(self, message: str, *, text: str) -> None:
        super().__init__(message, reason=SCHEMA_ERROR)
        self.text = text


def close_of(error: TranscriptionError) -> tuple[int, str]:
    """Code and reason of the close that follows an error."""
    if error.reason == DRAINING:
        return RESTARTS, DRAINING
    if error.reason == SLOW_READER:
        return POLICY, SLOW_READER
    code, reason = _found(CLOSES, error) or (POLICY, "")
    return code, reason or error.reason


def build_denial(error: TranscriptionError, request_id: str) -> Denial:
    """An HTTP answer: Deepgram's clients look at the status, people at the headers and the body."""
    status, err_code = _found(HTTP, error) or HTTP[errors.InternalError]
    body = HttpError(err_code=err_code, err_msg=error.message, request_id=request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"dg-request-id", request_id.encode()),
        # One line of ASCII, whatever the client wrote.
        (b"dg-error", " ".join(error.message.split()).encode("ascii", "replace")),
    ]
    if error.retry_after_ms is not None:
        headers.append((b"retry-after", str(-(-error.retry_after_ms // 1000)).encode()))
    return Denial(status, build_text(body).encode(), tuple(headers))


def build_error(error: TranscriptionError) -> str:
    text = error.text[:MAX_ECHO_CHARACTERS] if isinstance(error, Unreadable) else None
    close = close_of(error)
    variant = close[1] if close in (BAD_AUDIO, NOTHING_SAID, NOTHING_HEARD) else error.reason
    return build_text(ErrorMessage(variant=variant, description=error.message, message=text))


def _found(table: dict[type[TranscriptionError], tuple[int, str]], error: TranscriptionError) -> tuple[int, str] | None:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)
