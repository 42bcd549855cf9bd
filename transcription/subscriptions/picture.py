"""What a process knows of one session that somebody subscribed to. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcription.console.live_rows import Row
from transcription.rest.schemas import SessionAnswer
from transcription.subscriptions.messages import SegmentItem

# Of the segments stored last, for all subscribers together; older ones are read by who needs them.
MAX_KEPT_SEGMENTS = 100


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """epoch: of the connection that stored it: an index that was withdrawn comes again with a higher one."""

    epoch: int
    item: SegmentItem

    @property
    def index(self) -> int:
        return self.item.segment


@dataclass(frozen=True, slots=True)
class Picture:
    """facts: as the database has them; None once the session was deleted. segments: the last ones, in order, without
    gaps. row: as the process that holds the session tells of it, None where none does.
    """

    facts: SessionAnswer | None
    segments: tuple[StoredSegment, ...] = ()
    row: Row | None = None

    @property
    def first_kept(self) -> int:
        return self.segments[0].index if self.segments else self.next_segment

    @property
    def next_segment(self) -> int:
        return self.segments[-1].index + 1 if self.segments else 0

    @property
    def is_over(self) -> bool:
        return self.facts is None or self.facts.state in ("completed", "interrupted", "failed")

    @property
    def unsettled_from(self) -> int:
        """The first index at which the database may have something else than this picture."""
        tails = (segment.index for segment in self.segments if segment.item.tail)
        return next(tails, self.next_segment)

    def segment(self, index: int) -> StoredSegment | None:
        """The segment, unless it is too old or not stored yet."""
        position = index - self.first_kept
        return self.segments[position] if 0 <= position < len(self.segments) else None


def joined(kept: Sequence[StoredSegment], read: Sequence[StoredSegment], from_index: int) -> tuple[StoredSegment, ...]:
    """The last segments after those from from_index on were read again.

    read: the last MAX_KEPT_SEGMENTS of them, so where they begin later nothing kept joins them.
    """
    if read and read[0].index != from_index:
        return tuple(read)
    return (*(segment for segment in kept if segment.index < from_index), *read)[-MAX_KEPT_SEGMENTS:]
