"""The transcript of a session, as edited or as the machine heard it. Exports, pages and the API read it here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from django.db.models import Q

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.review.models import ReviewPassage
from transcription.review.passages import MachineSegment, Passage, PassageId, Reading, in_order, untouched

# Segments read from the database at once; with the times of their words each takes some 10 kB.
ROWS_PER_READ = 200
COLUMNS = ("index", "start_ms", "end_ms", "asr_text", "text", "speaker", "confidence", "language", "reviewed")


def read_transcript(
    session: TranscriptionSession, *, edited: bool = True, first: int = 0, limit: int | None = None
) -> Iterator[Reading]:
    """The passages that begin in the machine's segments from first on, in order.

    edited: as people left it; False: as it was recognised, segment by segment. limit: of machine's segments. Some are
    read at a time: no cursor and no transaction stays open while a slow client reads.
    """
    left = limit
    while left is None or left > 0:
        size = ROWS_PER_READ if left is None else min(ROWS_PER_READ, left)
        machines = read_machines(session, Q(index__gte=first), size)
        if not machines:
            return
        yield from _read_part(session, machines, edited)
        if len(machines) < size:
            return
        first = machines[-1].index + 1
        left = None if left is None else left - size


def _read_part(session: TranscriptionSession, machines: list[MachineSegment], edited: bool) -> Iterator[Reading]:
    if not edited:
        for machine in machines:
            yield Reading(replace(untouched(machine), text=machine.asr_text), (machine,))
        return
    first, last = machines[0].index, machines[-1].index
    changed = read_passages(session, Q(index__range=(first, last)) | Q(index__lt=first, last_index__gte=first))
    beyond = max((passage.last_index for passage in changed), default=last)
    known = {machine.index: machine for machine in machines}
    if beyond > last:
        known |= by_index(read_machines(session, Q(index__gt=last, index__lte=beyond)))
    for passage in in_order(machines, changed):
        if passage.index >= first:
            yield Reading.of(passage, known)


def read_texts(session: TranscriptionSession) -> Iterator[Passage]:
    """All passages in order as people left them; words are not read."""
    return in_order(read_machines(session, Q(), with_words=False), read_passages(session))


def read_machines(
    session: TranscriptionSession, which: Q, limit: int | None = None, *, with_words: bool = True
) -> list[MachineSegment]:
    """The machine's segments, by index."""
    columns = (*COLUMNS, "words") if with_words else COLUMNS
    rows = TranscriptSegment.objects.filter(which, session_id=session.pk).order_by("index").values(*columns)
    return [MachineSegment(**row) for row in (rows if limit is None else rows[:limit])]


def by_index(machines: Iterable[MachineSegment]) -> dict[int, MachineSegment]:
    return {machine.index: machine for machine in machines}


def read_passages(session: TranscriptionSession, which: Q | None = None) -> list[Passage]:
    """The stored passages, by their order."""
    rows = ReviewPassage.objects.filter(which or Q(), session_id=session.pk).order_by("index", "place")
    return [passage_of(row) for row in rows]


def passage_of(row: ReviewPassage) -> Passage:
    return Passage(
        id=PassageId(row.index, row.part),
        place=row.place,
        last_index=row.last_index,
        heard_from=row.heard_from,
        heard_to=row.heard_to,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        text=row.text,
        speaker=row.speaker,
        reviewed=row.reviewed,
        version=row.version,
    )


def readings_of(session: TranscriptionSession, passages: Iterable[Passage]) -> list[Reading]:
    """Passages with what was heard of them, in order."""
    wanted = sorted(passages, key=lambda passage: passage.order)
    if not wanted:
        return []
    indexes = {index for passage in wanted for index in range(passage.index, passage.last_index + 1)}
    known: Mapping[int, MachineSegment] = by_index(_machines_at(session, sorted(indexes)))
    return [Reading.of(passage, known) for passage in wanted]


def _machines_at(session: TranscriptionSession, indexes: list[int]) -> Iterator[MachineSegment]:
    for at in range(0, len(indexes), ROWS_PER_READ):
        yield from read_machines(session, Q(index__in=indexes[at : at + ROWS_PER_READ]))
