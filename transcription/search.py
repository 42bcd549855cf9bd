"""Full-text search over titles and the current text of segments.

What people type is never syntax: it becomes words, each of which must begin a word of the text, in any
order. Case and the diacritics of Latin letters do not count. The same on SQLite and PostgreSQL.

An index answers quickly where few segments match; of a word that stands everywhere it would gather millions before
the first page could be shown. So a sample is looked at first: where most of the newest sessions match, lists walk
from the newest session on and read its segments until a page is full; else they go through the index.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.db.models.lookups import IsNull

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search_index import MAX_WORD_CHARACTERS, SEGMENT_TEXT, SESSION_TITLE
from transcription.search_sql import TextMatches, owners_in_index

MAX_TERMS = 16
SNIPPET_CONTEXT_CHARACTERS = 60
ELLIPSIS = "…"

# The sample: so many of the newest sessions, and no more of them than have so many segments together.
SAMPLED_SESSIONS = 100
SAMPLED_SEGMENTS = 10_000
# Of the sampled sessions that match. Below it the index is quicker; measured with 50 segments a session.
DENSE_SHARE = 0.2
# The same for lists of segments: so many of the newest, and which part of them.
SAMPLED_LAST_SEGMENTS = 2000
DENSE_SEGMENT_SHARE = 0.05
# Texts that tell how frequent each of several words is, and the share of all that the index may be asked for.
SAMPLED_TEXTS = 1000
RARE_SHARE = 0.001

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

    segment: TranscriptSegment
    snippet: tuple[Piece, ...]


def search_sessions(
    sessions: QuerySet[TranscriptionSession],
    text: str,
    *,
    readable: QuerySet[TranscriptionSession] | None = None,
    others: Sequence[QuerySet[TranscriptionSession]] = (),
    sample: int = SAMPLED_SESSIONS,
) -> QuerySet[TranscriptionSession]:
    """Those where one segment or the title has every word of text, or whose id begins with text.

    sessions: with every other filter, so that the sample is of those that are looked through; not sliced.
    readable: sessions whose text the asker may read, where that is not all of them; a match elsewhere would
    tell what was said. others: sessions that match for other reasons.
    sample: how many sessions to look at first; with 0 the index answers.
    """
    stripped = text.strip()
    if not stripped:
        return sessions
    everything = TranscriptionSession.objects.using(sessions.db).order_by()
    others = list(others)
    if stripped.isascii() and "\0" not in stripped:
        others.append(everything.filter(public_id__istartswith=stripped))
    terms = parse_terms(text)
    if readable is not None and not readable.query.where:
        readable = None
    newest = _sample(sessions, sample)
    if terms and (newest is None or _is_dense(newest, terms)):
        matches = Q(_has_segment(terms)) & (Q() if readable is None else Q(pk__in=readable.values("pk")))
        matches |= Q(TextMatches(SESSION_TITLE, terms))
        for other in others:
            matches |= Q(pk__in=other.values("pk"))
        return sessions.filter(matches)
    if terms:
        rare = rare_terms(TranscriptSegment.objects.using(sessions.db).filter(session__in=newest or ()), terms)
        by_text = owners_in_index(SEGMENT_TEXT, "session_id", rare, sessions.db, also=terms)
        others.append((everything if readable is None else readable.order_by()).filter(pk__in=by_text))
        others.append(everything.filter(pk__in=owners_in_index(SESSION_TITLE, "id", terms, sessions.db)))
    if not others:
        return sessions.none()
    # Joined as sets: conditions joined by OR would be tried on every session.
    first, *rest = (other.values("pk") for other in others)
    return sessions.filter(pk__in=first.union(*rest) if rest else first)


def _has_segment(terms: Sequence[str]) -> IsNull:
    """Whether a session has a segment that matches. Of EXISTS PostgreSQL would make a hash of all that do."""
    matching = TranscriptSegment.objects.filter(TextMatches(SEGMENT_TEXT, terms), session=OuterRef("pk"))
    return IsNull(Subquery(matching.order_by().values("pk")[:1]), False)


def _sample(sessions: QuerySet[TranscriptionSession], size: int) -> list[int] | None:
    """The newest sessions, at most size with SAMPLED_SEGMENTS together; None if that is all of them."""
    if not size:
        return []
    sampled: list[int] = []
    segments = 0
    counts = list(sessions.order_by("-created_at", "-pk").values_list("pk", "segment_count")[: size + 1])
    for pk, count in counts[:size]:
        sampled.append(pk)
        segments += count
        if segments > SAMPLED_SEGMENTS:
            break
    return None if len(sampled) == len(counts) else sampled


def _is_dense(sampled: list[int], terms: Sequence[str]) -> bool:
    """Whether so many sessions match that a walk from the newest on soon has a page full."""
    matching = TranscriptSegment.objects.filter(TextMatches(SEGMENT_TEXT, terms), session__in=sampled).order_by()
    return bool(sampled) and matching.values("session").distinct().count() >= DENSE_SHARE * len(sampled)


def rare_terms(segments: QuerySet[TranscriptSegment], terms: Sequence[str]) -> list[str]:
    """Those to ask the index for, the rarest first: it would gather every hit of the others, only to drop most.

    segments: a sample. The others are looked for in the segments that are found.
    """
    if len(terms) == 1:
        return list(terms)
    texts = list(segments.order_by().values_list("text", flat=True)[:SAMPLED_TEXTS])
    shares = {term: (1 + sum(text_has_words(text, term) for text in texts)) / (1 + len(texts)) for term in terms}
    rare: list[str] = []
    share = 1.0
    for term in sorted(terms, key=shares.__getitem__):
        if share <= RARE_SHARE:
            break
        rare.append(term)
        share *= shares[term]
    return rare


def search_segments(
    segments: QuerySet[TranscriptSegment], text: str, *, sample: int = SAMPLED_LAST_SEGMENTS
) -> QuerySet[TranscriptSegment]:
    """Those whose current text has every word of text; none for a text without words. segments: not sliced."""
    terms = parse_terms(text)
    if not terms:
        return segments.none()
    matches = TextMatches(SEGMENT_TEXT, terms)
    last = segments.order_by("-session_id", "-index").annotate(matches=matches)[:sample]
    found = list(last.values_list("matches", flat=True))
    if sample and (len(found) < sample or sum(found) >= DENSE_SEGMENT_SHARE * sample):
        return segments.filter(matches)
    rare = rare_terms(last if sample else segments.none(), terms)
    return segments.filter(pk__in=owners_in_index(SEGMENT_TEXT, "id", rare, segments.db, also=terms))


def find_hits(text: str, sessions: Iterable[TranscriptionSession], *, per_session: int) -> dict[int, list[Hit]]:
    """The first segments with every word of text in each of a page of sessions, by the session's key."""
    terms = parse_terms(text)
    keys = [session.pk for session in sessions]
    if not terms or not keys:
        return {}
    segments = (
        TranscriptSegment.objects.filter(TextMatches(SEGMENT_TEXT, terms), session__in=keys)
        .annotate(place=Window(RowNumber(), partition_by=F("session_id"), order_by="index"))
        .filter(place__lte=per_session)
        .order_by()
        .defer("asr_text", "words", "alternatives")
    )
    hits: dict[int, list[Hit]] = {}
    for segment in sorted(segments, key=lambda segment: segment.index):
        hits.setdefault(segment.session_id, []).append(Hit(segment, make_snippet(segment.text, terms)))
    return hits


def parse_terms(text: str) -> list[str]:
    """The words of what was typed, folded as the index folds them; at most MAX_TERMS, each once."""
    words = (fold(word)[:MAX_WORD_CHARACTERS] for word in _WORD.findall(text))
    return list(dict.fromkeys(words))[:MAX_TERMS]


def fold(text: str) -> str:
    """Lower case, without the diacritics of Latin letters."""
    return unicodedata.normalize("NFC", _LATIN_MARKS.sub(r"\1", unicodedata.normalize("NFD", text.lower())))


def text_has_words(text: str, terms: str) -> bool:
    """Whether a text has a word that begins with each of terms, which have spaces between: for SQLite.

    It decides as the index does, a row at a time.
    """
    folded = text.lower() if text.isascii() else fold(text)
    return all(pattern.search(folded) for pattern in _patterns(terms))


@functools.lru_cache(maxsize=64)
def _patterns(terms: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?<![^\W_])(?<![\u0300-\u036f]){re.escape(term)}") for term in terms.split(" "))


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
