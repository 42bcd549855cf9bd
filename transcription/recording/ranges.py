"""Which bytes of a file a request asks for. Pure. Source: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import re

RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,19})\s*-\s*(\d{1,19})?|-\s*(\d{1,19}))\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """No byte of the file is among those asked for: 416."""


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The bytes [start, end); None: the whole file, also where several ranges or something else is asked for.

    Raises Unsatisfiable.
    """
    match = RANGE.fullmatch((header or "").strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = size_bytes - min(int(suffix), size_bytes), size_bytes
    else:
        start, end = int(first), size_bytes if last is None else min(int(last) + 1, size_bytes)
        if last is not None and int(last) < start:
            # No range at all, and to be ignored.
            return None
    if start >= end:
        raise Unsatisfiable
    return start, end


def has_tag(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match names the tag of what there is."""
    tags = [part.strip().removeprefix("W/") for part in (header or "").split(",")]
    return "*" in tags or tag in tags
