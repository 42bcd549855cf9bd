"""Word times where the model gives none: spread over the speech the detector found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """start_ms and end_ms count from the beginning of the stream; they are estimates."""

    text: str
    start_ms: int
    end_ms: int


def spread_words(text: str, voiced_ms: Sequence[tuple[float, float]]) -> list[Word]:
    """Give each word of `text` a share of the voiced time by its length in characters.

    voiced_ms: (begin, end) runs of speech in ms, in order, not overlapping. Without any the words
    have no place and the list is empty.
    """
    parts = text.split()
    total_ms = sum(end - begin for begin, end in voiced_ms)
    if not parts or total_ms <= 0:
        return []
    # One more for the gap after each word, so that "a" is not over before it begins.
    weights = [len(part) + 1 for part in parts]
    scale = total_ms / sum(weights)
    words, used = [], 0.0
    for part, weight in zip(parts, weights, strict=True):
        start = _place(used, voiced_ms, at_end=False)
        used += weight * scale
        words.append(Word(part, round(start), round(max(start, _place(used, voiced_ms, at_end=True)))))
    return words


def _place(voiced: float, runs: Sequence[tuple[float, float]], at_end: bool) -> float:
    """The moment at which `voiced` ms of speech have been heard; on a border, before or after the gap."""
    for begin, end in runs:
        length = end - begin
        if voiced < length or (at_end and voiced <= length + 1e-6):
            return min(begin + voiced, end)
        voiced -= length
    return runs[-1][1]
