"""A WebSocket client that may say anything: it sends bytes and reads frames."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Self

from speechsite.websocket.frames import CLOSE, FIN, MASKED, apply_mask

TIMEOUT_S = 20.0
MASK = b"\x0a\xf1\x5c\x99"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
# Of the example in RFC 6455, section 1.3.
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HEADERS = (
    (b"Host", b"localhost"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
)


def masked(opcode: int, payload: bytes = b"", *, first: int | None = None, mask: bytes = MASK) -> bytes:
    """A frame as clients send it. first: the first byte, if it is not that of a whole message."""
    head = bytes([FIN | opcode if first is None else first])
    size = len(payload)
    if size < 126:
        head += bytes([MASKED | size])
    elif size < 1 << 16:
        head += bytes([MASKED | 126]) + struct.pack("!H", size)
    else:
        head += bytes([MASKED | 127]) + struct.pack("!Q", size)
    return head + mask + apply_mask(payload, mask)


def closing(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, code.to_bytes(2) + reason)


class WebSocketClient:
    """Connected by TCP; `open` makes the handshake."""

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT_S)
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.connect(("127.0.0.1", port))
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def ask(self, path: str, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> None:
        lines = [method + b" " + path.encode() + b" HTTP/1.1", *(b": ".join(header) for header in headers)]
        self.send(b"\r\n".join(lines) + b"\r\n\r\n")

    def request(self, path: str, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> bytes:
        """Returns the head of the response."""
        self.ask(path, *headers, method=method)
        return self.read_until(b"\r\n\r\n")

    def open(self, path: str, *headers: tuple[bytes, bytes]) -> Self:
        head = self.request(path, *HEADERS, *headers)
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        found, _, self._received = self._received.partition(end)
        return found + end

    def read_frame(self) -> tuple[int, bytes]:
        """First byte and payload."""
        first, size = self._read(2)
        assert not size & MASKED, "a server masks nothing"
        if size == 126:
            size = int.from_bytes(self._read(2))
        elif size == 127:
            size = int.from_bytes(self._read(8))
        return first, self._read(size)

    def read_close(self) -> tuple[int, str]:
        """Code and reason of a close frame, after which the server must say nothing."""
        first, payload = self.read_frame()
        assert first == FIN | CLOSE, (first, payload)
        return int.from_bytes(payload[:2]), payload[2:].decode()

    def read_end(self) -> bytes:
        """What comes until the server closes the connection."""
        rest = self._received
        while received := self.socket.recv(65536):
            rest += received
        return rest

    def end(self) -> None:
        """Send no more."""
        self.socket.shutdown(socket.SHUT_WR)

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _receive(self) -> None:
        received = self.socket.recv(65536)
        if not received:
            raise EOFError(self._received)
        self._received += received
