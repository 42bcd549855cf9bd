"""Where finished recordings are: the storage "recordings" of STORAGES, whatever its backend is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.core.files import File
from django.core.files.storage import Storage, storages

ALIAS = "recordings"
CONTENT_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "webm": "audio/webm"}


def recordings() -> Storage:
    return storages[ALIAS]


def name_of(folder: str, created_at: datetime, kind: str) -> str:
    """Always the same, so that one who does it again finds what an attempt before left there."""
    return f"{created_at:%Y/%m}/{folder}.{kind}"


class _JoinedFile(File):
    """A file on disk that the storage may move to where it belongs; others read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(open(path, "rb"), name=path.name)  # noqa: SIM115 - closed as a file is
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def put(storage: Storage, name: str, path: Path) -> str:
    """Store a file under a name, in place of what has it. Returns the name it got. Raises what the backend does."""
    if storage.exists(name):
        storage.delete(name)
    with _JoinedFile(path) as file:
        return storage.save(name, file)
