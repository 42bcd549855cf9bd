"""One change of a transcript: what it is based on is checked, what it did is stored and stands in the history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.daily.counting import ask_recount
from transcription.errors import NotFound
from transcription.models import TranscriptionSession
from transcription.review import locks
from transcription.review.answers import ReviewSegment
from transcription.review.authors import Author
from transcription.review.changes import Passages, compare
from transcription.review.errors import EditConflict, ReviewRefused
from transcription.review.machine_rows import follow
from transcription.review.models import Review, ReviewChange, ReviewPassage
from transcription.review.passages import Passage, PassageId, Reading, untouched
from transcription.review.transcript import passage_of, read_machines, read_passages, read_texts, readings_of

Kind = ReviewChange.Kind
ROWS_PER_WRITE = 200
_COLUMNS = (
    "place",
    "last_index",
    "heard_from",
    "heard_to",
    "start_ms",
    "end_ms",
    "text",
    "speaker",
    "reviewed",
    "version",
)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change. version: of the review. segments: the passages that are new or different now."""

    version: int
    segments: tuple[Passage, ...] = ()
    removed: tuple[PassageId, ...] = ()


@contextlib.contextmanager
def editing(session: TranscriptionSession, author: Author, *, is_reviewed: bool = False) -> Iterator[Editing]:
    """Change a transcript, one change at a time. is_reviewed: whether it may be marked reviewed.

    Raises ReviewRefused while the session has not ended, and where it is marked reviewed; NotFound if it is deleted.
    """
    with transaction.atomic():
        row = TranscriptionSession.objects.only("state", "public_id").filter(pk=session.pk).first()
        if row is None:
            raise NotFound(_("There is no such transcription session."))
        if not row.has_ended:
            raise ReviewRefused(_("The transcript can be edited when the session has ended."), reason="not_ended")
        Review.objects.get_or_create(session_id=row.pk)
        review = Review.objects.select_for_update().get(session_id=row.pk)
        if review.reviewed_at is not None and not is_reviewed:
            raise ReviewRefused(_("The transcript is marked reviewed. Reopen it to edit it."), reason="reviewed")
        yield Editing(row, review, author)


class Editing:
    """The transcript of a session inside of the transaction that changes it."""

    def __init__(self, session: TranscriptionSession, review: Review, author: Author) -> None:
        self.session = session
        self.review = review
        self.author = author

    def get(self, id: PassageId, version: int, yours: str | None = None) -> Passage:
        """The passage at that version. Raises NotFound; EditConflict if it was changed since, or is no more."""
        passage = self.find(id)
        if passage.id != id or passage.version != version:
            raise self.conflict(passage, yours)
        return passage

    def check_version(self, version: int) -> None:
        """Raise EditConflict if anything was changed since."""
        if version != self.review.version:
            raise self.conflict(None)

    def conflict(self, passage: Passage | None, yours: str | None = None) -> EditConflict:
        current = None if passage is None else ReviewSegment.of(self.reading(passage)).model_dump()
        # What nobody changed has the version 0, and no entry.
        number = self.review.version if passage is None else passage.version
        last = ReviewChange.objects.filter(session=self.session, number=number).values("by", "at").first()
        by, at = (last["by"], last["at"]) if last is not None else (None, None)
        return EditConflict(
            _("Somebody else changed this meanwhile."),
            version=self.review.version,
            current=current,
            yours=yours,
            changed_by=by,
            changed_at=at,
        )

    def reading(self, passage: Passage) -> Reading:
        return readings_of(self.session, [passage])[0]

    def before(self, passage: Passage) -> Passage | None:
        """The passage in front of another."""
        earlier = Q(index__lt=passage.index) | Q(index=passage.index, place__lt=passage.place)
        stored = [passage_of(row) for row in self._rows(earlier).order_by("-index", "-place")[:1]]
        heard = self.session.segments.filter(index__lt=passage.index).aggregate(last=Max("index"))
        machines = read_machines(self.session, Q(index=heard["last"]), with_words=False)
        if machines and not (stored and stored[0].last_index >= machines[0].index):
            return untouched(machines[0])
        return stored[0] if stored else None

    def siblings(self, passage: Passage) -> list[Passage]:
        """The others that begin in one of the segments that a passage covers."""
        found = read_passages(self.session, Q(index__range=(passage.index, passage.last_index)))
        return [other for other in found if other.id != passage.id]

    def stored(self) -> Passages:
        """All passages that are stored."""
        return {passage.id: passage for passage in read_passages(self.session)}

    def everything(self) -> Passages:
        """All passages, in order; words are not read."""
        return {passage.id: passage for passage in read_texts(self.session)}

    def apply(
        self,
        kind: Kind,
        before: Mapping[PassageId, Passage],
        after: Mapping[PassageId, Passage],
        *,
        target: int | None = None,
        **details: Any,
    ) -> Done:
        """Store a change: passages of before take the form of after. A change of nothing is none, except of the state.

        Raises ReviewRefused if somebody else edits one of them.
        """
        items = compare(before, after)
        if not items and kind not in (Kind.REVIEWED, Kind.REOPENED):
            return Done(self.review.version)
        touched = [id for id in {*before, *after} if before.get(id) != after.get(id)]
        locks.refuse_if_held(self.session, touched, self.author)
        number = self.review.version + 1
        changed = [replace(after[id], version=number) for id in touched if id in after]
        removed = sorted(id for id in touched if id not in after)
        self._store(changed, removed)
        ReviewChange.objects.create(
            session=self.session,
            number=number,
            kind=kind,
            user_id=self.author.user_id,
            by=self.author.name,
            at=timezone.now(),
            target=target,
            details=details,
            items=items,
            item_count=len(items),
        )
        record(AuditEvent.What.EDITED, self.session, kind=kind.value, change=number, segments=len(items))
        self.review.version = number
        self.review.changed_at = timezone.now()
        self.review.save(update_fields=["version", "changed_at"])
        covering = [passage for id in touched for passage in (before.get(id), after.get(id)) if passage is not None]
        indexes = {index for passage in covering for index in range(passage.index, passage.last_index + 1)}
        follow(self.session, indexes, user_id=self.author.user_id, reason=kind.value)
        ask_recount(self.session.pk)
        return Done(number, tuple(sorted(changed, key=lambda passage: passage.order)), tuple(removed))

    def find(self, id: PassageId) -> Passage:
        """The passage with this id; if it is no more, the one that has its place. Raises NotFound."""
        row = self._rows(Q(index=id.index, part=id.part)).first()
        if row is not None:
            return passage_of(row)
        machines = read_machines(self.session, Q(index=id.index), with_words=False)
        if not machines:
            raise NotFound(_("There is no such segment."))
        covering = Q(index__lte=id.index, last_index__gte=id.index)
        row = self._rows(covering).order_by("-index", "-place").first()
        return passage_of(row) if row is not None else untouched(machines[0])

    def _rows(self, which: Q) -> Any:
        return ReviewPassage.objects.filter(which, session_id=self.session.pk)

    def _store(self, changed: list[Passage], removed: list[PassageId]) -> None:
        for id in removed:
            self._rows(Q(index=id.index, part=id.part)).delete()
        ReviewPassage.objects.bulk_create(
            [
                ReviewPassage(
                    session=self.session,
                    index=passage.index,
                    part=passage.id.part,
                    **{name: getattr(passage, name) for name in _COLUMNS},
                )
                for passage in changed
            ],
            batch_size=ROWS_PER_WRITE,
            update_conflicts=True,
            update_fields=_COLUMNS,
            unique_fields=["session", "index", "part"],
        )
