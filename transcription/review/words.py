"""Texts as words: where they begin and how they compare. Without spaces, each character is a word. Pure."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

# Han, Hiragana, Katakana: each character is a word of its own, with the marks that follow it.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARKS = "\u3000-\u303f\uff00-\uff0f\uff1a-\uff20"
_WORD = re.compile(rf"[{_UNSPACED}][{_MARKS}]*|[^\s{_UNSPACED}]+")


# Of the words of a language the few that are said all the time make most of a transcript.
PLAIN_WORDS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text. at: its first character there. end_ms >= start_ms.

    confidence: 0.0 to 1.0, None where the machine gave none. is_heard: the machine heard it there.
    """

    text: str
    at: int
    start_ms: int
    end_ms: int
    confidence: float | None = None
    is_heard: bool = True
    speaker: str | None = None

    @property
    def end(self) -> int:
        return self.at + len(self.text)


def find_words(text: str) -> list[tuple[int, str]]:
    """The words of a text, each with the place of its first character."""
    return [(match.start(), match.group()) for match in _WORD.finditer(text)]


def split_words(text: str) -> list[str]:
    return _WORD.findall(text)


@functools.lru_cache(maxsize=PLAIN_WORDS_KEPT)
def plain(word: str) -> str:
    """A word without case and punctuation, for telling corrections from what was heard."""
    return "".join(character for character in word.casefold() if character.isalnum()) or word


def join_texts(first: str, second: str) -> str:
    """Two texts one after the other, with a space between them where their scripts have one."""
    first, second = first.rstrip(), second.lstrip()
    if not first or not second:
        return first or second
    is_unspaced = re.match(f"[{_UNSPACED}]", second) and re.search(f"[{_UNSPACED}{_MARKS}]$", first)
    return first + ("" if is_unspaced else " ") + second
