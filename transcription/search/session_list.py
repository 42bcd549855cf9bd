"""The list of past sessions: pages of it by key, however long it grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from transcription.access import Who, visible_sessions
from transcription.models import LONG_SESSION_MS, TranscriptionSession
from transcription.search.queries import NEWEST_FIRST, Hit, find_hits, search_sessions

PAGE_SIZE = 50
MAX_COUNT = 1000
# Of a search, where counting reads segments.
MAX_FOUND_COUNT = 200
HITS_PER_SESSION = 3
# Of a transcript, on one page of it: what a browser shows with ease.
SEGMENTS_PER_PART = 1000
# What a list tells of a session besides its own row.
FACTS = ("owner", "api_key__owner", "recording", "protection")


@dataclass(frozen=True, slots=True)
class Listing:
    """Sessions by every filter but the text that is looked for in them, if any."""

    sessions: QuerySet[TranscriptionSession]
    text: str = ""

    def first(self, where: Q, limit: int, *, oldest_first: bool = False) -> QuerySet[TranscriptionSession]:
        """The first that match, newest first unless told otherwise."""
        sessions = self.sessions.filter(where)
        return search_sessions(sessions, self.text, limit=limit, oldest_first=oldest_first)[:limit]


def lasted(least_ms: int) -> Q:
    """Sessions with so much audio; the long ones are told as their index tells them."""
    long_enough = Q(audio_ms__gte=least_ms)
    return Q(audio_ms__gte=LONG_SESSION_MS) & long_enough if least_ms >= LONG_SESSION_MS else long_enough


# From each language to the next one by the index that begins with it. SELECT DISTINCT would read all of it, and where
# the planner thinks little of the index, the whole table.
DISTINCT_LANGUAGES = """
WITH RECURSIVE found (language) AS (
    SELECT MIN(language) FROM transcription_transcriptionsession
    UNION ALL
    SELECT (SELECT MIN(language) FROM transcription_transcriptionsession WHERE language > found.language)
    FROM found WHERE found.language IS NOT NULL
)
SELECT language FROM found WHERE language IS NOT NULL
"""


def stored_languages(beginning: str) -> list[str]:
    """Languages of stored sessions that begin so, in any case; there are few, and each is one range of its index."""
    with connection.cursor() as cursor:
        cursor.execute(DISTINCT_LANGUAGES)
        languages = [language for (language,) in cursor.fetchall()]
    return [language for language in languages if language.lower().startswith(beginning.lower())]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sessions, newest first. older, newer: what to ask for next, or "" at an end."""

    sessions: list[TranscriptionSession]
    older: str
    newer: str


def read_page(listing: Listing, *, before: str = "", after: str = "") -> Page:
    """The page before or after a place (older, newer of another page); the newest for none, or for nonsense."""
    where = Q()
    place = parse_place(after)
    if place:
        found = with_facts(listing.first(newer_than(*place), PAGE_SIZE + 1, oldest_first=True))
        if len(found) > PAGE_SIZE:
            return _page(found[1:], has_older=True, has_newer=True)
        # The newest page is always full, so that going back ends where one began.
    elif place := parse_place(before):
        where = older_than(*place)
    found = with_facts(listing.first(where, PAGE_SIZE + 1))
    return _page(found[:PAGE_SIZE], has_older=len(found) > PAGE_SIZE, has_newer=bool(before) and not after)


def with_facts(chosen: QuerySet[TranscriptionSession]) -> list[TranscriptionSession]:
    """Whole rows of a page, newest first. Chosen by their keys, so what is not shown is neither read nor joined."""
    rows = TranscriptionSession.objects.filter(pk__in=chosen.values("pk"))
    return list(rows.select_related(*FACTS).defer("recording__peaks").order_by(*NEWEST_FIRST))


def newer_than(created_at: datetime, pk: int) -> Q:
    """What comes before a session in the list."""
    return Q(created_at__gte=created_at) & (Q(created_at__gt=created_at) | Q(pk__gt=pk))


def older_than(created_at: datetime, pk: int) -> Q:
    """What comes after a session in the list. The first condition alone tells an index where to begin."""
    return Q(created_at__lte=created_at) & (Q(created_at__lt=created_at) | Q(pk__lt=pk))


def _page(sessions: list[TranscriptionSession], *, has_older: bool, has_newer: bool) -> Page:
    if not sessions:
        return Page([], "", "")
    older = make_place(sessions[-1]) if has_older else ""
    newer = make_place(sessions[0]) if has_newer else ""
    return Page(sessions, older, newer)


def make_place(session: TranscriptionSession) -> str:
    return f"{session.created_at.isoformat()}_{session.pk}"


def parse_place(text: str) -> tuple[datetime, int] | None:
    moment, _separator, pk = text.rpartition("_")
    try:
        created_at = datetime.fromisoformat(moment)
        number = int(pk)
    except ValueError:
        return None
    return (created_at, number) if timezone.is_aware(created_at) and 0 <= number < 2**63 else None


def capped_count(listing: Listing) -> tuple[int, bool]:
    """How many there are, and whether there are more: counting stops at a limit."""
    limit = MAX_FOUND_COUNT if listing.text.strip() else MAX_COUNT
    count = listing.first(Q(), limit + 1).count()
    return min(count, limit), count > limit


def hits_by_session(who: Who, text: str, sessions: Iterable[TranscriptionSession]) -> dict[int, list[Hit]]:
    """Where a text was found, at most HITS_PER_SESSION for each session, by its key."""
    if not text.strip():
        return {}
    readable = visible_sessions(who).filter(pk__in=[session.pk for session in sessions])
    return find_hits(text, readable, per_session=HITS_PER_SESSION)
