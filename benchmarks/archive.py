"""A year of sessions for a benchmark: believable rows in bulk, in a database that was migrated as any other.

Rows go in by COPY (PostgreSQL) and `executemany` (SQLite), for the product's own way, commits of live sessions,
would take hours. All else is the product's: tables, generated columns, search index.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management.color import no_style
from django.db import connection, transaction
from django.utils import timezone

from benchmarks.archive_numbers import fill_days
from benchmarks.texts import Texts
from transcription.migration_operations import without_timeouts
from transcription.models import ApiKey, DailyNumbers, TranscriptionSession, TranscriptSegment
from transcription.options import TranscriptionConfig
from transcription.search import index as search_index
from transcription.storage.group_commit import SEGMENT_COLUMNS

SEED = 20261125
DAYS = 365
USERS = 200
KEYS = 20
# As many speak at a time, so their segments lie between each other in the table.
SPOKEN_TOGETHER = 50
# Of ten sessions one has the times of its words, which are most of a row's bytes.
WITH_WORDS_EVERY = 10
SEGMENT_MS = 3000
BYTES_PER_MS = 32
SESSIONS_PER_WRITE = 5000

STATES = [("completed", 930), ("interrupted", 40), ("failed", 25), ("detached", 1), ("created", 4)]
LANGUAGES = [("en-US", 7000), ("en-GB", 1200), ("de-DE", 900), ("fr-FR", 500), ("es-ES", 395), ("cy-GB", 5)]
RARE_LANGUAGE = "cy-GB"

# Words that the vocabulary has not, put into few segments.
RARE_WORD = "zanzibar"
RARE_SEGMENTS = 5
NONSENSE_WORD = "qwxyzzy"

LONG_SESSION = "bench-4-hours"
LONG_SEGMENTS = 4 * 3600 * 1000 // SEGMENT_MS
QUARTER_SESSION = "bench-1-hour"
BIG_SESSION = "bench-2000-segments"
BIG_SEGMENTS = 2000
OWNER = "bench-owner-0"
BOSS = "bench-boss"

SESSION_COLUMNS = (
    "id", "public_id", "owner_id", "api_key_id", "user_agent", "dialect", "title", "metadata", "language", "encoding",
    "sample_rate_hz", "channels", "options_asked", "options_applied", "recogniser", "model", "state", "epoch",
    "next_seq", "committed_bytes", "header_bytes", "flushed_bytes", "gaps", "resume_token_digest", "stop_reason",
    "created_at", "started_at", "ended_at", "end_reason", "end_message", "audio_bytes", "audio_ms", "segment_count",
    "word_count", "first_interim_ms", "final_lag_p50_ms", "final_lag_p95_ms", "counted_at",
)  # fmt: skip


class Outline(NamedTuple):
    """A session to be made: how many segments of SEGMENT_MS it has."""

    pk: int
    public_id: str
    created_at: datetime
    state: str
    language: str
    owner_id: int | None
    api_key_id: int | None
    segments: int
    has_words: bool


def is_filled(sessions: int) -> bool:
    """Whether this database was filled with as many sessions before, with all that belongs to them."""
    has_sessions = TranscriptionSession.objects.filter(pk=sessions, public_id=BIG_SESSION).exists()
    return has_sessions and DailyNumbers.objects.exists()


def fill(sessions: int, segments: int) -> None:
    """Make that many sessions and about that many segments over the last year. The database must be empty."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # Nothing is lost with a half-filled database.
            cursor.execute("PRAGMA journal_mode = OFF")
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute("PRAGMA cache_size = -300000")
    _drop_search_index()
    insert(sessions, segments)
    fill_days()
    with without_timeouts(connection):
        search_index.create(connection)
    refresh_statistics()
    # Nobody shall go on with the pragmas above.
    connection.close()


def insert(sessions: int, segments: int) -> None:
    """The rows alone, into tables with or without the search index."""
    rng = random.Random(SEED)  # noqa: S311 - the same data each time
    outlines = list(make_outlines(rng, sessions, segments, *_make_people(rng)))
    texts = Texts(rng, halves=min(60_000, segments))
    applied = TranscriptionConfig().model_dump(mode="json")
    session_rows = (session_values(rng, texts, outline, applied) for outline in outlines)
    rare = set(rng.sample(range(segments // 2), min(RARE_SEGMENTS, segments // 2)))
    new_segments = segment_rows(rng, texts, outlines, rare)
    with without_timeouts(connection):
        _write(TranscriptionSession._meta.db_table, SESSION_COLUMNS, session_rows)
        _write(TranscriptSegment._meta.db_table, (*SEGMENT_COLUMNS, "created_at"), new_segments)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [TranscriptionSession]):
            cursor.execute(statement)


def delete_rows() -> None:
    """Remove what insert() made, and what was added to it since."""
    for model in (TranscriptSegment, TranscriptionSession, ApiKey, DailyNumbers):
        model._default_manager.all()._raw_delete("default")
    get_user_model().objects.filter(username__startswith="bench-").delete()


def refresh_statistics() -> None:
    """What autovacuum does by itself in time. SQLite has nobody who would, so it has no statistics here either."""
    if connection.vendor == "postgresql":
        with without_timeouts(connection), connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _make_people(rng: random.Random) -> tuple[list[int], list[int]]:
    user_model = get_user_model()
    users = user_model.objects.bulk_create(
        user_model(username=f"bench-owner-{number}", is_active=True) for number in range(USERS)
    )
    boss = user_model(username=BOSS, is_staff=True, is_superuser=True)
    boss.save()
    keys = ApiKey.objects.bulk_create(
        ApiKey(name=f"bench-key-{number}", owner=rng.choice(users), prefix=f"bench{number}", digest="")
        for number in range(KEYS)
    )
    reader = users[1]
    reader.user_permissions.set(Permission.objects.filter(codename="view_captions"))
    return [user.pk for user in users], [key.pk for key in keys]


def make_outlines(
    rng: random.Random, sessions: int, segments: int, users: list[int], keys: list[int]
) -> Iterator[Outline]:
    """Sessions, oldest first; those that are looked at by name are the last."""
    special = [
        (name, min(count, segments // 10))  # shorter where the whole archive is small
        for name, count in (
            (LONG_SESSION, LONG_SEGMENTS),
            (QUARTER_SESSION, LONG_SEGMENTS // 4),
            (BIG_SESSION, BIG_SEGMENTS),
        )
    ]
    lengths = [min(rng.lognormvariate(0, 1.1), 20) for _ in range(sessions - len(special))]
    per_length = max(0, segments - sum(count for _name, count in special)) / sum(lengths)
    start, step = timezone.now() - timedelta(days=DAYS), timedelta(days=DAYS) / sessions
    states, state_weights = zip(*STATES, strict=True)
    languages, language_weights = zip(*LANGUAGES, strict=True)
    # The first user has few sessions, the others more the lower their number.
    user_weights = [0.05, *(1 / (number + 5) for number in range(1, len(users)))]
    for number, length in enumerate(lengths):
        by_key = rng.random() < 0.3
        state = rng.choices(states, state_weights)[0]
        yield Outline(
            pk=number + 1,
            public_id=f"{rng.getrandbits(96):024x}",
            created_at=start + step * number,
            state=state,
            language=rng.choices(languages, language_weights)[0],
            owner_id=None if by_key else rng.choices(users, user_weights)[0],
            api_key_id=rng.choice(keys) if by_key else None,
            segments=0 if state == "created" else max(1, round(length * per_length)),
            has_words=number % WITH_WORDS_EVERY == 0,
        )
    for number, (public_id, count) in enumerate(special, start=len(lengths)):
        yield Outline(
            number + 1, public_id, start + step * number, "completed", "en-US", users[1], None, count, has_words=True
        )


def session_values(rng: random.Random, texts: Texts, outline: Outline, applied: dict[str, Any]) -> tuple[Any, ...]:
    audio_ms = outline.segments * SEGMENT_MS
    has_started = outline.state != "created"
    has_ended = outline.state in ("completed", "interrupted", "failed")
    title = texts.make()[:60] if rng.random() < 0.4 else ""
    metadata = {"customer": f"c-{rng.randrange(5000)}", "ticket": rng.randrange(10**6)} if rng.random() < 0.5 else {}
    reason = {"interrupted": "client_lost", "failed": "upstream_unavailable"}.get(outline.state, "client")
    ended_at = outline.created_at + timedelta(milliseconds=audio_ms) if has_ended else None
    lag_ms = rng.randrange(120, 400)
    times_ms = (rng.randrange(300, 1200), lag_ms, lag_ms * 2) if has_started else (None, None, None)
    return (
        outline.pk, outline.public_id, outline.owner_id, outline.api_key_id, "Mozilla/5.0 (X11; Linux x86_64)",
        "native", title, json.dumps(metadata), outline.language, "LINEAR_PCM", 16000, 1,
        json.dumps({"language": outline.language}), json.dumps(applied | {"language": outline.language}),
        "riva.example.org:50051", "conformer", outline.state, 1, outline.segments, audio_ms * BYTES_PER_MS, 0, 0, "[]",
        "", "", outline.created_at, outline.created_at if has_started else None, ended_at,
        reason if has_ended else "", "", audio_ms * BYTES_PER_MS, audio_ms, outline.segments, outline.segments * 12,
        *times_ms, ended_at,
    )  # fmt: skip


def segment_rows(
    rng: random.Random, texts: Texts, outlines: list[Outline], rare: set[int]
) -> Iterator[tuple[Any, ...]]:
    """Segments in the order in which they would have been spoken, SPOKEN_TOGETHER sessions at a time."""
    number = 0
    for first in range(0, len(outlines), SPOKEN_TOGETHER):
        speaking = outlines[first : first + SPOKEN_TOGETHER]
        index = 0
        while speaking:
            for outline in speaking:
                text = texts.make()
                if number in rare:
                    text += f" {RARE_WORD}"
                yield segment_values(outline, index, text, confidence=round(0.6 + 0.4 * rng.random(), 3))
                number += 1
            index += 1
            speaking = [outline for outline in speaking if outline.segments > index]


def segment_values(outline: Outline, index: int, text: str, *, confidence: float) -> tuple[Any, ...]:
    start_ms = index * SEGMENT_MS
    words = json.dumps(_words(text, start_ms), separators=(",", ":")) if outline.has_words else "[]"
    created_at = outline.created_at + timedelta(milliseconds=start_ms + SEGMENT_MS)
    return (
        outline.pk, index, 1, start_ms, start_ms + SEGMENT_MS - 200, text, text, words, "[]", confidence, "",
        outline.language, None, False, False, False, created_at,
    )  # fmt: skip


def _words(text: str, start_ms: int) -> list[dict[str, Any]]:
    words = text.split()
    each_ms = (SEGMENT_MS - 200) // len(words)
    return [
        {
            "word": word,
            "start_ms": start_ms + at * each_ms,
            "end_ms": start_ms + (at + 1) * each_ms,
            "confidence": 0.9,
            "speaker": None,
        }
        for at, word in enumerate(words)
    ]


def _drop_search_index() -> None:
    """It is made again over all rows, which is quicker than row by row. PostgreSQL's column fills itself."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for indexed in search_index.ALL_INDEXED:
                cursor.execute(f"DROP INDEX IF EXISTS {indexed.name}_gin")
    else:
        search_index.drop(connection)


def _write(table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    if connection.vendor == "postgresql":
        sql = f"COPY {table} ({names}) FROM STDIN"
        with transaction.atomic(), connection.cursor() as cursor, cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)
        return
    markers = ", ".join(["?"] * len(columns))
    with transaction.atomic():
        sqlite = connection.connection
        sql = f"INSERT INTO {table} ({names}) VALUES ({markers})"  # noqa: S608 - our own names
        sqlite.executemany(sql, (tuple(map(_sqlite_value, row)) for row in rows))


def _sqlite_value(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
