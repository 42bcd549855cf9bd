"""Audio that a client keeps until the service says that it is settled. No I/O."""

from __future__ import annotations


class HeldAudio:
    """The bytes of a session from the first that may be asked for again to the newest.

    Positions count from the session's first byte: `start` is the first byte held, `end` is one past the last.
    """

    def __init__(self) -> None:
        self.start = 0
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def end(self) -> int:
        return self.start + len(self._bytes)

    def append(self, chunk: bytes) -> None:
        self._bytes += chunk

    def forget(self, position: int) -> None:
        """Let go of everything before a position, which is at most `end`."""
        if position > self.end:
            raise ValueError(f"only {self.end} bytes were ever given, not {position}")
        if position > self.start:
            del self._bytes[: position - self.start]
            self.start = position

    def read(self, position: int, max_bytes: int) -> bytes:
        """Up to so many bytes from a position that is held."""
        if position < self.start:
            raise ValueError(f"byte {position} is forgotten; {self.start} is the first that is held")
        begin = position - self.start
        return bytes(self._bytes[begin : begin + max(0, max_bytes)])
