"""The folder of audio that is not joined yet: for each session a folder, for each connection of it one file.

A file's name says the position of its first byte in the session's audio and the epoch of who wrote it, so that nothing
but the folder is needed to put them together. Names are made here alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from speechsite.config import Config

FOLDER_NAME = re.compile(r"(\d{1,19})-[0-9]{20}")
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PART_NAME = re.compile(r"(\d{15})-(\d{10})\.part")


@dataclass(frozen=True, slots=True)
class Part:
    """A file with the audio bytes [start, end) of a session, written in an epoch."""

    path: Path
    start: int
    end: int
    epoch: int


def folder_name(pk: int, created_at: datetime) -> str:
    """The folder of a session. With the time: in a database that was made anew the key may come again."""
    return f"{pk}-{created_at.astimezone(UTC):%Y%m%d%H%M%S%f}"


def key_of(folder: str) -> int | None:
    """The session's key in a folder's name; None for what is no such name."""
    found = FOLDER_NAME.fullmatch(folder)
    return int(found[1]) if found else None


class PartFolder:
    """`DATA_DIR/recordings/parts`, for its owner alone; made when first written to. All processes share it.

    free_bytes: of the disk; min_free_bytes: what recordings leave of that.
    """

    def __init__(self, path: Path, *, min_free_bytes: int = 0, free_bytes: Callable[[Path], int] | None = None) -> None:
        self.path = path
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes or (lambda path: shutil.disk_usage(path).free)

    @classmethod
    def of(cls, config: Config) -> PartFolder:
        return cls(config.data_dir / "recordings" / "parts", min_free_bytes=config.min_free_disk_bytes)

    def open_new(self, folder: str, start: int, epoch: int) -> BinaryIO:
        """A new part, unbuffered; one that was begun under this name is begun anew. Raises OSError."""
        path = self._session(folder)
        self._make()
        path.mkdir(mode=0o700, exist_ok=True)
        return cast(BinaryIO, open(path / f"{start:015d}-{epoch:010d}.part", "wb", buffering=0, opener=_private))

    def has_room(self) -> bool:
        """Whether recordings may grow. Raises OSError."""
        self._make()
        return self._free_bytes(self.path) >= self._min_free_bytes

    def parts(self, folder: str) -> list[Part]:
        """The parts of a session by where they begin, as long as they are at this moment."""
        path = self._session(folder)
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
            for entry in entries:
                if match := PART_NAME.fullmatch(entry.name):
                    start = int(match[1])
                    found.append(Part(Path(entry.path), start, start + entry.stat().st_size, int(match[2])))
        return sorted(found, key=lambda part: (part.start, part.epoch))

    def size_bytes(self, folder: str) -> int:
        return sum(part.end - part.start for part in self.parts(folder))

    def delete(self, folder: str) -> None:
        """Delete what a session has here; that there is nothing is no error."""
        shutil.rmtree(self._session(folder), ignore_errors=True)

    def folders(self) -> Iterator[tuple[str, float]]:
        """Every session's folder, with when it was changed last (seconds since 1970)."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                if FOLDER_NAME.fullmatch(entry.name):
                    yield entry.name, entry.stat().st_mtime

    def joined_path(self, folder: str) -> Path:
        """Where the file is made of the parts before it goes into the storage."""
        return self._session(folder) / "joined"

    def _make(self) -> None:
        # A mode is that of the last folder alone.
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def _session(self, folder: str) -> Path:
        if not FOLDER_NAME.fullmatch(folder):
            raise FileNotFoundError(folder)
        return self.path / folder


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
