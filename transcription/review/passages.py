"""Passages: stretches of what the machine heard as people see them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from transcription.review.alignment import machine_words, time_words
from transcription.review.words import Word, join_texts

ID_PATTERN = r"^[0-9]{1,9}(\.[1-9][0-9]{0,5})?$"


@dataclass(frozen=True, slots=True, order=True)
class PassageId:
    """index: of the machine's segment in which the passage begins; part: 0, or the number of a part that was split
    off. As text `12` or `12.1`; it says nothing of the order."""

    index: int
    part: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what is no id."""
        if re.fullmatch(ID_PATTERN, text) is None:
            return None
        index, _dot, part = text.partition(".")
        return cls(int(index), int(part or 0))

    def __str__(self) -> str:
        return f"{self.index}.{self.part}" if self.part else str(self.index)


@dataclass(frozen=True, slots=True)
class MachineSegment:
    """A segment as it was recognised, words as stored. text: as it stands, which counts where no passage is stored."""

    index: int
    start_ms: int
    end_ms: int
    asr_text: str
    text: str
    speaker: str = ""
    confidence: float | None = None
    language: str = ""
    words: Sequence[dict[str, Any]] = ()
    reviewed: bool = False

    def heard(self) -> list[Word]:
        return machine_words(self.asr_text, self.start_ms, self.end_ms, self.words)


@dataclass(frozen=True, slots=True)
class Passage:
    """What people see as one segment.

    It begins at the character heard_from of the machine's text `index` and ends before the character heard_to of
    the machine's text `last_index`. place: its order among those that begin in the same segment. version: of the
    review when it was last changed, 0 if never.
    """

    id: PassageId
    place: float
    last_index: int
    heard_from: int
    heard_to: int
    start_ms: int
    end_ms: int
    text: str
    speaker: str = ""
    reviewed: bool = False
    version: int = 0

    @property
    def order(self) -> tuple[int, float]:
        return (self.id.index, self.place)

    @property
    def index(self) -> int:
        return self.id.index

    def covers(self, index: int) -> bool:
        return self.id.index <= index <= self.last_index


def untouched(machine: MachineSegment) -> Passage:
    """A segment that no review has changed."""
    return Passage(
        id=PassageId(machine.index),
        place=0.0,
        last_index=machine.index,
        heard_from=0,
        heard_to=len(machine.asr_text),
        start_ms=machine.start_ms,
        end_ms=machine.end_ms,
        text=machine.text,
        speaker=machine.speaker,
        reviewed=machine.reviewed,
    )


def in_order(machines: Iterable[MachineSegment], changed: Iterable[Passage]) -> Iterator[Passage]:
    """Every passage in order: those that were changed, and the machine's segments that none of them covers.

    machines: by index. changed: all that cover any of them, those alone that begin in one of them are given.
    """
    kept = sorted(changed, key=lambda passage: passage.order)
    covered_to, at = -1, 0
    for machine in machines:
        while at < len(kept) and kept[at].index < machine.index:
            covered_to, at = max(covered_to, kept[at].last_index), at + 1
        if machine.index > covered_to and not (at < len(kept) and kept[at].index == machine.index):
            yield untouched(machine)
        while at < len(kept) and kept[at].index == machine.index:
            yield kept[at]
            covered_to, at = max(covered_to, kept[at].last_index), at + 1


@dataclass(frozen=True)
class Reading:
    """A passage together with what was heard of it."""

    passage: Passage
    machines: tuple[MachineSegment, ...]

    @classmethod
    def of(cls, passage: Passage, machines: Mapping[int, MachineSegment]) -> Self:
        """machines: by index, with every one that the passage covers."""
        indexes = range(passage.index, passage.last_index + 1)
        return cls(passage, tuple(machines[index] for index in indexes if index in machines))

    def _stretch(self, machine: MachineSegment) -> tuple[int, int]:
        """The characters of a machine's text that are this passage's."""
        first = self.passage.heard_from if machine.index == self.passage.index else 0
        last = self.passage.heard_to if machine.index == self.passage.last_index else len(machine.asr_text)
        return first, last

    @cached_property
    def heard(self) -> list[tuple[int, Word]]:
        """The machine's words of it, each with its segment's index; their places are those in that segment's text."""
        found: list[tuple[int, Word]] = []
        for machine in self.machines:
            first, last = self._stretch(machine)
            found += [(machine.index, word) for word in machine.heard() if first <= word.at < last]
        return found

    @cached_property
    def asr_text(self) -> str:
        text = ""
        for machine in self.machines:
            first, last = self._stretch(machine)
            text = join_texts(text, machine.asr_text[first:last])
        return text.strip()

    @cached_property
    def words(self) -> list[Word]:
        """The words of the text, with times."""
        heard = [word for _index, word in self.heard]
        return time_words(self.passage.text, self.passage.start_ms, self.passage.end_ms, heard)

    @property
    def is_edited(self) -> bool:
        """Whether the text is another, be it by the punctuation alone."""
        return self.passage.text != (self.machines[0].asr_text if self.is_whole else self.asr_text)

    @property
    def is_whole(self) -> bool:
        """Whether it is one segment of the machine's, neither more nor less."""
        if len(self.machines) != 1:
            return False
        return self._stretch(self.machines[0]) == (0, len(self.machines[0].asr_text))

    @property
    def confidence(self) -> float | None:
        """Of the machine's text: its segment's own, else the mean of its words."""
        if self.is_whole:
            return self.machines[0].confidence or None
        known = [word.confidence for _index, word in self.heard if word.confidence is not None]
        return sum(known) / len(known) if known else None
