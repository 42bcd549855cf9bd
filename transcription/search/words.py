"""Words as the full-text index has them: in lower case, without the marks of Latin letters. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata

WORD = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_LATIN_MARKS = re.compile("([a-z])[\u0300-\u036f]+")


def fold(text: str) -> str:
    """Lower case, without the diacritics of Latin letters."""
    return unicodedata.normalize("NFC", _LATIN_MARKS.sub(r"\1", unicodedata.normalize("NFD", text.lower())))


def text_has_words(text: str, terms: str) -> bool:
    """Whether a text has a word that begins with each of terms, which have spaces between: for SQLite.

    It decides as the index does, a row at a time.
    """
    folded = text.lower() if text.isascii() else fold(text)
    return all(pattern.search(folded) for pattern in _patterns(terms))


@functools.lru_cache(maxsize=64)
def _patterns(terms: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?<![^\W_])(?<![\u0300-\u036f]){re.escape(term)}") for term in terms.split(" "))
