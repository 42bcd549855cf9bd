"""The opening handshake (RFC 6455, section 4.2): the client's request and the server's answers. No I/O."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY_BYTES = 16
VERSION = b"13"
TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")

Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """The request opens no WebSocket. Answer with `status` and `headers`."""

    def __init__(self, status: HTTPStatus, why: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Request:
    """headers: names in lower case. accept: the value of Sec-WebSocket-Accept that answers it."""

    target: str
    headers: Headers
    subprotocols: list[str]
    accept: bytes

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """head: request line and headers, up to the empty line. Raises Refused."""
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, _, rest = first.partition(b" ")
        target, _, version = rest.partition(b" ")
        if method != b"GET" or version != b"HTTP/1.1" or not target.isascii():
            raise _bad_request("a WebSocket opens with GET and HTTP/1.1")
        headers = [_parse_header(line) for line in lines]
        if b"upgrade" not in _tokens(headers, b"connection") or b"websocket" not in _tokens(headers, b"upgrade"):
            raise _bad_request("no upgrade to websocket")
        if _values(headers, b"sec-websocket-version") != [VERSION]:
            raise Refused(
                HTTPStatus.UPGRADE_REQUIRED,
                "unknown version",
                [(b"upgrade", b"websocket"), (b"sec-websocket-version", VERSION)],
            )
        return cls(
            target=target.decode("ascii"),
            headers=headers,
            subprotocols=[
                name.strip().decode("latin-1")
                for value in _values(headers, b"sec-websocket-protocol")
                for name in value.split(b",")
            ],
            accept=_accept(_values(headers, b"sec-websocket-key")),
        )


def _parse_header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    # A folded line too ends here: read as a header of its own it could be one that proxies take away.
    if not colon or not TOKEN.fullmatch(name):
        raise _bad_request("bad header")
    return name.lower(), value.strip(b" \t")


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _tokens(headers: Headers, wanted: bytes) -> set[bytes]:
    return {token.strip().lower() for value in _values(headers, wanted) for token in value.split(b",")}


def _accept(keys: list[bytes]) -> bytes:
    try:
        [key] = keys
        if len(base64.b64decode(key, validate=True)) != KEY_BYTES:
            raise _bad_request("a key has 16 bytes")
    except ValueError:
        raise _bad_request("one key in base64 is needed") from None
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())


def _bad_request(why: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, why)


def build_acceptance(request: Request, subprotocol: str | None, headers: Headers) -> bytes:
    """The answer that opens the WebSocket. No extension is ever accepted."""
    own = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", request.accept)]
    if subprotocol:
        own.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
    return build_head(HTTPStatus.SWITCHING_PROTOCOLS, own + headers)


def build_response(status: int, headers: Headers, body: bytes) -> bytes:
    """A whole answer after which the connection is closed."""
    own = [(b"connection", b"close"), (b"content-length", str(len(body)).encode())]
    if body:
        own.append((b"content-type", b"text/plain; charset=utf-8"))
    return build_head(status, own + headers) + body


def build_head(status: int, headers: Headers) -> bytes:
    """Raises ValueError for a header that would be read as more than one."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status:03d} {phrase}".encode(), *(name + b": " + value for name, value in headers)]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a header contains a line break")
    return b"\r\n".join(lines) + b"\r\n\r\n"
