"""The error tree: complete in its docstring, its numbers those of the protocol."""

from __future__ import annotations

import inspect
import re

import pytest

from transcription import errors
from transcription.errors import TranscriptionError

CODES = {
    "BadMessage": 4400,
    "NotAuthenticated": 4401,
    "NotAllowed": 4403,
    "NotFound": 4404,
    "NothingToResume": 4404,
    "TimedOutClient": 4408,
    "SessionTaken": 4409,
    "SessionOver": 4410,
    "MessageTooLarge": 4413,
    "BadAudio": 4415,
    "BadConfig": 4422,
    "TooFast": 4429,
    "StoppedByOperator": 4490,
    "InternalError": 4500,
    "RecogniserFailed": 4502,
    "AtCapacity": 4503,
    "RecogniserSilent": 4504,
    "StorageUnavailable": 4507,
}
RETRYABLE = {4408, 4429, 4500, 4502, 4503, 4504, 4507}
CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, TranscriptionError) and member is not TranscriptionError
]


def test_every_error_has_the_number_of_the_protocol() -> None:
    assert {error.__name__: error.code for error in CLASSES} == CODES


def test_the_tree_in_the_docstring_is_complete() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d{4})", errors.__doc__ or ""))

    assert {name: int(code) for name, code in drawn.items()} == CODES


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_says_what_it_is(error: type[TranscriptionError]) -> None:
    made = error("A sentence.")

    assert error.__doc__
    assert made.message == str(made) == "A sentence."
    assert re.fullmatch(r"[a-z_]{3,40}", made.reason)
    assert made.http_status == error.code - 4000
    assert made.retryable is (error.code in RETRYABLE)
    assert made.field is None
    assert made.retry_after_ms is None


def test_reasons_tell_the_errors_apart() -> None:
    reasons = [error.default_reason for error in CLASSES]

    assert len(set(reasons)) == len(reasons)


def test_an_error_may_say_more_than_its_class() -> None:
    error = errors.RecogniserFailed("No.", reason="refused", retryable=False, retry_after_ms=5, field="config.model")

    assert (error.reason, error.retryable, error.retry_after_ms, error.field) == ("refused", False, 5, "config.model")
