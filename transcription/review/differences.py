"""Two texts beside each other, word by word. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from transcription.review.alignment import matching_blocks
from transcription.review.words import find_words


class Stretch(NamedTuple):
    """A stretch of either text or both. The texts of `same` and `removed` are the old one, of `same` and `added` the
    new one, white space included, except that `same` has the new one's."""

    kind: Literal["same", "removed", "added"]
    text: str


def compare_texts(old: str, new: str) -> list[Stretch]:
    """What became of a text. Words differ by case and punctuation too."""
    old_words, new_words = find_words(old), find_words(new)
    stretches: list[Stretch] = []
    old_at = new_at = 0
    blocks = matching_blocks([word for _at, word in old_words], [word for _at, word in new_words])
    for block in blocks:
        stretches += _changed(old, old_words, old_at, block.old_at, new, new_words, new_at, block.new_at)
        last = block.new_at + block.size
        stretches.append(Stretch("same", _cut(new, new_words, block.new_at, last)))
        old_at, new_at = block.old_at + block.size, last
    stretches += _changed(old, old_words, old_at, len(old_words), new, new_words, new_at, len(new_words))
    return [stretch for stretch in stretches if stretch.text]


def _changed(
    old: str, old_words: list[tuple[int, str]], old_at: int, old_to: int,
    new: str, new_words: list[tuple[int, str]], new_at: int, new_to: int,
) -> list[Stretch]:  # fmt: skip
    return [
        Stretch("removed", _cut(old, old_words, old_at, old_to)),
        Stretch("added", _cut(new, new_words, new_at, new_to)),
    ]


def _cut(text: str, words: list[tuple[int, str]], first: int, last: int) -> str:
    """The words from first to before last, with the white space behind them."""
    if first == last:
        return ""
    end = words[last][0] if last < len(words) else len(text)
    return text[words[first][0] : end]
