"""Overwriting what SQLite keeps of deleted rows: old parts of the search index, free pages, the write-ahead log.

FTS5 notes that a row is gone and keeps its words until parts of the index are merged; SQLite keeps a deleted row's
bytes in the file unless `secure_delete` is on (speechsite/database.py), and in the log until it is begun anew.
PostgreSQL overwrites in its own time, by autovacuum; its index has nothing of a row that is gone.
"""

from __future__ import annotations

import time

from django.db import connection
from django.db.models.functions import Now

from speechsite.database import SQLITE_LOCK_TIMEOUT_S
from transcription.retention.models import Tombstone
from transcription.search.index import ALL_INDEXED

# Of the index, written in one transaction: some ms, for which live sessions wait at most.
PAGES_AT_ONCE = 100
# Between two of them others get to write.
PAUSE_S = 0.01
# For readers to leave the log, while writers wait.
LOG_TIMEOUT_MS = 200


def scrub(deadline_s: float) -> bool:
    """Overwrite everything of the deletions that are finished. Returns whether that was done.

    deadline_s: of time.monotonic(); the next call goes on where this one ended.
    """
    waiting = Tombstone.objects.filter(scrubbed_at=None, finished_at__isnull=False)
    keys = list(waiting.values_list("pk", flat=True))
    if not keys:
        return True
    if connection.vendor == "sqlite":
        for indexed in ALL_INDEXED:
            if not _merge(indexed.name, deadline_s):
                return False
        if not _empty_log():
            return False
    waiting.filter(pk__in=keys).update(scrubbed_at=Now())
    return True


def _merge(index: str, deadline_s: float) -> bool:
    """Merge all parts of an index into one, which leaves out what is gone."""
    pages = -PAGES_AT_ONCE
    with connection.cursor() as cursor:
        while True:
            before = connection.connection.total_changes
            cursor.execute(f"INSERT INTO {index}({index}, rank) VALUES ('merge', %s)", [pages])  # noqa: S608 - constants
            # So FTS5 says that there is nothing left to merge.
            if connection.connection.total_changes - before < 2:
                return True
            if time.monotonic() >= deadline_s:
                return False
            # The first one chose what is merged; these go on with it.
            pages = PAGES_AT_ONCE
            time.sleep(PAUSE_S)


def _empty_log() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {LOG_TIMEOUT_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            row = cursor.fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {SQLITE_LOCK_TIMEOUT_S * 1000}")
    return row is not None and row[0] == 0
