"""The machine's segments follow the passages: their current text is what searches and the admin look at.

A segment's text is that of the passages that begin in it; where none does, since it was joined to the one before, it
has none. Each row keeps its own history besides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, router
from django.db.models import Q

from transcription.corrections import keep_machine_versions
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.review.passages import Passage
from transcription.review.transcript import ROWS_PER_READ, read_passages
from transcription.review.words import join_texts

FIELDS = ("text", "speaker", "reviewed")
# Not in the history either, for they never change.
LARGE = ("words", "alternatives")


def follow(session: TranscriptionSession, indexes: Collection[int], *, user_id: int | None, reason: str) -> None:
    """Bring the rows of these segments into line with the passages as they are stored now."""
    user = get_user_model().objects.filter(pk=user_id).first() if user_id is not None else None
    ordered = sorted(indexes)
    for at in range(0, len(ordered), ROWS_PER_READ):
        part = ordered[at : at + ROWS_PER_READ]
        beginning: dict[int, list[Passage]] = {index: [] for index in part}
        covered: set[int] = set()
        for passage in read_passages(session, Q(index__lte=part[-1], last_index__gte=part[0])):
            covered.update(range(passage.index, passage.last_index + 1))
            if passage.index in beginning:
                beginning[passage.index].append(passage)
        rows = TranscriptSegment.objects.filter(session_id=session.pk, index__in=part).defer(*LARGE)
        changed: list[tuple[Any, list[Any]]] = []
        for row in rows:
            if row.index not in covered:
                continue
            before = [getattr(row, name) for name in FIELDS]
            values = _values(beginning[row.index], row)
            if values != before:
                changed.append((row, values))
        keep_machine_versions([row for row, _values in changed])
        for row, values in changed:
            row.text, row.speaker, row.reviewed = values
            # Without it the user of the current request would be put down where a key did it.
            row._history_user = user
        stored = [row for row, _values in changed]
        _write(stored)
        TranscriptSegment.history.bulk_history_create(stored, update=True, default_change_reason=reason)


def _write(rows: Sequence[TranscriptSegment]) -> None:
    """One statement for each: bulk_update() takes ten times as long to write its own, and others wait meanwhile."""
    sql = f"UPDATE {TranscriptSegment._meta.db_table} SET text = %s, speaker = %s, reviewed = %s WHERE id = %s"  # noqa: S608
    with connections[router.db_for_write(TranscriptSegment)].cursor() as cursor:
        cursor.executemany(sql, [(row.text, row.speaker, row.reviewed, row.pk) for row in rows])


def _values(beginning: list[Passage], row: TranscriptSegment) -> list[Any]:
    text = ""
    for passage in beginning:
        text = join_texts(text, passage.text) if text else passage.text
    if not beginning:
        return [text, row.speaker, row.reviewed]
    return [text, beginning[0].speaker, all(passage.reviewed for passage in beginning)]
