"""What people change about segments. The machine's text, words and times never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transcription.models import TranscriptSegment


def keep_machine_versions(segments: Sequence[TranscriptSegment]) -> None:
    """Make the state as stored by the recogniser the first entry of each segment's history.

    Segments are stored in bulk, which writes no history; so before the first correction what it replaces is
    put there, and can be restored. Call it with rows as they are stored; does nothing where there is a history.
    """
    pks = [segment.pk for segment in segments]
    kept = set(TranscriptSegment.history.filter(id__in=pks).values_list("id", flat=True))
    first: list[Any] = [segment for segment in segments if segment.pk not in kept]
    for segment in first:
        # Nobody's doing: without this the user of the current request would be put down.
        segment._history_user, segment._history_date = None, segment.created_at
    TranscriptSegment.history.bulk_history_create(first)
    for segment in first:
        del segment._history_user, segment._history_date
