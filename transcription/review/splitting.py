"""One passage made two, and two made one. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from transcription.review.alignment import matching_blocks, time_words
from transcription.review.passages import Passage, PassageId, Reading
from transcription.review.words import find_words, join_texts, plain, split_words


class NoRoom(ValueError):
    """It has been split here more often than places can be told apart."""


@dataclass(frozen=True, slots=True)
class Border:
    """Where the second part begins, and the last segment and character of the first."""

    index: int
    at: int
    last_index: int
    heard_to: int


def split(reading: Reading, before: str, after: str, *, siblings: Collection[Passage] = ()) -> tuple[Passage, Passage]:
    """The two parts of a passage, with these texts, each of at least one word.

    siblings: the other passages that begin in any of the segments it covers. Raises NoRoom.
    """
    passage = reading.passage
    heard = [word for _index, word in reading.heard]
    timed = time_words(f"{before}\n{after}", passage.start_ms, passage.end_ms, heard)
    size = len(split_words(before))
    border = _border(reading, _cut(reading, before, after))
    left = replace(
        passage,
        last_index=border.last_index,
        heard_to=border.heard_to,
        end_ms=timed[size - 1].end_ms,
        text=before.strip(),
        reviewed=False,
    )
    taken = {other.id.part for other in (left, *siblings) if other.index == border.index}
    right = replace(
        passage,
        id=PassageId(border.index, 0 if border.at == 0 and 0 not in taken else max(taken, default=0) + 1),
        place=_place(passage, border.index, siblings),
        heard_from=border.at,
        start_ms=timed[size].start_ms,
        text=after.strip(),
        reviewed=False,
    )
    return left, right


def merge(left: Passage, right: Passage, text: str | None = None) -> Passage:
    """Two passages that follow each other as one, under the first one's id."""
    return replace(
        left,
        last_index=max(left.last_index, right.last_index),
        heard_to=right.heard_to,
        start_ms=min(left.start_ms, right.start_ms),
        end_ms=max(left.end_ms, right.end_ms),
        text=join_texts(left.text, right.text) if text is None else text.strip(),
        speaker=left.speaker or right.speaker,
        reviewed=False,
    )


def _cut(reading: Reading, before: str, after: str) -> int:
    """How many of the words that were heard go to the first part; those that were replaced are shared by number."""
    heard = [plain(word.text) for _index, word in reading.heard]
    left = [plain(word) for _at, word in find_words(before)]
    right = [plain(word) for _at, word in find_words(after)]
    pairs = [
        (block.old_at + offset, block.new_at + offset)
        for block in matching_blocks(heard, left + right)
        for offset in range(block.size)
    ]
    last_old, last_new = max(((old, new) for old, new in pairs if new < len(left)), default=(-1, -1))
    next_old, next_new = min(
        ((old, new) for old, new in pairs if new >= len(left)), default=(len(heard), len(left) + len(right))
    )
    new_before, new_after = len(left) - last_new - 1, next_new - len(left)
    if new_before + new_after == 0:
        return next_old
    return last_old + 1 + round((next_old - last_old - 1) * new_before / (new_before + new_after))


def _border(reading: Reading, cut: int) -> Border:
    passage, heard = reading.passage, reading.heard
    if cut == len(heard):
        return Border(passage.last_index, passage.heard_to, passage.last_index, passage.heard_to)
    if cut == 0:
        return Border(passage.index, passage.heard_from, passage.index, passage.heard_from)
    index, word = heard[cut]
    if heard[cut - 1][0] == index:
        return Border(index, word.at, index, word.at)
    # Between two segments. Between them may lie some in which nothing was heard; they stay with the first part.
    earlier = max((machine for machine in reading.machines if machine.index < index), key=lambda found: found.index)
    first = passage.heard_from if index == passage.index else 0
    return Border(index, first, earlier.index, len(earlier.asr_text))


def _place(passage: Passage, index: int, siblings: Collection[Passage]) -> float:
    """Where the second part stands among those that begin in the same segment: right behind the first."""
    places = sorted(other.place for other in siblings if other.index == index)
    if index != passage.index:
        return places[0] - 1.0 if places else 0.0
    following = next((place for place in places if place > passage.place), None)
    if following is None:
        return passage.place + 1.0
    place = (passage.place + following) / 2
    if not passage.place < place < following:
        raise NoRoom
    return place
