"""Audio that could still be needed again, addressed by byte. Pure."""

from __future__ import annotations


class ReplayBuffer:
    """The bytes [start, end) of a session's audio, contiguous. The caller bounds it by trimming."""

    def __init__(self, start: int = 0) -> None:
        self._bytes = bytearray()
        self.start = start

    @property
    def end(self) -> int:
        """Position after the last byte held."""
        return self.start + len(self._bytes)

    def append(self, chunk: bytes) -> int:
        """Add bytes at the end. Returns the new end."""
        self._bytes += chunk
        return self.end

    def read(self, first: int, last: int) -> bytes:
        """The bytes [first, last). Raises ValueError if any of them is not held."""
        if not self.start <= first <= last <= self.end:
            raise ValueError(f"[{first}, {last}) is outside of [{self.start}, {self.end})")
        return bytes(memoryview(self._bytes)[first - self.start : last - self.start])

    def trim(self, to: int) -> None:
        """Forget everything before a position; a position outside of the buffer is taken to its nearer edge."""
        cut = min(max(to, self.start), self.end) - self.start
        del self._bytes[:cut]
        self.start += cut
