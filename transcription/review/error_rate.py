"""The word error rate. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from transcription.review.words import plain, split_words


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """The fewest items to insert, delete or replace so that one becomes the other.

    A row of the table at once, as bits of one number: Hyyrö 2003, "A bit-vector algorithm for computing Levenshtein
    and Damerau edit distances", figure 3.
    """
    if not first or not second:
        return len(first) + len(second)
    places: defaultdict[Hashable, int] = defaultdict(int)
    for number, item in enumerate(first):
        places[item] |= 1 << number
    ones = (1 << len(first)) - 1
    last = 1 << (len(first) - 1)
    plus, minus, distance = ones, 0, len(first)
    for item in second:
        equal = places.get(item, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        up, down = minus | ~(diagonal | plus) & ones, plus & diagonal
        distance += bool(up & last) - bool(down & last)
        up, down = (up << 1) | 1, down << 1
        plus = (down | ~(diagonal | up)) & ones
        minus = up & diagonal & ones
    return distance


def word_errors(text: str, reference: str) -> tuple[int, int]:
    """Wrong words of text, and words of the reference. Case and punctuation do not count; where a script has no
    spaces, each character is a word."""
    words = _comparable(reference)
    return edit_distance(_comparable(text), words), len(words)


def word_error_rate(text: str, reference: str) -> float | None:
    """Word errors over words of the reference (0.06 is 6 %), None where the reference has no words."""
    errors, words = word_errors(text, reference)
    return errors / words if words else None


def _comparable(text: str) -> list[str]:
    return [plain(word) for word in split_words(text) if any(character.isalnum() for character in word)]
