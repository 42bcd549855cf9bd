"""Find and replace. Pure."""

from __future__ import annotations

import re


def find_places(text: str, wanted: str, *, match_case: bool) -> list[tuple[int, int]]:
    """[start, end) characters of every place where wanted stands; places do not overlap."""
    return [match.span() for match in _pattern(wanted, match_case).finditer(text)] if wanted else []


def replace_all(text: str, wanted: str, by: str, *, match_case: bool) -> tuple[str, int]:
    """The text with by in every place, and how many there were. by is taken as it is."""
    return _pattern(wanted, match_case).subn(lambda _match: by, text) if wanted else (text, 0)


def _pattern(wanted: str, match_case: bool) -> re.Pattern[str]:
    return re.compile(re.escape(wanted), 0 if match_case else re.IGNORECASE)
