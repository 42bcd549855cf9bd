"""What can go wrong inside the embedded recogniser.

RecogniserError
├── RequestError        the client's mistake: INVALID_ARGUMENT, names the field
├── TooManyStreams      past `max_streams`: RESOURCE_EXHAUSTED
├── ClientSilent        nothing sent or read for too long: DEADLINE_EXCEEDED
└── EngineError         the model could not be loaded or run: INTERNAL
"""

from __future__ import annotations


class RecogniserError(Exception):
    """Base of all errors the embedded recogniser raises on purpose."""


class RequestError(RecogniserError):
    """A field of the request has a value that cannot be served; the call ends, the stream is free."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class TooManyStreams(RecogniserError):
    """Every stream slot is taken; the client may try again later."""


class ClientSilent(RecogniserError):
    """The client kept a stream open without sending or reading; it may open a new one."""


class EngineError(RecogniserError):
    """The speech model is missing, does not load, or failed on a segment."""
