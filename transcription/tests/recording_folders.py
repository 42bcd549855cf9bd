"""Folders of parts for tests: what a session wrote, and disks that are full or slow."""

from __future__ import annotations

import errno
import io
import os
from typing import Any, BinaryIO, cast

from transcription.recording.parts import Part, PartFolder

FOLDER = "7-20260102030405000000"


class FullDisk(PartFolder):
    """Has room for so many bytes, then says what a full disk says."""

    room_bytes = 0

    def open_new(self, folder: str, start: int, epoch: int) -> BinaryIO:
        return cast(BinaryIO, _Filling(super().open_new(folder, start, epoch), self))


class _Filling(io.RawIOBase):
    def __init__(self, file: Any, disk: FullDisk) -> None:
        self._file = file
        self._disk = disk

    def write(self, content: Any) -> int:
        if not self._disk.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written: int = self._file.write(memoryview(content)[: self._disk.room_bytes])
        self._disk.room_bytes -= written
        return written

    def fileno(self) -> int:
        number: int = self._file.fileno()
        return number

    def close(self) -> None:
        self._file.close()
        super().close()


def write_part(folder: PartFolder, audio: bytes, *, start: int = 0, epoch: int = 1, name: str = FOLDER) -> Part:
    with folder.open_new(name, start, epoch) as file:
        file.write(audio)
    return next(part for part in folder.parts(name) if (part.start, part.epoch) == (start, epoch))
