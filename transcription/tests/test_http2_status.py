"""What ends a call, as gRPC's statuses, with plain values."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from transcription.riva.http2.status import (
    metadata_of,
    status_of_http,
    status_of_reset,
    status_of_trailers,
)


@pytest.mark.parametrize("code", list(StatusCode))
def test_every_code_of_grpc_is_read(code: StatusCode) -> None:
    assert status_of_trailers([("grpc-status", str(code.value[0]))]) == (code, "")


@pytest.mark.parametrize("code", ["17", "-1", "", "ok", "0x0"])
def test_a_code_that_is_none_of_them_is_unknown(code: str) -> None:
    assert status_of_trailers([("grpc-status", code), ("grpc-message", "why")]) == (StatusCode.UNKNOWN, "why")


@pytest.mark.parametrize(
    ("sent", "text"),
    [("no%20such%20model", "no such model"), ("K%C3%A4se%0A", "Käse\n"), ("100%", "100%"), ("%FF", "\ufffd")],
)
def test_a_message_is_decoded(sent: str, text: str) -> None:
    assert status_of_trailers([("grpc-status", "3"), ("grpc-message", sent)]) == (StatusCode.INVALID_ARGUMENT, text)


def test_trailers_without_a_status_are_unknown() -> None:
    code, text = status_of_trailers([("x-other", "1")])
    assert code is StatusCode.UNKNOWN
    assert text


def test_an_answer_of_headers_alone_has_the_status_of_grpc_first() -> None:
    headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "8")]
    assert status_of_trailers(headers)[0] is StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("http_status", "code"),
    [
        ("400", StatusCode.INTERNAL),
        ("401", StatusCode.UNAUTHENTICATED),
        ("403", StatusCode.PERMISSION_DENIED),
        ("404", StatusCode.UNIMPLEMENTED),
        ("429", StatusCode.UNAVAILABLE),
        ("502", StatusCode.UNAVAILABLE),
        ("503", StatusCode.UNAVAILABLE),
        ("504", StatusCode.UNAVAILABLE),
        ("500", StatusCode.UNKNOWN),
        ("302", StatusCode.UNKNOWN),
    ],
)
def test_an_answer_of_http_has_the_code_that_grpc_gives_it(http_status: str, code: StatusCode) -> None:
    assert status_of_http(http_status)[0] is code
    assert status_of_trailers([(":status", http_status)]) == status_of_http(http_status)
    assert http_status in status_of_http(http_status)[1]


@pytest.mark.parametrize(
    ("reset", "code", "name"),
    [
        (0x0, StatusCode.INTERNAL, "NO_ERROR"),
        (0x1, StatusCode.INTERNAL, "PROTOCOL_ERROR"),
        (0x7, StatusCode.UNAVAILABLE, "REFUSED_STREAM"),
        (0x8, StatusCode.CANCELLED, "CANCEL"),
        (0xB, StatusCode.RESOURCE_EXHAUSTED, "ENHANCE_YOUR_CALM"),
        (0xC, StatusCode.PERMISSION_DENIED, "INADEQUATE_SECURITY"),
        (0x99, StatusCode.INTERNAL, "0x99"),
    ],
)
def test_a_reset_has_the_code_that_grpc_gives_it_and_its_name(reset: int, code: StatusCode, name: str) -> None:
    assert status_of_reset(reset)[0] is code
    assert status_of_reset(reset)[1].endswith(f": {name}")


def test_metadata_is_what_is_neither_http_nor_grpc() -> None:
    headers = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-encoding", "identity"),
        ("audio-processed", "settled"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("grpc-status", "0"),
        ("grpc-message", ""),
    ]
    assert list(metadata_of(headers)) == [("audio-processed", "settled"), ("x-twice", "1"), ("x-twice", "2")]
