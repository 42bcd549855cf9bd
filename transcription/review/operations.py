"""What people do to a transcript. Each is one entry of the history, and can be undone.

All of them raise what editing.editing() and Editing raise.
"""

from __future__ import annotations

from dataclasses import replace

from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.errors import BadConfig
from transcription.models import TranscriptionSession
from transcription.review import changes, locks, replacing, splitting
from transcription.review.authors import Author
from transcription.review.editing import Done, Editing, Kind, editing
from transcription.review.errors import ReviewRefused
from transcription.review.models import EditLock, ReviewChange
from transcription.review.passages import Passage, PassageId
from transcription.review.reading import find_change
from transcription.review.words import split_words

# Three minutes of speech have 3,000.
MAX_TEXT_CHARACTERS = 10_000


def edit(
    session: TranscriptionSession,
    author: Author,
    id: PassageId,
    version: int,
    *,
    text: str | None = None,
    speaker: str | None = None,
    reviewed: bool | None = None,
) -> Done:
    """Give a segment another text or speaker, or mark it; None leaves it. A segment that is edited is not reviewed."""
    with editing(session, author) as work:
        return edit_passage(work, work.get(id, version, text), text=text, speaker=speaker, reviewed=reviewed)


def edit_passage(
    work: Editing, passage: Passage, *, text: str | None, speaker: str | None, reviewed: bool | None
) -> Done:
    edited = passage
    if text is not None and text != passage.text:
        edited = replace(edited, text=text, reviewed=False)
    if speaker is not None:
        edited = replace(edited, speaker=speaker)
    if reviewed is not None:
        edited = replace(edited, reviewed=reviewed)
    kind = Kind.EDIT if edited.text != passage.text else Kind.CHECK
    if kind == Kind.CHECK and edited.speaker != passage.speaker:
        kind = Kind.SPEAKER
    return work.apply(kind, {passage.id: passage}, {passage.id: edited})


def split(session: TranscriptionSession, author: Author, id: PassageId, version: int, before: str, after: str) -> Done:
    """Make two segments of one, with these texts. Raises BadConfig if either has no word."""
    for field, text in (("before", before), ("after", after)):
        if not split_words(text):
            raise BadConfig(_("Both parts need at least one word."), field=field)
    with editing(session, author) as work:
        passage = work.get(id, version, f"{before}\n{after}")
        try:
            left, right = splitting.split(work.reading(passage), before, after, siblings=work.siblings(passage))
        except splitting.NoRoom:
            raise ReviewRefused(_("This segment cannot be split any further here."), reason="no_room") from None
        return work.apply(Kind.SPLIT, {id: passage}, {left.id: left, right.id: right})


def merge(
    session: TranscriptionSession,
    author: Author,
    id: PassageId,
    version: int,
    previous_version: int,
    text: str | None = None,
) -> Done:
    """Join a segment to the one before it, whose id they keep. text: of both; None: theirs one after the other."""
    with editing(session, author) as work:
        passage = work.get(id, version, text)
        previous = work.before(passage)
        if previous is None:
            raise ReviewRefused(_("There is no segment before this one."), reason="nothing_before")
        if previous.version != previous_version:
            raise work.conflict(previous, text)
        merged = splitting.merge(previous, passage, text)
        _check_length(merged)
        return work.apply(Kind.MERGE, {previous.id: previous, id: passage}, {merged.id: merged})


def rename_speaker(session: TranscriptionSession, author: Author, version: int, speaker: str, name: str) -> Done:
    """Give a speaker another name in the whole session. speaker: "" for segments without one."""
    with editing(session, author) as work:
        work.check_version(version)
        before = {id: passage for id, passage in work.everything().items() if passage.speaker == speaker}
        after = {id: replace(passage, speaker=name) for id, passage in before.items()}
        return work.apply(Kind.SPEAKER, before, after, speaker=speaker, name=name)


def replace_text(
    session: TranscriptionSession, author: Author, version: int, find: str, by: str, *, match_case: bool
) -> tuple[Done, int]:
    """Replace a text in every segment, and count the places."""
    with editing(session, author) as work:
        work.check_version(version)
        before: changes.Passages = {}
        after: changes.Passages = {}
        count = 0
        for id, passage in work.everything().items():
            text, places = replacing.replace_all(passage.text, find, by, match_case=match_case)
            if places and text != passage.text:
                count += places
                before[id], after[id] = passage, replace(passage, text=text, reviewed=False)
                _check_length(after[id])
        return work.apply(Kind.REPLACE, before, after, find=find, by=by, match_case=match_case, count=count), count


def hold(session: TranscriptionSession, author: Author, id: PassageId, *, take: bool = False) -> EditLock:
    """Tell others that a segment is being edited; see locks.hold()."""
    with editing(session, author) as work:
        work.find(id)
        return locks.hold(work.session, id, author, take=take)


def mark_reviewed(session: TranscriptionSession, author: Author, version: int) -> Done:
    """Close the transcript to changes. Marked again, it stays as it is."""
    with editing(session, author, is_reviewed=True) as work:
        if work.review.reviewed_at is not None:
            return Done(work.review.version)
        work.check_version(version)
        return _set_state(work, Kind.REVIEWED)


def reopen(session: TranscriptionSession, author: Author) -> Done:
    """Open the transcript to changes again. Does nothing if it is open."""
    with editing(session, author, is_reviewed=True) as work:
        if work.review.reviewed_at is None:
            return Done(work.review.version)
        return _set_state(work, Kind.REOPENED)


def undo(session: TranscriptionSession, author: Author, number: int) -> Done:
    """Take back one change; taking back that again does it once more. Raises EditConflict if its segments were
    changed since, NotFound for no such entry."""
    with editing(session, author) as work:
        entry = find_change(work.session, number)
        current = work.stored()
        try:
            wanted = changes.undo(current, entry.items, number)
        except changes.CannotUndo as error:
            passage = current.get(error.ids[0])
            raise work.conflict(passage) from None
        return _replace_with(work, Kind.UNDO, current, wanted, number)


def restore(session: TranscriptionSession, author: Author, version: int, number: int) -> Done:
    """Bring the transcript back to what it was after entry `number`, 0 for what the machine heard."""
    with editing(session, author) as work:
        work.check_version(version)
        if number:
            find_change(work.session, number)
        elif work.review.version == 0:
            return Done(0)
        current = work.stored()
        later = ReviewChange.objects.filter(session=work.session, number__gt=number).order_by("-number")
        wanted = changes.rewind(current, later.values_list("items", flat=True).iterator())
        return _replace_with(work, Kind.RESTORE, current, wanted, number)


def _replace_with(work: Editing, kind: Kind, current: changes.Passages, wanted: changes.Passages, target: int) -> Done:
    """Passages that are the machine's own again stay stored, with their version."""
    ids = {id for id in {*current, *wanted} if current.get(id) != wanted.get(id)}
    before = {id: passage for id, passage in current.items() if id in ids}
    after = {id: passage for id, passage in wanted.items() if id in ids}
    return work.apply(kind, before, after, target=target)


def _set_state(work: Editing, kind: Kind) -> Done:
    is_reviewed = kind == Kind.REVIEWED
    work.review.reviewed_at = timezone.now() if is_reviewed else None
    work.review.reviewed_by = work.author.name if is_reviewed else ""
    work.review.save(update_fields=["reviewed_at", "reviewed_by"])
    return work.apply(kind, {}, {})


def _check_length(passage: Passage) -> None:
    if len(passage.text) > MAX_TEXT_CHARACTERS:
        message = _("Segment %(id)s would have more than %(limit)d characters.")
        raise ReviewRefused(message % {"id": passage.id, "limit": MAX_TEXT_CHARACTERS}, reason="too_long")
