"""DATABASE_URL to Django's DATABASES entry."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE_LOCK_TIMEOUT_S = 20
POSTGRES_CONNECT_TIMEOUT_S = 5
POSTGRES_STATEMENT_TIMEOUT_MS = 5000
POSTGRES_LOCK_TIMEOUT_MS = 2000
POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT_MS = 10000
POSTGRES_POOL = {"min_size": 2, "max_size": 8, "timeout": 5}


class OwnersConnection(sqlite3.Connection):
    """A connection that makes a new database file for its owner's eyes only; SQLite gives -wal and -shm the same mode.

    A file that exists keeps its mode, which may have been widened on purpose.
    """

    def __init__(self, database: str | Path, *args: Any, **kwargs: Any) -> None:
        name = os.fspath(database)
        # Databases in memory have names such as these instead of a path.
        if name != ":memory:" and not name.startswith("file:"):
            # It is there, or SQLite says what is wrong.
            with contextlib.suppress(OSError):
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        super().__init__(database, *args, **kwargs)


def parse_database_url(url: str, data_dir: Path) -> dict[str, Any]:
    """`sqlite:///relative`, `sqlite:////absolute` or `postgresql://user:password@host:port/name?sslmode=...`.

    An empty url is SQLite in data_dir. Other query parameters go to libpq.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "sqlite"):
        return _sqlite(Path(unquote(parts.path[1:])) if parts.path[1:] else data_dir / "speechsite.sqlite3")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        # Django's pool refuses any other value, and under ASGI a kept connection leaks.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": dict(POSTGRES_POOL),
            "connect_timeout": POSTGRES_CONNECT_TIMEOUT_S,
            "options": (
                f"-c statement_timeout={POSTGRES_STATEMENT_TIMEOUT_MS} -c lock_timeout={POSTGRES_LOCK_TIMEOUT_MS}"
                f" -c idle_in_transaction_session_timeout={POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT_MS}"
                # Compiling a query took up to 2 s where the pages it was for take 0.1 s: they end after some rows.
                " -c jit=off"
            ),
            **dict(parse_qsl(parts.query)),
        },
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": 0,
        # WAL alone still fails read-then-write transactions of several processes with "database is locked";
        # IMMEDIATE takes the write lock at BEGIN, where the timeout applies.
        # What is deleted is overwritten, as SQLite does by itself in most distributions of Linux.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_LOCK_TIMEOUT_S,
            "factory": OwnersConnection,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;",
        },
    }
