"""Full-text search over titles and the current text of segments.

What people type is never syntax: it becomes words, each of which must begin a word of the text, in any
order. Case and the diacritics of Latin letters do not count. The same on SQLite and PostgreSQL.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connections
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search_index import MAX_WORD_CHARACTERS, SEGMENT_TEXT, SESSION_TITLE, Indexed

MAX_TERMS = 16
MAX_HITS = 50
SNIPPET_CONTEXT_CHARACTERS = 60
ELLIPSIS = "…"

_WORD = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_LATIN_MARKS = re.compile("([a-z])[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a snippet; is_match where it is a word that was looked for."""

    text: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that matches. snippet: its text near the first match, not escaped."""

    session: TranscriptionSession
    segment: TranscriptSegment
    snippet: tuple[Piece, ...]


def search_sessions(
    sessions: QuerySet[TranscriptionSession],
    text: str,
    *,
    readable: QuerySet[TranscriptionSession] | None = None,
) -> QuerySet[TranscriptionSession]:
    """Those where one segment or the title has every word of text, or whose id begins with text.

    readable: sessions whose text the asker may read, where that is not all of them; a match elsewhere would
    tell what was said.
    """
    stripped = text.strip()
    if not stripped:
        return sessions
    matches = Q(public_id__istartswith=stripped) if stripped.isascii() and "\0" not in stripped else Q()
    terms = parse_terms(text)
    if terms:
        segments = segments_matching(terms, sessions.db)
        if readable is not None:
            segments = segments.filter(session__in=readable)
        matches |= Q(pk__in=segments.values("session_id")) | Q(pk__in=_matching_ids(SESSION_TITLE, terms, sessions.db))
    return sessions.filter(matches) if matches else sessions.none()


def search_segments(query: str, sessions: QuerySet[TranscriptionSession], *, limit: int = MAX_HITS) -> list[Hit]:
    """The first segments with every word of query, of the newest sessions first, at most limit of them."""
    terms = parse_terms(query)
    if not terms:
        return []
    segments = (
        segments_matching(terms, sessions.db)
        .filter(session__in=sessions)
        .select_related("session", "session__owner", "session__api_key")
        .order_by("-session__created_at", "-session__id", "index")[:limit]
    )
    return [Hit(segment.session, segment, make_snippet(segment.text, terms)) for segment in segments]


def segments_matching(terms: Sequence[str], using: str = "default") -> QuerySet[TranscriptSegment]:
    """Segments whose current text has a word beginning with each of terms."""
    return TranscriptSegment.objects.using(using).filter(pk__in=_matching_ids(SEGMENT_TEXT, terms, using))


def parse_terms(text: str) -> list[str]:
    """The words of what was typed, folded as the index folds them; at most MAX_TERMS, each once."""
    words = (fold(word)[:MAX_WORD_CHARACTERS] for word in _WORD.findall(text))
    return list(dict.fromkeys(words))[:MAX_TERMS]


def fold(text: str) -> str:
    """Lower case, without the diacritics of Latin letters."""
    return unicodedata.normalize("NFC", _LATIN_MARKS.sub(r"\1", unicodedata.normalize("NFD", text.lower())))


def make_snippet(text: str, terms: Iterable[str]) -> tuple[Piece, ...]:
    """The text round the first word that matches, with every matching word told apart."""
    wanted = tuple(terms)
    spans = [match.span() for match in _WORD.finditer(text) if fold(match.group()).startswith(wanted)]
    first = spans[0][0] if spans else 0
    start, end = _widen(text, first)
    pieces = [Piece(ELLIPSIS, False)] if start > 0 else []
    position = start
    for word_start, word_end in spans:
        if word_end > end:
            break
        if word_start > position:
            pieces.append(Piece(text[position:word_start], False))
        pieces.append(Piece(text[word_start:word_end], True))
        position = word_end
    if position < end:
        pieces.append(Piece(text[position:end], False))
    if end < len(text):
        pieces.append(Piece(ELLIPSIS, False))
    return tuple(pieces)


def _widen(text: str, position: int) -> tuple[int, int]:
    """A stretch of text round position, cut at spaces where there are any near."""
    start = max(0, position - SNIPPET_CONTEXT_CHARACTERS)
    if start > 0:
        space = text.find(" ", start, position)
        start = space + 1 if space >= 0 else start
    end = min(len(text), position + 3 * SNIPPET_CONTEXT_CHARACTERS)
    if end < len(text):
        space = text.rfind(" ", position, end)
        end = space if space > position else end
    return start, end


def _matching_ids(indexed: Indexed, terms: Sequence[str], using: str) -> RawSQL:
    """A subquery for the ids of rows whose indexed text has a word beginning with each term.

    Terms are letters and digits alone and quoted besides, so they cannot be operators in either language.
    """
    if connections[using].vendor == "postgresql":
        query = " & ".join(f"'{term}':*" for term in terms)
        sql = f"SELECT id FROM {indexed.table} WHERE {indexed.name} @@ %s::tsquery"  # noqa: S608 - constants
        return RawSQL(sql, [query])  # noqa: S611 - the text is a parameter
    query = " ".join(f'"{term}"*' for term in terms)
    sql = f"SELECT rowid FROM {indexed.name} WHERE {indexed.name} MATCH %s"  # noqa: S608 - constants
    return RawSQL(sql, [query])  # noqa: S611 - the text is a parameter
