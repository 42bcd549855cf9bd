"""The one error tree of the service.

TranscriptionError
├── BadMessage            4400  the client broke the protocol
├── NotAuthenticated      4401  no, wrong or expired credentials
├── NotAllowed            4403
├── NothingToResume       4404  unknown, not resumable, or somebody else's: the same answer
├── NotFound              4404  (HTTP) no such object, or not yours
├── TimedOutClient        4408  no start in time, idle, or reading too slowly
├── SessionTaken          4409  the id exists, or another connection took the session
├── SessionOver           4410  the maximum length is reached
├── MessageTooLarge       4413
├── BadAudio              4415  audio that cannot be decoded as declared
├── BadConfig             4422  a field of the options is wrong
├── TooFast               4429  over the limits of what may be sent
├── StoppedByOperator     4490
├── InternalError         4500  our fault
├── RecogniserFailed      4502
├── AtCapacity            4503  full, or draining
├── RecogniserSilent      4504
└── StorageUnavailable    4507

`code` is the WebSocket close code, and 4000 + the HTTP status. `reason` is a stable word for programs,
`message` a sentence for people. What the log says is written where the error is caught.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class TranscriptionError(Exception):
    """Base of all errors that a client is told about.

    message: a sentence for people. reason: a stable word; each class has a default.
    field: path of the wrong field (`config.sample_rate_hertz`). retry_after_ms: when to try again.
    retryable: overrides the default of the class.
    """

    code: ClassVar[int] = 4500
    default_reason: ClassVar[str] = "internal_error"
    default_retryable: ClassVar[bool] = False
    # What an answer of the HTTP API has beside the fields of every error.
    details: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        field: str | None = None,
        retry_after_ms: int | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.field = field
        self.retry_after_ms = retry_after_ms
        self.retryable = self.default_retryable if retryable is None else retryable

    @property
    def http_status(self) -> int:
        return self.code - 4000


class BadMessage(TranscriptionError):
    """The client sent something the protocol does not allow here."""

    code, default_reason = 4400, "bad_message"


class NotAuthenticated(TranscriptionError):
    """Credentials are missing, wrong or expired; the client gets new ones first."""

    code, default_reason = 4401, "not_authenticated"


class NotAllowed(TranscriptionError):
    """The credentials are right but do not allow this."""

    code, default_reason = 4403, "not_allowed"


class NotFound(TranscriptionError):
    """There is no such object, or it is somebody else's: the same answer."""

    code, default_reason = 4404, "not_found"


class NothingToResume(TranscriptionError):
    """The session is unknown, not resumable or somebody else's: the same answer for all."""

    code, default_reason = 4404, "nothing_to_resume"


class TimedOutClient(TranscriptionError):
    """The client did not start, send or read in time."""

    code, default_reason, default_retryable = 4408, "timed_out", True


class SessionTaken(TranscriptionError):
    """The session id exists already, or another connection took the session over."""

    code, default_reason = 4409, "session_taken"


class SessionOver(TranscriptionError):
    """The session reached its maximum length; its transcript is complete."""

    code, default_reason = 4410, "session_timeout"


class MessageTooLarge(TranscriptionError):
    """One message is larger than the limits announced in `session_created`."""

    code, default_reason = 4413, "message_too_large"


class BadAudio(TranscriptionError):
    """The audio is not what was declared."""

    code, default_reason = 4415, "bad_audio"


class BadConfig(TranscriptionError):
    """A field of the options is wrong; `field` names it."""

    code, default_reason = 4422, "bad_config"


class TooFast(TranscriptionError):
    """The client sends more than its limits allow."""

    code, default_reason, default_retryable = 4429, "too_fast", True


class StoppedByOperator(TranscriptionError):
    """An operator ended the session; `message` carries the reason given."""

    code, default_reason = 4490, "stopped_by_operator"


class InternalError(TranscriptionError):
    """Our fault. The log has the traceback under the same request_id."""

    code, default_reason, default_retryable = 4500, "internal_error", True


class RecogniserFailed(TranscriptionError):
    """The recogniser refused, failed or went away."""

    code, default_reason, default_retryable = 4502, "recogniser_failed", True


class AtCapacity(TranscriptionError):
    """All places are taken, or this server is being updated."""

    code, default_reason, default_retryable = 4503, "at_capacity", True


class RecogniserSilent(TranscriptionError):
    """The recogniser takes audio but answers nothing."""

    code, default_reason, default_retryable = 4504, "recogniser_silent", True


class StorageUnavailable(TranscriptionError):
    """The database does not answer; nothing is confirmed until it does."""

    code, default_reason, default_retryable = 4507, "storage_unavailable", True
