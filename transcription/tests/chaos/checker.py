"""Compares what clients sent and saw, what the recogniser finalised and what is stored. Pure.

The rules are the invariants: each word once, whole and in order, at its time (`lost`, `twice`, `broken`, `order`,
`time`), none that nobody said (`invented`); I1 segments without holes; I2 every byte accounted for; I3 nothing
written by a holder after the next one took the session; I4 no session live without a living worker; I5 nothing
left behind; I6 what a client was told is durable is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from transcription.fake_riva.audio import SpokenWord, broken_word_numbers, word_numbers
from transcription.tests.chaos.records import ByteSpan, ClientRecord, Resources, StoredSession

# By how much a segment may begin before the one before it.
BACKWARDS_MS = 80
# The engine hears in steps of 10 ms, and a stream may begin within one.
TIME_TOLERANCE_MS = 30
RSS_TOLERANCE = 0.05
FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    session_id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule:<8} {self.session_id}: {self.detail}"


@dataclass(slots=True)
class Verdict:
    """What all sessions together show."""

    sessions: int = 0
    words: int = 0
    violations: list[Violation] = field(default_factory=list)

    def count(self, rule: str) -> int:
        return sum(violation.rule == rule for violation in self.violations)

    @property
    def rules_broken(self) -> set[str]:
        return {violation.rule for violation in self.violations}


def check(
    clients: Iterable[ClientRecord],
    stored: Mapping[str, StoredSession],
    heard: Collection[int] | None = None,
    *,
    time_tolerance_ms: int | None = TIME_TOLERANCE_MS,
) -> Verdict:
    """Every session against every rule.

    heard: numbers of the words that the recogniser finalised; None: not known. time_tolerance_ms: None where
    the recogniser tells wrong times.
    """
    verdict = Verdict()
    for client in clients:
        verdict.sessions += 1
        session = stored.get(client.session_id)
        if session is None:
            verdict.violations.append(Violation("I6", client.session_id, "was started and is not stored"))
            continue
        expected = expected_words(client, session)
        verdict.words += len(expected)
        for rule, detail in _problems(client, session, expected, heard, time_tolerance_ms):
            verdict.violations.append(Violation(rule, client.session_id, detail))
    return verdict


def expected_words(client: ClientRecord, session: StoredSession) -> list[SpokenWord]:
    """The words that must be stored: all but those in a gap that is stored, or at the place where one might be.

    What a client forgot is no excuse by itself: the service may have had it. Of a session that its client did not end,
    what came after the last settled or flushed audio may be missing.
    """
    reached = client.sent_bytes
    if client.stopped is None:
        reached = max(session.committed_bytes, session.flushed_bytes)
    reached_ms = _ms(reached, client)
    made = merged(client.discarded)
    places = [*within(merged(session.gaps), made), *((end, end) for _, end in client.discarded)]
    gaps = [(_ms(start, client), _ms(end, client)) for start, end in places]
    return [
        word
        for word in client.words
        if word.end_ms <= reached_ms and not any(word.start_ms < end and word.end_ms > start for start, end in gaps)
    ]


def check_resources(before: Resources, after: Resources) -> list[Violation]:
    """I5: after the load everything is as before it."""
    violations = [
        Violation("I5", "service", f"{name}: {before.counts.get(name, 0)} before, {count} after")
        for name, count in sorted(after.counts.items())
        if count > before.counts.get(name, 0)
    ]
    if after.rss_bytes > before.rss_bytes * (1 + RSS_TOLERANCE):
        growth = after.rss_bytes / before.rss_bytes - 1
        violations.append(Violation("I5", "service", f"memory grew by {growth:.1%}"))
    return violations


def _problems(
    client: ClientRecord,
    session: StoredSession,
    expected: list[SpokenWord],
    heard: Collection[int] | None,
    time_tolerance_ms: int | None,
) -> Iterator[tuple[str, str]]:
    yield from (("protocol", problem) for problem in client.problems)
    yield from _word_problems(client, session, expected, heard)
    yield from _segment_problems(session)
    if time_tolerance_ms is not None:
        yield from _time_problems(client, session, time_tolerance_ms)
    yield from _byte_problems(client, session)
    yield from _epoch_problems(client, session)
    if session.is_orphan:
        yield "I4", "live without a living worker"
    yield from _promise_problems(client, session)


def _word_problems(
    client: ClientRecord, session: StoredSession, expected: list[SpokenWord], heard: Collection[int] | None
) -> Iterator[tuple[str, str]]:
    text = " ".join(segment.text for segment in session.segments)
    numbers = word_numbers(text)
    times_stored = Counter(numbers)
    for word in expected:
        if not times_stored[word.number]:
            finalised = " although the recogniser had it final" if heard and word.number in heard else ""
            yield "lost", f"word {word.number} at {word.start_ms} ms{finalised}"
    for number, times in times_stored.items():
        if times > 1:
            yield "twice", f"word {number}, {times} times"
    yield from (("order", f"word {second} after {first}") for first, second in pairwise(numbers) if second < first)
    spoken = {word.number for word in client.words}
    promoted = {number for segment in session.segments if segment.promoted for number in word_numbers(segment.text)}
    for number in times_stored:
        if number not in spoken:
            yield "invented", f"word {number} is not of this session"
        elif heard is not None and number not in heard and number not in promoted:
            yield "invented", f"word {number} was in no final of the recogniser"
    may_break = _words_heard_in_part(client, session)
    for number in broken_word_numbers(text):
        if number not in may_break:
            yield "broken", f"word {number} is heard in parts"


def _words_heard_in_part(client: ClientRecord, session: StoredSession) -> set[int]:
    """Words of which the service never had all audio: in a gap, where a connection may have broken in the middle of
    one, or at an end that came in the middle of one, which of a lost client is what was flushed."""
    ends = (client.sent_bytes, session.flushed_bytes)
    spans = [*client.discarded, *((end, end) for end in ends)]
    spans_ms = [(_ms(start, client), _ms(end, client)) for start, end in spans]
    return {
        word.number for word in client.words for start, end in spans_ms if word.start_ms <= end and word.end_ms >= start
    }


def _segment_problems(session: StoredSession) -> Iterator[tuple[str, str]]:
    indexes = [segment.index for segment in session.segments]
    if indexes != list(range(len(indexes))):
        yield "I1", f"segments are numbered {indexes}"
    settled = sum(not segment.tail for segment in session.segments)
    if settled != session.next_seq:
        yield "I1", f"the next segment is {session.next_seq} after {settled}"
    for before, segment in pairwise(session.segments):
        if segment.start_ms < before.start_ms - BACKWARDS_MS:
            yield "I1", f"segment {segment.index} begins {before.start_ms - segment.start_ms} ms before the last"
    for segment in session.segments:
        if not 0 <= segment.start_ms <= segment.end_ms:
            yield "I1", f"segment {segment.index} lasts from {segment.start_ms} to {segment.end_ms} ms"


def _time_problems(client: ClientRecord, session: StoredSession, tolerance_ms: int) -> Iterator[tuple[str, str]]:
    times = {word.number: word for word in client.words}
    for segment in session.segments:
        for at, (text, start_ms, end_ms) in enumerate(segment.words, start=1):
            # What became of an interim ends where that had heard to, in the middle of its last word perhaps.
            may_be_cut = segment.promoted and at == len(segment.words)
            for number in word_numbers(text):
                said = times.get(number)
                if not said:
                    continue
                late_ms = end_ms - said.end_ms
                if max(abs(said.start_ms - start_ms), late_ms if may_be_cut else abs(late_ms)) > tolerance_ms:
                    yield "time", f"word {number} is at {start_ms} ms and was said at {said.start_ms} ms"


def _byte_problems(client: ClientRecord, session: StoredSession) -> Iterator[tuple[str, str]]:
    """I2. Positions count gaps too, so in a session that its client ended W is the end of the audio."""
    if client.stopped is not None and session.committed_bytes != client.sent_bytes:
        yield "I2", f"{session.committed_bytes} bytes are settled of {client.sent_bytes}"
    if session.committed_bytes > client.sent_bytes:
        yield "I2", f"{session.committed_bytes} bytes are settled and {client.sent_bytes} were sent"
    stored, made = merged(session.gaps), merged(client.discarded)
    if not _were_made(stored, made, ends={end for _, end in client.discarded}):
        yield "I2", f"gaps {stored} are stored, {made} were made"


def _epoch_problems(client: ClientRecord, session: StoredSession) -> Iterator[tuple[str, str]]:
    for before, segment in pairwise(session.segments):
        if segment.epoch < before.epoch:
            yield "I3", f"segment {segment.index} of epoch {segment.epoch} follows one of epoch {before.epoch}"
    for times, next_segment in enumerate(client.resumed_at, start=1):
        for segment in session.segments:
            if segment.index >= next_segment and segment.epoch < FIRST_EPOCH + times:
                yield "I3", f"segment {segment.index} of epoch {segment.epoch} was written after resume {times}"


def _promise_problems(client: ClientRecord, session: StoredSession) -> Iterator[tuple[str, str]]:
    texts = {segment.index: segment.text for segment in session.segments}
    for index, final in sorted(client.finals.items()):
        if texts.get(index) != final.text:
            yield "I6", f"segment {index} was told as {final.text!r} and is {texts.get(index)!r}"


def _were_made(stored: list[ByteSpan], made: list[ByteSpan], *, ends: set[int]) -> bool:
    """Whether every gap that is stored lies in what the client forgot, and ends where it had forgotten it (ends).

    It may be shorter, or none at all: what the service had before the client came back without it is no gap. That
    nothing is missing outside of the stored ones is what expected_words is for.
    """
    return within(stored, made) == stored and all(end in ends for _, end in stored)


def within(spans: list[ByteSpan], others: list[ByteSpan]) -> list[ByteSpan]:
    """Those spans that lie in one of the others."""
    return [span for span in spans if any(start <= span[0] and span[1] <= end for start, end in others)]


def merged(spans: Iterable[ByteSpan]) -> list[ByteSpan]:
    """Spans in order, joined where they touch or overlap, empty ones left out."""
    joined: list[ByteSpan] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _ms(position_bytes: int, client: ClientRecord) -> int:
    return position_bytes * 1000 // client.bytes_per_second
