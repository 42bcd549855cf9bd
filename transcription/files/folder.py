"""The private folder of uploads. Names are made here alone: nothing that a client says becomes a path."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, cast

from django.utils.translation import gettext as _

from speechsite.config import Config
from transcription.errors import StorageUnavailable

STORED_NAME = re.compile(r"[0-9a-f]{32}")
ID_FILE = "id"
# An upload without a job is one that is just coming in, or that a killed process left behind.
FORGOTTEN_AFTER_S = 24 * 3600.0


class UploadFolder:
    """`DATA_DIR/uploads`, for its owner alone. Made when first written to."""

    def __init__(self, path: Path, *, min_free_bytes: int) -> None:
        self.path = path
        self._min_free_bytes = min_free_bytes

    @classmethod
    def of(cls, config: Config) -> UploadFolder:
        return cls(config.data_dir / "uploads", min_free_bytes=config.min_free_disk_bytes)

    def storage_id(self) -> str:
        """Tells this folder from those of other hosts; the same for all processes that share it."""
        self._make()
        path = self.path / ID_FILE
        try:
            with open(path, "x", opener=_private) as file:
                file.write(secrets.token_hex(16))
        except FileExistsError:
            pass
        return path.read_text()

    def check_room(self, size_bytes: int) -> None:
        """Raise StorageUnavailable where so many bytes more would leave too little of the disk."""
        self._make()
        if shutil.disk_usage(self.path).free - size_bytes < self._min_free_bytes:
            raise StorageUnavailable(_("There is no room for this file right now."), reason="disk_full")

    def new(self) -> BinaryIO:
        """A file without a name: it is gone with its last descriptor, whatever happens to this process."""
        self._make()
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self.path))

    def new_stored(self) -> tuple[str, BinaryIO]:
        """A file that stays, and its name."""
        self._make()
        name = secrets.token_hex(16)
        return name, open(self._path(name), "x+b", opener=_private)

    def open(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError."""
        return open(self._path(name), "rb")

    def delete(self, name: str) -> None:
        """Delete a stored file; one that is not there is no error."""
        if name:
            self._path(name).unlink(missing_ok=True)

    def sweep(self, known: Collection[str]) -> int:
        """Delete old files that are not known. Returns how many."""
        if not self.path.exists():
            return 0
        swept = 0
        for entry in os.scandir(self.path):
            is_ours = STORED_NAME.fullmatch(entry.name) is not None
            if is_ours and entry.name not in known and time.time() - entry.stat().st_mtime > FORGOTTEN_AFTER_S:
                self.delete(entry.name)
                swept += 1
        return swept

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        if not STORED_NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self.path / name


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
