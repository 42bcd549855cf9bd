"""Audio that could still be needed again, addressed by byte. Pure."""

from __future__ import annotations

from collections import deque

# Smaller pieces are joined, so that a client of tiny messages makes no long list.
MIN_PIECE_BYTES = 2048


class ReplayBuffer:
    """The bytes [start, end) of a session's audio, contiguous. The caller bounds it by trimming.

    They are kept in the pieces in which they came: the usual read is the newest piece, whole, and copies nothing.
    """

    __slots__ = ("_first", "_pieces", "end", "start")

    def __init__(self, start: int = 0) -> None:
        self._pieces: deque[bytes] = deque()
        # Position of the first piece's first byte; what lies before `start` is forgotten but for its memory.
        self._first = start
        self.start = start
        # Position after the last byte held.
        self.end = start

    def append(self, chunk: bytes) -> int:
        """Add bytes at the end. Returns the new end."""
        if self._pieces and len(self._pieces[-1]) < MIN_PIECE_BYTES:
            self._pieces[-1] += chunk
        else:
            self._pieces.append(chunk)
        self.end += len(chunk)
        return self.end

    def read(self, first: int, last: int) -> bytes:
        """The bytes [first, last). Raises ValueError if any of them is not held."""
        if not self.start <= first <= last <= self.end:
            raise ValueError(f"[{first}, {last}) is outside of [{self.start}, {self.end})")
        if first == last:
            return b""
        if last == self.end and last - first == len(self._pieces[-1]):
            return self._pieces[-1]
        if self.end - last < first - self._first:
            found, at = self._pieces_from_the_end(first, last)
        else:
            found, at = self._pieces_from_the_start(first, last)
        joined = found[0] if len(found) == 1 else b"".join(found)
        if first == at and last - first == len(joined):
            return joined
        return joined[first - at : last - at]

    def _pieces_from_the_end(self, first: int, last: int) -> tuple[list[bytes], int]:
        """The pieces that hold [first, last), and the position of their first byte."""
        found, at = [], self.end
        for piece in reversed(self._pieces):
            ends_at, at = at, at - len(piece)
            if at < last and ends_at > at:
                found.append(piece)
            if at <= first:
                break
        found.reverse()
        return found, at

    def _pieces_from_the_start(self, first: int, last: int) -> tuple[list[bytes], int]:
        """As before, looking from the other side, which is nearer while audio is sent again."""
        found: list[bytes] = []
        begins_at = ends_at = self._first
        for piece in self._pieces:
            at, ends_at = ends_at, ends_at + len(piece)
            if ends_at > first:
                if not found:
                    begins_at = at
                found.append(piece)
            if ends_at >= last:
                break
        return found, begins_at

    def trim(self, to: int) -> None:
        """Forget everything before a position; a position outside of the buffer is taken to its nearer edge."""
        self.start = min(max(to, self.start), self.end)
        while self._pieces and self._first + len(self._pieces[0]) <= self.start:
            self._first += len(self._pieces.popleft())
