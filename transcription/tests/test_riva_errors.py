"""Every gRPC status has our error, in both phases."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from transcription.errors import (
    AtCapacity,
    BadAudio,
    BadConfig,
    RecogniserFailed,
    RecogniserSilent,
    TranscriptionError,
)
from transcription.riva.errors import (
    MAX_UPSTREAM_TEXT_CHARACTERS,
    TABLES,
    Phase,
    clean_upstream_text,
    map_status,
)

OPENING, STREAMING = Phase.OPENING, Phase.STREAMING
NOT_RETRYABLE_WHEREVER = {
    StatusCode.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED,
    StatusCode.NOT_FOUND,
    StatusCode.UNIMPLEMENTED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.OUT_OF_RANGE,
}


@pytest.mark.parametrize("phase", Phase)
def test_the_tables_are_complete(phase: Phase) -> None:
    assert set(TABLES[phase]) == set(StatusCode)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("code", StatusCode)
def test_every_status_becomes_an_error_with_a_sentence(code: StatusCode, phase: Phase) -> None:
    error = map_status(code, "raw upstream text", phase=phase)
    assert isinstance(error, TranscriptionError)
    assert error.message.endswith((".", "raw upstream text"))
    assert error.retryable is (code not in NOT_RETRYABLE_WHEREVER)


@pytest.mark.parametrize(
    ("code", "phase", "kind", "retry_after_ms"),
    [
        (StatusCode.UNAVAILABLE, OPENING, RecogniserFailed, None),
        (StatusCode.INTERNAL, STREAMING, RecogniserFailed, None),
        (StatusCode.UNKNOWN, STREAMING, RecogniserFailed, None),
        (StatusCode.ABORTED, STREAMING, RecogniserFailed, None),
        (StatusCode.OK, STREAMING, RecogniserFailed, None),
        (StatusCode.RESOURCE_EXHAUSTED, OPENING, AtCapacity, 5000),
        (StatusCode.RESOURCE_EXHAUSTED, STREAMING, RecogniserFailed, 1000),
        (StatusCode.INVALID_ARGUMENT, OPENING, BadConfig, None),
        (StatusCode.INVALID_ARGUMENT, STREAMING, RecogniserFailed, None),
        (StatusCode.UNIMPLEMENTED, OPENING, RecogniserFailed, None),
        (StatusCode.DEADLINE_EXCEEDED, OPENING, RecogniserSilent, None),
        (StatusCode.DEADLINE_EXCEEDED, STREAMING, RecogniserFailed, None),
    ],
)
def test_the_policy_of_the_statuses_that_matter(
    code: StatusCode, phase: Phase, kind: type[TranscriptionError], retry_after_ms: int | None
) -> None:
    error = map_status(code, "", phase=phase)
    assert type(error) is kind
    assert error.retry_after_ms == retry_after_ms


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("code", [StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED])
def test_refused_credentials_say_nothing_of_them(code: StatusCode, phase: Phase) -> None:
    error = map_status(code, "key nvapi-abcdef is wrong", phase=phase)
    assert type(error) is RecogniserFailed
    assert "nvapi" not in error.message
    assert not error.retryable


@pytest.mark.parametrize("phase", Phase)
def test_a_lost_sequence_is_worth_another_stream(phase: Phase) -> None:
    details = "inference request for sequence 7 to model 'x' must specify the START flag on the first request"
    error = map_status(StatusCode.INVALID_ARGUMENT, details, phase=phase)
    assert type(error) is RecogniserFailed
    assert error.reason == "recogniser_sequence"
    assert error.retryable


@pytest.mark.parametrize("details", ["Cancelling all calls", "GOAWAY received; Error code: 0"])
def test_a_server_that_says_goodbye_is_told_from_one_that_is_away(details: str) -> None:
    error = map_status(StatusCode.UNAVAILABLE, details, phase=Phase.STREAMING)
    assert (type(error), error.reason, error.retryable) == (RecogniserFailed, "recogniser_goaway", True)


@pytest.mark.parametrize("phase", Phase)
def test_audio_that_cannot_be_decoded_is_not_a_matter_of_options(phase: Phase) -> None:
    error = map_status(StatusCode.INVALID_ARGUMENT, "audio_content: is not a FLAC file", phase=phase)
    assert type(error) is BadAudio
    assert "is not a FLAC file" in error.message
    assert error.field is None


def test_a_missing_model_is_the_clients_mistake_only_if_it_named_one() -> None:
    named = map_status(StatusCode.NOT_FOUND, "no such model", phase=OPENING, asked_model="tiny")
    unnamed = map_status(StatusCode.NOT_FOUND, "Function not found for account", phase=OPENING)
    assert (type(named), named.field) == (BadConfig, "config.model")
    assert type(unnamed) is RecogniserFailed
    assert "account" not in unnamed.message


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ("Unavailable model requested given: language_code=xx; sample_rate=16000", "config.language"),
        ("model tiny does not support language fr-FR", "config.language"),
        ("sample_rate_hertz: 4000 is too low", "config.sample_rate_hertz"),
        ("audio_channel_count: 7 is not 1 or 2", "config.audio_channel_count"),
        ("unsupported ENCODING", "config.encoding"),
        ("stop_history_eou must be positive", "config.endpointing.stop_history_eou"),
        ("no model named that", "config.model"),
        ("something else", None),
    ],
)
def test_a_refusal_names_our_field_where_the_text_names_one(details: str, field: str | None) -> None:
    error = map_status(StatusCode.INVALID_ARGUMENT, details, phase=OPENING)
    assert error.field == field
    assert details in error.message


def test_only_refused_options_quote_the_recogniser() -> None:
    quoting = {
        code
        for code in StatusCode
        for phase in Phase
        if "upstream" in map_status(code, "upstream", phase=phase, asked_model="m").message
    }
    assert quoting == {StatusCode.INVALID_ARGUMENT, StatusCode.OUT_OF_RANGE, StatusCode.NOT_FOUND}


def test_upstream_text_is_one_short_clean_line() -> None:
    assert clean_upstream_text(" a\x00\r\n\x1b[31m\u202eb\u2028c ") == "a [31m b c"
    long = clean_upstream_text("x" * 1000)
    assert len(long) == MAX_UPSTREAM_TEXT_CHARACTERS
    assert long.endswith("…")


@pytest.mark.parametrize("text", ["authorization: Bearer abc.def-ghi", "key nvapi-abc.def-ghi", "you sent abc.def-ghi"])
def test_upstream_text_loses_its_secrets(text: str) -> None:
    assert "def" not in clean_upstream_text(text, ["abc.def-ghi"])


def test_a_secret_at_the_cut_is_not_shown_by_half() -> None:
    assert "secret" not in clean_upstream_text("x" * 195 + "secret-key-value", ["secret-key-value"])
