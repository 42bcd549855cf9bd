"""Full-text search over titles and the current text of segments.

What people type is never syntax: it becomes words, each of which must begin a word of the text, in any
order. Case and the diacritics of Latin letters do not count. The same on SQLite and PostgreSQL.

An index answers quickly where few segments match; of a word that stands everywhere it would gather millions before
the first page could be shown. So a sample of the sessions that come first is looked at: where many of them match, they
are read one after the other, up to a bound, until there are enough; else, and past the bound, the index is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.db.models.lookups import IsNull

from transcription.exports.cues import time_words
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search.index import MAX_WORD_CHARACTERS, SEGMENT_TEXT, SESSION_TITLE
from transcription.search.sql import TextMatches, owners_in_index
from transcription.search.words import WORD, fold, text_has_words

MAX_TERMS = 16
SNIPPET_CONTEXT_CHARACTERS = 60
ELLIPSIS = "…"

# How far sessions are read one after the other: so many, or as many as have so many segments together.
WALKED_SESSIONS = 2000
WALKED_SEGMENTS = 100_000
# The sample: of so many of the first sessions, or as many as have so many segments, the first segments of each.
# One long session must not speak for all.
SAMPLED_SESSIONS = 200
SAMPLED_SEGMENTS = 5000
SAMPLED_OF_ONE = 50
# Sessions are read if so many of the sample match, and there is one for so many segments. Below that the index is
# quicker: it takes 10 us for each of its hits, and reading a segment takes 1.5.
LEAST_MATCHES = 5
SEGMENTS_PER_MATCH = 250
NEWEST_FIRST = ("-created_at", "-pk")
OLDEST_FIRST = ("created_at", "pk")
# The same for lists of segments: so many of the newest, and which part of them.
SAMPLED_LAST_SEGMENTS = 2000
DENSE_SEGMENT_SHARE = 0.05
WALKED_LAST_SEGMENTS = 30_000
# Texts that tell how frequent each of several words is, and the share of all that the index may be asked for.
SAMPLED_TEXTS = 1000
RARE_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a snippet; is_match where it is a word that was looked for."""

    text: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that matches. snippet: its text near the first match, not escaped. time_ms: when that is said."""

    segment: TranscriptSegment
    snippet: tuple[Piece, ...]
    time_ms: int


def search_sessions(
    sessions: QuerySet[TranscriptionSession],
    text: str,
    *,
    limit: int,
    oldest_first: bool = False,
    readable: QuerySet[TranscriptionSession] | None = None,
    others: Sequence[QuerySet[TranscriptionSession]] = (),
    sample: int = SAMPLED_SESSIONS,
) -> QuerySet[TranscriptionSession]:
    """Those where one segment or the title has every word of text, or whose id begins with text: in order, newest
    first unless told otherwise, and none is missing among the first limit.

    sessions: with every other filter, that of the page included, for they are what is looked through; not sliced.
    readable: sessions whose text the asker may read, where that is not all of them; a match elsewhere would
    tell what was said. others: sessions that match for other reasons. sample: with 0 the index answers.
    """
    ordered = sessions.order_by(*(OLDEST_FIRST if oldest_first else NEWEST_FIRST))
    stripped = text.strip()
    if not stripped:
        return ordered
    everything = TranscriptionSession.objects.using(sessions.db).order_by()
    others = list(others)
    if stripped.isascii() and "\0" not in stripped:
        others.append(everything.filter(public_id__istartswith=stripped))
    terms = parse_terms(text)
    if readable is not None and not readable.query.where:
        readable = None
    reach = Reach.of(ordered, sample)
    if terms and sample and reach.is_worth_reading(terms):
        matches = Q(_has_segment(terms)) & (Q() if readable is None else Q(pk__in=readable.values("pk")))
        matches |= Q(TextMatches(SESSION_TITLE, terms))
        for other in others:
            matches |= Q(pk__in=other.values("pk"))
        found = list(reach.sessions.filter(matches).values_list("pk", flat=True)[:limit])
        if reach.is_all or len(found) >= limit:
            return ordered.filter(pk__in=found)
    if terms:
        rare = rare_terms(reach.sampled_segments(), terms)
        by_text = owners_in_index(SEGMENT_TEXT, "session_id", rare, sessions.db, also=terms)
        others.append((everything if readable is None else readable.order_by()).filter(pk__in=by_text))
        others.append(everything.filter(pk__in=owners_in_index(SESSION_TITLE, "id", terms, sessions.db)))
    if not others:
        return ordered.none()
    # Joined as sets: conditions joined by OR would be tried on every session.
    first, *rest = (other.values("pk") for other in others)
    return ordered.filter(pk__in=first.union(*rest) if rest else first)


@dataclass(frozen=True, slots=True)
class Reach:
    """As many of the first sessions of a list as may be read one after the other. is_all: there are no more.

    sampled: keys of the first of them; looked_at: how many of their segments a sample has.
    """

    sessions: QuerySet[TranscriptionSession]
    is_all: bool
    segments: int
    sampled: list[int]
    looked_at: int

    @classmethod
    def of(cls, ordered: QuerySet[TranscriptionSession], sample: int) -> Self:
        rows = list(ordered.values_list("pk", "created_at", "segment_count")[: WALKED_SESSIONS + 1])
        sampled: list[int] = []
        reached = segments = looked_at = 0
        for pk, _created_at, count in rows[:WALKED_SESSIONS]:
            if segments > WALKED_SEGMENTS:
                break
            reached += 1
            segments += count
            # Sessions that have just begun tell nothing yet.
            if count and len(sampled) < sample and looked_at < SAMPLED_SEGMENTS:
                sampled.append(pk)
                looked_at += min(count, SAMPLED_OF_ONE)
        if reached < len(rows):
            pk, created_at, _count = rows[reached - 1]
            is_within = up_to(created_at, pk, oldest_first=ordered.query.order_by == OLDEST_FIRST)
            return cls(ordered.filter(is_within), False, segments, sampled, looked_at)
        return cls(ordered, True, segments, sampled, looked_at)

    def is_worth_reading(self, terms: Sequence[str]) -> bool:
        if self.is_all and self.segments <= SAMPLED_SEGMENTS:
            return True
        matching = self.sampled_segments().filter(TextMatches(SEGMENT_TEXT, terms)).values("session").distinct()
        matches = matching.count() if self.sampled else 0
        return matches >= LEAST_MATCHES and matches * SEGMENTS_PER_MATCH >= self.looked_at

    def sampled_segments(self) -> QuerySet[TranscriptSegment]:
        segments = TranscriptSegment.objects.using(self.sessions.db).order_by()
        return segments.filter(session__in=self.sampled, index__lt=SAMPLED_OF_ONE)


def up_to(created_at: datetime, pk: int, *, oldest_first: bool) -> Q:
    """Sessions as far as this one, itself included. The first condition alone tells an index where to end."""
    if oldest_first:
        return Q(created_at__lte=created_at) & (Q(created_at__lt=created_at) | Q(pk__lte=pk))
    return Q(created_at__gte=created_at) & (Q(created_at__gt=created_at) | Q(pk__gte=pk))


def _has_segment(terms: Sequence[str]) -> IsNull:
    """Whether a session has a segment that matches. Of EXISTS PostgreSQL would make a hash of all that do."""
    matching = TranscriptSegment.objects.filter(TextMatches(SEGMENT_TEXT, terms), session=OuterRef("pk"))
    return IsNull(Subquery(matching.order_by().values("pk")[:1]), False)


def rare_terms(segments: QuerySet[TranscriptSegment], terms: Sequence[str]) -> list[str]:
    """Those to ask the index for, the rarest first: it would gather every hit of the others, only to drop most.

    segments: a sample. The others are looked for in the segments that are found.
    """
    if len(terms) == 1:
        return list(terms)
    texts = list(segments.values_list("text", flat=True)[:SAMPLED_TEXTS])
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
    segments: QuerySet[TranscriptSegment], text: str, *, limit: int, sample: int = SAMPLED_LAST_SEGMENTS
) -> QuerySet[TranscriptSegment]:
    """Those whose current text has every word of text; none for a text without words.

    segments: not sliced. None is missing among the first limit, the sessions made last first.
    """
    terms = parse_terms(text)
    if not terms:
        return segments.none()
    ordered = segments.order_by("-session_id", "index")
    matches = TextMatches(SEGMENT_TEXT, terms)
    shown = list(ordered.annotate(matches=matches).values_list("matches", flat=True)[:sample])
    if sample and (len(shown) < sample or sum(shown) >= DENSE_SEGMENT_SHARE * sample):
        edge = ordered.values_list("session_id", flat=True)[WALKED_LAST_SEGMENTS : WALKED_LAST_SEGMENTS + 1]
        within = ordered.filter(session_id__gt=edge[0]) if edge else ordered
        found = list(within.filter(matches).values_list("pk", flat=True)[:limit])
        if not edge or len(found) >= limit:
            return segments.filter(pk__in=found)
    rare = rare_terms(ordered[:sample], terms)
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
        .defer("asr_text", "alternatives")
    )
    hits: dict[int, list[Hit]] = {}
    for segment in sorted(segments, key=lambda segment: segment.index):
        snippet = make_snippet(segment.text, terms)
        hits.setdefault(segment.session_id, []).append(Hit(segment, snippet, first_match_ms(segment, terms)))
    return hits


def first_match_ms(segment: TranscriptSegment, terms: Iterable[str]) -> int:
    """When the first word that matches is said; the segment's start where its words have no times."""
    wanted = tuple(terms)
    if segment.words:
        for word in time_words(segment.text, segment.start_ms, segment.end_ms, segment.words):
            if any(fold(part).startswith(wanted) for part in WORD.findall(word.text)):
                return word.start_ms
    return segment.start_ms


def parse_terms(text: str) -> list[str]:
    """The words of what was typed, folded as the index folds them; at most MAX_TERMS, each once."""
    words = (fold(word)[:MAX_WORD_CHARACTERS] for word in WORD.findall(text))
    return list(dict.fromkeys(words))[:MAX_TERMS]


def make_snippet(text: str, terms: Iterable[str]) -> tuple[Piece, ...]:
    """The text round the first word that matches, with every matching word told apart."""
    wanted = tuple(terms)
    spans = [match.span() for match in WORD.finditer(text) if fold(match.group()).startswith(wanted)]
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
