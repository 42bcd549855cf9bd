"""Text that no file it is put into can take for anything else. Pure."""

from __future__ import annotations

import re
import unicodedata

# What XML 1.0 cannot hold at all, and what terminals and editors act upon. Line ends and tabs are not among them.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
REPLACEMENT = "\ufffd"
# A spreadsheet takes a cell that begins so for a formula; the wide ones too, in some languages.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_OPENS_EMBEDDING = frozenset("\u202a\u202b\u202d\u202e")
_OPENS_ISOLATE = frozenset("\u2066\u2067\u2068")
_POP_EMBEDDING = "\u202c"
_POP_ISOLATE = "\u2069"
_DIRECTIONAL = _OPENS_EMBEDDING | _OPENS_ISOLATE | {_POP_EMBEDDING, _POP_ISOLATE}


def one_line(text: str) -> str:
    """Text on one line without control characters, whose direction reaches no further than itself."""
    return close_directions(_UNWRITABLE.sub(REPLACEMENT, " ".join(text.split())))


def close_directions(text: str) -> str:
    """Text with every change of direction undone at its end: what stands behind it on the line stays in order."""
    if _DIRECTIONAL.isdisjoint(text):
        return text
    ends: list[str] = []
    for character in text:
        if character in _OPENS_EMBEDDING:
            ends.append(_POP_EMBEDDING)
        elif character in _OPENS_ISOLATE:
            ends.append(_POP_ISOLATE)
        elif character == _POP_EMBEDDING and ends and ends[-1] == _POP_EMBEDDING:
            ends.pop()
        elif character == _POP_ISOLATE and _POP_ISOLATE in ends:
            # It ends the embeddings within as well (UAX 9, X6a).
            while ends.pop() != _POP_ISOLATE:
                pass
    return text + "".join(reversed(ends))


def cell(text: str) -> str:
    """Text for a cell of a spreadsheet: with an apostrophe in front where it would be taken for a formula."""
    clean = close_directions(_UNWRITABLE.sub(REPLACEMENT, text))
    return f"'{clean}" if clean.startswith(FORMULA_BEGINNINGS) else clean


def is_right_to_left(text: str) -> bool:
    """Whether the first letter with a direction is of a script that goes from right to left (UAX 9, P2)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False
