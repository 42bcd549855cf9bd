"""A migrated SQLite file, made once for all tests, and for later runs of the same code: migrating takes seconds."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from speechsite.config import BASE_DIR

FOLDER = BASE_DIR / ".pytest_cache" / "migrated"
FILE_NAME = "speechsite.sqlite3"
# Whatever migrations may import. What they take from elsewhere has its version in the requirements.
SOURCES = ("speechsite/**/*.py", "transcription/**/*.py", "requirements.txt")


def copy_migrated(folder: Path, name: str = FILE_NAME) -> Path:
    """Put a migrated database into a folder. Returns its path."""
    return Path(shutil.copyfile(_migrated(), folder / name))


@cache
def _migrated() -> Path:
    path = FOLDER / f"{_digest()}.sqlite3"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _locked():
        if not path.exists():
            for old in FOLDER.glob("*.sqlite3"):
                old.unlink()
            _migrate(path)
    return path


def _migrate(path: Path) -> None:
    from speechsite.tests.served import manage

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        outcome = manage("migrate", "--verbosity", "0", data_dir=Path(folder), DATABASE_URL="sqlite://")
        assert outcome.returncode == 0, outcome.stderr
        # Whole or not at all: a run may be stopped at any time.
        os.replace(Path(folder) / FILE_NAME, path)


@contextmanager
def _locked() -> Iterator[None]:
    """Test processes side by side: one makes it, the others wait."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in BASE_DIR.glob(pattern) if "tests" not in path.parts):
        digest.update(str(path.relative_to(BASE_DIR)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
