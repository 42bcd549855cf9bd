"""Two transcripts of the same audio beside each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transcription.review.differences import Stretch, compare_texts
from transcription.review.error_rate import word_error_rate

# Two recognisers put the beginning of a word somewhat differently; so much may lie over without being the same talk.
TOLERANCE_MS = 250


class Said(NamedTuple):
    """A segment of a transcript."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A stretch of time that no segment of either transcript leaves. changes: from the first text to the other."""

    start_ms: int
    end_ms: int
    first: str
    second: str
    changes: tuple[Stretch, ...]

    @property
    def is_same(self) -> bool:
        return all(stretch.kind == "same" for stretch in self.changes)


@dataclass(frozen=True, slots=True)
class Rates:
    """Word error rates against the text as people left it; None where nobody has corrected it, or it has no words."""

    first: float | None
    second: float | None


def compare_sides(first: Sequence[Said], second: Sequence[Said]) -> list[Row]:
    """Rows in the order of time. Both are ordered by their start."""
    rows: list[Row] = []
    both = sorted(
        [(said, 0) for said in first] + [(said, 1) for said in second], key=lambda pair: (pair[0].start_ms, pair[1])
    )
    group: list[tuple[Said, int]] = []
    end_ms = 0
    for said, side in both:
        if group and said.start_ms >= end_ms - TOLERANCE_MS:
            rows.append(_row(group, end_ms))
            group = []
            end_ms = 0
        group.append((said, side))
        end_ms = max(end_ms, said.end_ms)
    if group:
        rows.append(_row(group, end_ms))
    return rows


def _row(group: Sequence[tuple[Said, int]], end_ms: int) -> Row:
    first, second = (" ".join(said.text for said, side in group if side == wanted) for wanted in (0, 1))
    return Row(group[0][0].start_ms, end_ms, first, second, tuple(compare_texts(first, second)))


def rate(first: Iterable[Said], second: Iterable[Said], reference: str | None) -> Rates:
    """reference: the corrected text; None where there is none."""
    if reference is None:
        return Rates(None, None)
    return Rates(word_error_rate(_text(first), reference), word_error_rate(_text(second), reference))


def _text(transcript: Iterable[Said]) -> str:
    return " ".join(said.text for said in transcript)
