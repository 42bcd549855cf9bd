"""The opening handshake by RFC 6455, with plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechsite.tests.websocket_client import ACCEPT, HEADERS, KEY
from speechsite.websocket.handshake import Headers, Refused, Request, build_acceptance, build_head, build_response


def head(*headers: tuple[bytes, bytes], first: bytes = b"GET /path?query=1 HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *(b": ".join(header) for header in headers)]) + b"\r\n\r\n"


def changed(name: bytes, value: bytes | None) -> Headers:
    """A right request's headers with one that is another, or that is missing."""
    others = [header for header in HEADERS if header[0] != name]
    return others if value is None else [*others, (name, value)]


def refusal(*headers: tuple[bytes, bytes], first: bytes = b"GET / HTTP/1.1") -> Refused:
    with pytest.raises(Refused) as caught:
        Request.parse(head(*headers, first=first))
    return caught.value


def test_it_reads_a_request() -> None:
    request = Request.parse(head(*HEADERS, (b"X-Twice", b" a "), (b"x-twice", b"b:c"), (b"X-Empty", b"")))

    assert request.target == "/path?query=1"
    assert request.accept == ACCEPT
    assert request.subprotocols == []
    assert request.headers[0] == (b"host", b"localhost")
    assert request.headers[-3:] == [(b"x-twice", b"a"), (b"x-twice", b"b:c"), (b"x-empty", b"")]


def test_it_reads_offered_subprotocols_in_order() -> None:
    request = Request.parse(
        head(*HEADERS, (b"Sec-WebSocket-Protocol", b"one, two"), (b"Sec-WebSocket-Protocol", b"three"))
    )

    assert request.subprotocols == ["one", "two", "three"]


@pytest.mark.parametrize("connection", [b"upgrade", b"keep-alive, Upgrade", b"Upgrade,foo"])
def test_upgrade_may_be_one_of_several_connection_options(connection: bytes) -> None:
    assert Request.parse(head(*changed(b"Connection", connection)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Upgrade", None),
        (b"Upgrade", b"h2c"),
        (b"Connection", None),
        (b"Connection", b"keep-alive"),
        (b"Sec-WebSocket-Key", None),
        (b"Sec-WebSocket-Key", b""),
        (b"Sec-WebSocket-Key", b"not base64!"),
        (b"Sec-WebSocket-Key", b"dG9vIHNob3J0"),
        (b"Sec-WebSocket-Key", KEY + b", " + KEY),
    ],
)
def test_a_bad_request_is_refused(name: bytes, value: bytes | None) -> None:
    assert refusal(*changed(name, value)).status == 400


@pytest.mark.parametrize(
    "first", [b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"GET /", b"", "GET /ü HTTP/1.1".encode(), b"GET / HTTP/1.1 x"]
)
def test_a_bad_request_line_is_refused(first: bytes) -> None:
    assert refusal(*HEADERS, first=first).status == 400


def test_two_keys_are_refused() -> None:
    assert refusal(*HEADERS, (b"Sec-WebSocket-Key", KEY)).status == 400


@pytest.mark.parametrize("line", [b"no colon", b": no name", b" folded: line", b"spa ce: x", b"space : x"])
def test_a_line_that_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(Refused):
        Request.parse(head(*HEADERS).removesuffix(b"\r\n") + line + b"\r\n\r\n")


@pytest.mark.parametrize("version", [None, b"8", b"13, 8", b"014"])
def test_another_version_is_told_which_one_is_right(version: bytes | None) -> None:
    refused = refusal(*changed(b"Sec-WebSocket-Version", version))

    assert refused.status == 426
    assert (b"sec-websocket-version", b"13") in refused.headers


@given(st.binary(max_size=200))
def test_whatever_is_requested_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        Request.parse(data)


def test_the_acceptance_has_the_chosen_subprotocol_and_no_extension() -> None:
    request = Request.parse(head(*HEADERS, (b"Sec-WebSocket-Extensions", b"permessage-deflate")))

    answer = build_acceptance(request, "two", [(b"x-request-id", b"7")])

    first, *lines = answer.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == b"HTTP/1.1 101 Switching Protocols"
    assert lines == [
        b"upgrade: websocket",
        b"connection: Upgrade",
        b"sec-websocket-accept: " + ACCEPT,
        b"sec-websocket-protocol: two",
        b"x-request-id: 7",
    ]


def test_a_response_says_its_length_and_that_it_is_the_last() -> None:
    answer = build_response(403, [], b"")

    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"connection: close" in answer
    assert b"content-length: 0" in answer
    assert build_response(799, [], b"why").endswith(b"\r\n\r\nwhy")


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a\n", b"b")])
def test_a_header_cannot_bring_in_another(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        build_head(101, [header])
