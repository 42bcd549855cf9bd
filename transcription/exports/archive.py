"""A ZIP that is written as it is read: it never goes back, so it is never whole in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any


class ZipStream:
    """Files one after the other, each in pieces; what is written is handed out at once."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)

    def add(
        self, member: zipfile.ZipInfo | str, pieces: Iterable[bytes], *, may_be_huge: bool = False
    ) -> Iterator[bytes]:
        """The bytes of the archive so far. may_be_huge: over 2 GB, which not every program reads."""
        with self._archive.open(member, "w", force_zip64=may_be_huge) as file:
            for piece in pieces:
                file.write(piece)
                yield from self._sink.take()
        yield from self._sink.take()

    def end(self) -> Iterator[bytes]:
        """The directory, without which nothing can open the archive."""
        self._archive.close()
        yield from self._sink.take()


class _Sink(io.RawIOBase):
    """Takes what the archive writes and gives it away; it cannot seek, so the archive never goes back."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> Iterator[bytes]:
        if self._written:
            yield bytes(self._written)
            self._written.clear()
