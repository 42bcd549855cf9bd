"""What one subscriber has been told, and what comes next. Pure.

Messages are made one at a time, when the subscriber can take one, from the newest picture: a slow one gets fewer
interims and nothing waits for it in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import cast

from transcription.subscriptions.messages import (
    Activity,
    Delta,
    InterimChanged,
    InterimItem,
    ProgressChanged,
    ProgressItem,
    SegmentItem,
    SegmentsRevised,
    SegmentStored,
    SessionEnded,
    Snapshot,
    State,
    StatusChanged,
)
from transcription.subscriptions.options import SubscriptionOptions
from transcription.subscriptions.picture import Picture, StoredSegment

SNAPSHOT_SEGMENTS = 100


class Feed:
    """One subscriber's place in a session. `first` once, then `next` until it gives None; again with each picture.

    Before either, `wanted_page` says which older segments the picture lacks, for `take_page`.
    """

    def __init__(self, options: SubscriptionOptions) -> None:
        self.has_ended = False
        self._options = options
        self._seq = 0
        self._next = -1
        self._page: deque[StoredSegment] = deque(maxlen=SNAPSHOT_SEGMENTS)
        self._told_tails: dict[int, int] = {}  # index: epoch
        self._told_status: tuple[State, Activity | None] | None = None
        self._told_interim: InterimItem | None = None
        self._told_progress: ProgressItem | None = None

    def wanted_page(self, picture: Picture) -> range | None:
        """Indexes of segments that the subscriber needs next and that the picture is too new for."""
        begin = self._begin(picture) if self._next < 0 else self._next
        if self._page or begin >= picture.first_kept:
            return None
        return range(begin, min(begin + SNAPSHOT_SEGMENTS, picture.first_kept))

    def take_page(self, page: Sequence[StoredSegment]) -> None:
        """The segments of wanted_page(), in order, as far as they are there."""
        self._page.extend(page)

    def first(self, picture: Picture) -> Snapshot:
        """The snapshot. The picture must have facts: who asks has just been allowed to see the session."""
        assert picture.facts is not None  # noqa: S101 - as said above
        self._next = begin = self._begin(picture)
        segments: list[SegmentItem] = []
        while len(segments) < SNAPSHOT_SEGMENTS and (segment := self._take_segment(picture)) is not None:
            segments.append(segment)
        state, activity = self._told_status = _status(picture)
        self._told_interim = self._interim(picture)
        self._told_progress = self._progress(picture)
        return Snapshot(
            seq=self._number(),
            session=picture.facts,
            state=state,
            activity=activity,
            segment_count=picture.next_segment,
            from_segment=begin,
            segments=segments,
            interim=self._told_interim,
            progress=self._told_progress,
        )

    def next(self, picture: Picture) -> Delta | None:
        """The next message, or None while there is nothing new. Nothing follows the end."""
        if self.has_ended:
            return None
        if picture.facts is None:
            return self._end(picture)
        withdrawn_from = self._withdrawn_from(picture)
        if withdrawn_from is not None:
            return self._revise(withdrawn_from)
        settled = self._settled_tail(picture) or self._take_segment(picture)
        if settled is not None:
            return SegmentStored(seq=self._number(), **dict(settled))
        if self._next < picture.next_segment:
            return None  # a page has to be read first
        return self._end(picture) if picture.is_over else self._change(picture)

    def _begin(self, picture: Picture) -> int:
        if self._options.after is None:
            return max(0, picture.next_segment - SNAPSHOT_SEGMENTS)
        return min(self._options.after + 1, picture.next_segment)

    def _number(self) -> int:
        self._seq += 1
        return self._seq - 1

    # Segments

    def _take_segment(self, picture: Picture) -> SegmentItem | None:
        segment = self._page.popleft() if self._page else picture.segment(self._next)
        if segment is None:
            return None
        self._next = segment.index + 1
        if segment.item.tail:
            self._told_tails[segment.index] = segment.epoch
        if self._told_interim is not None and self._told_interim.segment <= segment.index:
            self._told_interim = None
        return self._shown(segment.item)

    def _shown(self, item: SegmentItem) -> SegmentItem:
        return item if self._options.words else item.model_copy(update={"words": None})

    def _withdrawn_from(self, picture: Picture) -> int | None:
        """The first tail that was told and stands no more."""
        for index, epoch in self._told_tails.items():
            segment = picture.segment(index)
            if index >= picture.next_segment or (segment is not None and segment.epoch != epoch):
                return index
        return None

    def _revise(self, from_segment: int) -> SegmentsRevised:
        self._page.clear()
        self._next = from_segment
        self._told_tails = {index: epoch for index, epoch in self._told_tails.items() if index < from_segment}
        self._told_interim = None
        return SegmentsRevised(seq=self._number(), from_segment=from_segment)

    def _settled_tail(self, picture: Picture) -> SegmentItem | None:
        """A tail that was told and now stands for good."""
        for index in self._told_tails:
            segment = picture.segment(index)
            if segment is not None and not segment.item.tail:
                del self._told_tails[index]
                return self._shown(segment.item)
        return None

    # Everything else

    def _end(self, picture: Picture) -> SessionEnded:
        self.has_ended = True
        facts = picture.facts
        return SessionEnded(
            seq=self._number(),
            state=facts.state if facts else "deleted",  # type: ignore[arg-type]  # is_over says that it is one of these
            end_reason=facts.end_reason if facts else "deleted",
            end_message=facts.end_message if facts else "",
            session=facts,
        )

    def _change(self, picture: Picture) -> Delta | None:
        status = _status(picture)
        if status != self._told_status:
            self._told_status = status
            return StatusChanged(seq=self._number(), state=status[0], activity=status[1])
        interim = self._interim(picture)
        if interim != self._told_interim and not self._awaits_final(picture):
            told, self._told_interim = self._told_interim, interim
            if interim is None:
                # No final came of it: the recogniser was lost, or it was noise.
                assert told is not None  # noqa: S101 - they differ
                interim = InterimItem(segment=told.segment, text="")
            return InterimChanged(seq=self._number(), **dict(interim))
        progress = self._progress(picture)
        if progress is not None and progress != self._told_progress:
            self._told_progress = progress
            return ProgressChanged(seq=self._number(), **dict(progress))
        return None

    def _awaits_final(self, picture: Picture) -> bool:
        """Whether the final of what was being said is on its way: to take the interim back first would flicker."""
        row, told = picture.row, self._told_interim
        if row is None:
            return told is not None and _status(picture)[0] == "live"
        if row["segments"] > self._next:
            return True
        return told is not None and not row["interim"] and (row["interim_segment"] or 0) > told.segment

    def _interim(self, picture: Picture) -> InterimItem | None:
        row = picture.row
        if not self._options.interims or row is None or not row["interim"]:
            return None
        # One whose final is told already says nothing new.
        segment = row["interim_segment"]
        return InterimItem(segment=segment, text=row["interim"]) if segment >= self._next else None

    def _progress(self, picture: Picture) -> ProgressItem | None:
        if not self._options.progress or picture.row is None:
            return None
        return ProgressItem(**{name: picture.row[name] for name in ProgressItem.model_fields})


def _status(picture: Picture) -> tuple[State, Activity | None]:
    """A session that is not live does nothing, whatever its last holder may still say of it."""
    if picture.facts is None:
        return "deleted", None
    is_live = picture.facts.state == "live" and picture.row is not None
    return picture.facts.state, cast(Activity, picture.row["state"]) if is_live and picture.row else None
