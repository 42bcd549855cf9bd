"""The measured parts of a page, each between two markers, so that a run can renew its own and touch nothing else."""

from __future__ import annotations


def begin_marker(name: str) -> str:
    return f"<!-- begin: {name} -->"


END_MARKER = "<!-- end -->"


class MissingMarker(Exception):
    """The page has no such part. Put the two markers where it should be."""


def renew(page: str, name: str, content: str) -> str:
    """The page with content in the place of what stands between the markers of this name.

    Raises MissingMarker.
    """
    before, begin, rest = page.partition(begin_marker(name))
    _, end, after = rest.partition(END_MARKER)
    if not begin or not end:
        raise MissingMarker(f"{begin_marker(name)} ... {END_MARKER}")
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
