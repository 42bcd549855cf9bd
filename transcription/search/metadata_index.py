"""Sessions by the pairs of their metadata: a table with triggers on SQLite, a GIN index on PostgreSQL.

The database keeps it right whoever writes.
"""

from __future__ import annotations

from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q
from django.db.models.expressions import RawSQL

TABLE: Final = "transcription_transcriptionsession"
NAME: Final = "transcription_metadata_pairs"
EVENTS: Final = ("insert", "update", "delete")


def has_pair(key: str, value: str, using: str = "default") -> Q:
    """Sessions whose metadata has this pair."""
    if connections[using].vendor == "postgresql":
        return Q(metadata__contains={key: value})
    found = f"SELECT session_id FROM {NAME} WHERE key = %s AND value = %s"  # noqa: S608 - constants
    return Q(pk__in=RawSQL(found, [key, value]))  # noqa: S611 - the texts are parameters


def create(connection: BaseDatabaseWrapper, *, concurrently: bool = False) -> None:
    """Make what is missing of it and fill it. concurrently: without a lock on PostgreSQL, outside a transaction."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            how = "CONCURRENTLY " if concurrently else ""
            if concurrently:
                # An attempt that broke off leaves an invalid one.
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
            cursor.execute(
                f"CREATE INDEX {how}IF NOT EXISTS {NAME} ON {TABLE}"
                " USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)"
            )
            return
        for statement in _sqlite_statements():
            cursor.execute(statement, None)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Remove the index with everything that fills it."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP INDEX IF EXISTS {NAME}")
            return
        for event in EVENTS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {NAME}_{event}")
        cursor.execute(f"DROP TABLE IF EXISTS {NAME}")


def repair(connection: BaseDatabaseWrapper) -> bool:
    """Make it again where Django changed the table by making a new one, on SQLite; True if it had to."""
    if connection.vendor != "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name LIKE %s", [f"{NAME}%"])
        found = {name for (name,) in cursor.fetchall()}
    if NAME not in found or {f"{NAME}_{event}" for event in EVENTS} <= found:
        return False
    create(connection)
    return True


def _sqlite_statements() -> list[str]:
    # What is no text cannot be asked for, and PostgreSQL would not find it either.
    pairs = "SELECT pair.key, pair.value, {row}.id FROM {source}json_each({row}.metadata) pair WHERE pair.type = 'text'"
    add = f"INSERT OR IGNORE INTO {NAME} {pairs.format(row='new', source='')};"
    forget = f"DELETE FROM {NAME} WHERE session_id = old.id;"  # noqa: S608 - constants
    everything = pairs.format(row="session", source=f"{TABLE} session, ")
    return [
        f"CREATE TABLE IF NOT EXISTS {NAME} (key TEXT NOT NULL, value TEXT NOT NULL, session_id INTEGER NOT NULL,"
        " PRIMARY KEY (key, value, session_id)) WITHOUT ROWID",
        f"CREATE INDEX IF NOT EXISTS {NAME}_of_session ON {NAME} (session_id)",
        f"CREATE TRIGGER IF NOT EXISTS {NAME}_insert AFTER INSERT ON {TABLE} BEGIN {add} END",
        f"CREATE TRIGGER IF NOT EXISTS {NAME}_update AFTER UPDATE OF metadata ON {TABLE} BEGIN {forget} {add} END",
        f"CREATE TRIGGER IF NOT EXISTS {NAME}_delete AFTER DELETE ON {TABLE} BEGIN {forget} END",
        f"DELETE FROM {NAME}",  # noqa: S608 - constants
        f"INSERT OR IGNORE INTO {NAME} {everything}",
    ]
