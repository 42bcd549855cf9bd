"""The full-text index: FTS5 with triggers on SQLite, a generated tsvector with GIN on PostgreSQL.

Both split text at everything that is neither letter nor digit, ignore case and the diacritics of Latin
letters, and keep no word list of any language, so a search finds the same on either. The database keeps the
index right whoever writes: the hot path's own SQL, `bulk_create`, `update()`, an edit in the admin.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

# A longer run of letters is cut: an index entry of PostgreSQL's GIN ends at 2712 bytes, and an insert must
# never fail for what was said.
MAX_WORD_CHARACTERS: Final = 200
# PostgreSQL refuses a tsvector over 1 MiB.
MAX_INDEXED_CHARACTERS: Final = 100_000
EVENTS: Final = ("insert", "delete", "update")


class Indexed(NamedTuple):
    """A text column that can be searched, and its index: a table on SQLite, a column on PostgreSQL."""

    table: str
    column: str
    name: str


SEGMENT_TEXT = Indexed("transcription_transcriptsegment", "text", "transcription_segment_search")
SESSION_TITLE = Indexed("transcription_transcriptionsession", "title", "transcription_title_search")
ALL_INDEXED = (SEGMENT_TEXT, SESSION_TITLE)
# Ids by their beginning, in any case.
ID_INDEX: Final = "transcription_id_search"


def create(connection: BaseDatabaseWrapper) -> None:
    """Make what is missing of the index and fill it. Doing it again does no harm."""
    with connection.cursor() as cursor:
        for indexed in ALL_INDEXED:
            if connection.vendor == "postgresql":
                cursor.execute(_postgresql_column(indexed, _collation(cursor)), None)
                table, _, index = indexed
                cursor.execute(
                    f"CREATE INDEX IF NOT EXISTS {index}_gin ON {table} USING gin ({index}) WITH (fastupdate = off)"
                )
            else:
                for statement in _sqlite_statements(indexed):
                    cursor.execute(statement, None)
                cursor.execute(f"INSERT INTO {indexed.name}({indexed.name}) VALUES ('rebuild')")  # noqa: S608
    create_id_index(connection)


def write_through(connection: BaseDatabaseWrapper) -> None:
    """Have each commit write to the index itself, where it was made otherwise; PostgreSQL alone knows the difference.

    By default it gathers 4 MB first, which one commit then has to sort in: that one took 0.6 s.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for indexed in ALL_INDEXED:
                cursor.execute(f"ALTER INDEX {indexed.name}_gin SET (fastupdate = off)")
                cursor.execute("SELECT gin_clean_pending_list(%s)", [f"{indexed.name}_gin"])


def create_id_index(connection: BaseDatabaseWrapper, *, concurrently: bool = False) -> None:
    """Make the index of ids if it is missing. concurrently: without a lock on PostgreSQL, outside a transaction.

    It answers `public_id__istartswith` as Django writes it for either database.
    """
    key = "upper(public_id::text) text_pattern_ops" if connection.vendor == "postgresql" else "public_id COLLATE NOCASE"
    how = "CONCURRENTLY " if concurrently and connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {how}IF NOT EXISTS {ID_INDEX} ON {SESSION_TITLE.table} ({key})")


def drop(connection: BaseDatabaseWrapper) -> None:
    """Remove the index with everything that fills it."""
    with connection.cursor() as cursor:
        for indexed in ALL_INDEXED:
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE {indexed.table} DROP COLUMN IF EXISTS {indexed.name}")
            else:
                for event in EVENTS:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {indexed.name}_{event}")
                cursor.execute(f"DROP TABLE IF EXISTS {indexed.name}")
        cursor.execute(f"DROP INDEX IF EXISTS {ID_INDEX}")


def repair(connection: BaseDatabaseWrapper) -> bool:
    """Make the index again where a later migration took a part of it away; True if it had to.

    On SQLite Django changes a table by making a new one and dropping the old, with its triggers and other indexes.
    """
    if connection.vendor != "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name LIKE 'transcription_%%search%%'", [])
        found = {name for (name,) in cursor.fetchall()}
    wanted = {ID_INDEX} | {f"{indexed.name}_{event}" for indexed in ALL_INDEXED for event in EVENTS}
    if wanted <= found or SEGMENT_TEXT.name not in found:
        return False
    create(connection)
    return True


def _sqlite_statements(indexed: Indexed) -> list[str]:
    table, column, index = indexed
    add = f"INSERT INTO {index}(rowid, {column}) VALUES (new.id, new.{column});"  # noqa: S608
    # An external-content table forgets a row only when told the text it had.
    forget = f"INSERT INTO {index}({index}, rowid, {column}) VALUES ('delete', old.id, old.{column});"  # noqa: S608
    return [
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {index} USING fts5({column}, content='{table}',"
        " content_rowid='id', tokenize='unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER IF NOT EXISTS {index}_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER IF NOT EXISTS {index}_delete AFTER DELETE ON {table} BEGIN {forget} END",
        f"CREATE TRIGGER IF NOT EXISTS {index}_update AFTER UPDATE OF {column} ON {table} BEGIN {forget} {add} END",
    ]


def _postgresql_column(indexed: Indexed, collation: str) -> str:
    """A generated column of the words as FTS5's tokenizer would split them.

    PostgreSQL's own parser keeps hyphenated words, numbers and addresses together, so it is not used.
    """
    lowered = f'lower(left({indexed.column}, {MAX_INDEXED_CHARACTERS}) COLLATE "{collation}")'
    bare = f"regexp_replace(normalize({lowered}, NFD), U&'([a-z])[\\0300-\\036f]+', '\\1', 'g')"
    folded = f'normalize({bare}, NFC) COLLATE "{collation}"'
    cut = f"regexp_replace({folded}, '([[:alnum:]]{{{MAX_WORD_CHARACTERS}}})[[:alnum:]]+', '\\1 ', 'g')"
    words = f"array_remove(regexp_split_to_array({cut}, '[^[:alnum:]]+'), '')"
    return (
        f"ALTER TABLE {indexed.table} ADD COLUMN IF NOT EXISTS {indexed.name} tsvector"
        f" GENERATED ALWAYS AS (array_to_tsvector({words})) STORED"
    )


def _collation(cursor: Any) -> str:
    """ICU's root collation knows the letters of every script whatever the database's locale (even C)."""
    cursor.execute("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'")
    return "und-x-icu" if cursor.fetchone() else "default"
