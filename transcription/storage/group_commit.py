"""Steps of many sessions in one transaction of two statements. Plain functions for a database thread.

Saving model objects one by one starves on the interpreter lock at 300 streams (p99 90-110 ms); two statements
a group, whatever its size, take 4-7 ms.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from transcription.errors import TranscriptionError
from transcription.metrics import COMMIT_AMBIGUOUS_TOTAL
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.storage.holding import fenced, why_not_held
from transcription.storage.steps import NewSegment, Step

Rows = list[tuple[Any, ...]]
# Executes a statement with its values and returns the rows that it answers with.
Execute = Callable[[str, Sequence[Any]], Rows]

# One locked row must not hold up what others wait for; see commit_alone.
ALONE_LOCK_TIMEOUT_MS = 200
# Groups of as many steps or segments are told in the same words. Larger ones than usual make theirs anew.
MAX_REMEMBERED_STATEMENTS = 32

NOW_SQL = {
    # As django.db.models.functions.Now writes them.
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
    "postgresql": "STATEMENT_TIMESTAMP()",
}

SESSION_TABLE = TranscriptionSession._meta.db_table
SEGMENT_TABLE = TranscriptSegment._meta.db_table
SEGMENT_COLUMNS = (
    "session_id",
    "index",
    "epoch",
    "start_ms",
    "end_ms",
    "asr_text",
    "text",
    "words",
    "alternatives",
    "confidence",
    "speaker",
    "language",
    "channel",
    "tail",
    "promoted",
    "reviewed",
)
# Quoted as both databases take it: "index" is a word of SQL.
COLUMNS_SQL = ", ".join(f'"{name}"' for name in (*SEGMENT_COLUMNS, "created_at"))


def commit_group(steps: Sequence[Step]) -> list[TranscriptionError | None]:
    """Store steps of different sessions; all or none. Returns for each step None (stored) or why it may not be:
    what holding.why_not_held says.

    Doing it again is safe: a step that an earlier attempt stored is found and counts as stored. Raises the
    database's errors, and ValueError, TypeError or OverflowError for values that no database takes.
    """
    ordered = sorted(steps, key=lambda step: step.pk)
    with _transaction() as execute:
        moved = _move_sessions(execute, ordered)
        outcomes = {step.pk: None if step.pk in moved else _judge(step) for step in ordered}
        insert_segments(
            [(step.pk, step.epoch, segment) for step in ordered if step.pk in moved for segment in step.segments],
            execute=execute,
        )
    return [outcomes[step.pk] for step in steps]


def commit_alone(step: Step) -> TranscriptionError | None:
    """The same for one step, waiting only shortly where somebody else has locked its row."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {ALONE_LOCK_TIMEOUT_MS}")
        return commit_group([step])[0]


def _execute(sql: str, values: Sequence[Any]) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _transaction() -> Iterator[Execute]:
    """A transaction, and what executes statements in it.

    On SQLite past Django's layers, of which a commit passes through some 150 calls: the fewer there are, the less of
    the processor's cache it takes from the streams. With an execute_wrapper of Django's they go through the layers.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block or connection.execute_wrappers:
        with transaction.atomic():
            yield _execute
        return
    connection.ensure_connection()
    sqlite = connection.connection
    with connection.wrap_database_errors:
        sqlite.execute("BEGIN IMMEDIATE")
        try:
            yield lambda sql, values: sqlite.execute(_with_sqlite_markers(sql), values).fetchall()
            sqlite.execute("COMMIT")
        except BaseException:
            if sqlite.in_transaction:
                sqlite.execute("ROLLBACK")
            raise


@functools.lru_cache(MAX_REMEMBERED_STATEMENTS)
def _with_sqlite_markers(sql: str) -> str:
    """Django looks for the markers by a regular expression each time."""
    return sql.replace("%s", "?").replace("%%", "%")


def _move_sessions(execute: Execute, steps: Sequence[Step]) -> set[int]:
    """Move watermark and counters of every session still ours. Returns the ids that were moved."""
    values: list[int] = []
    for step in steps:
        words = sum(segment.word_count for segment in step.segments)
        values += (
            step.pk,
            step.epoch,
            step.expected_seq,
            len(step.segments),
            step.committed_bytes,
            words,
            step.header_bytes,
        )
    return {row[0] for row in execute(_move_statement(len(steps)), values)}


@functools.lru_cache(MAX_REMEMBERED_STATEMENTS)
def _move_statement(count: int) -> str:
    row = "(%s, %s, %s, %s, %s, %s, %s)"
    # The first row is cast, the others follow it: PostgreSQL takes a column's type from all rows together.
    first = "(" + ", ".join(["CAST(%s AS bigint)"] * 7) + ")"
    return f"""
        WITH v (v_id, v_epoch, v_expected, v_segments, v_bytes, v_words, v_header)
          AS (VALUES {", ".join([first] + [row] * (count - 1))})
        UPDATE {SESSION_TABLE} AS s
           SET next_seq = s.next_seq + v.v_segments,
               committed_bytes =
                 CASE WHEN v.v_bytes > s.committed_bytes THEN v.v_bytes ELSE s.committed_bytes END,
               header_bytes =
                 CASE WHEN v.v_header > s.header_bytes THEN v.v_header ELSE s.header_bytes END,
               segment_count = s.segment_count + v.v_segments,
               word_count = s.word_count + v.v_words
          FROM v
         WHERE s.id = v.v_id AND s.epoch = v.v_epoch AND s.next_seq = v.v_expected AND s.state = 'live'
     RETURNING id
    """  # noqa: S608 - only our own names and markers are put in


def _judge(step: Step) -> TranscriptionError | None:
    """A session that was not moved: our own earlier attempt got through, or it is not ours to write."""
    if step.segments:
        stored = TranscriptSegment.objects.filter(
            session_id=step.pk,
            epoch=step.epoch,
            index__gte=step.expected_seq,
            index__lt=step.expected_seq + len(step.segments),
            # A tail of the same holder's end may have the same index.
            tail__in={segment.tail for segment in step.segments},
        ).count()
        is_stored = stored == len(step.segments)
    else:
        is_stored = TranscriptionSession.objects.filter(
            pk=step.pk, epoch=step.epoch, committed_bytes__gte=step.committed_bytes
        ).exists()
    if is_stored:
        COMMIT_AMBIGUOUS_TOTAL.inc()
        return None
    return why_not_held(step.pk, step.epoch) or fenced()


def insert_segments(segments: Sequence[tuple[int, int, NewSegment]], *, execute: Execute = _execute) -> None:
    """Store segments in one statement; each with its session's key and the epoch that stores it."""
    if segments:
        values = [value for segment in segments for value in _segment_values(*segment)]
        execute(_insert_statement(connection.vendor, len(segments)), values)


@functools.lru_cache(MAX_REMEMBERED_STATEMENTS)
def _insert_statement(vendor: str, count: int) -> str:
    markers = f"({', '.join(['%s'] * len(SEGMENT_COLUMNS))}, {NOW_SQL[vendor]})"
    return f"INSERT INTO {SEGMENT_TABLE} ({COLUMNS_SQL}) VALUES {', '.join([markers] * count)}"  # noqa: S608


def _segment_values(pk: int, epoch: int, segment: NewSegment) -> tuple[Any, ...]:
    return (
        pk,
        segment.index,
        epoch,
        segment.start_ms,
        segment.end_ms,
        segment.text,
        segment.text,
        _json(segment.words),
        _json(segment.alternatives),
        segment.confidence,
        segment.speaker,
        segment.language,
        segment.channel,
        segment.tail,
        segment.promoted,
        False,
    )


# Made once: json.dumps() makes an encoder for each call that asks for anything of its own.
_json: Callable[[list[dict[str, Any]]], str] = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
