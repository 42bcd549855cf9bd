"""Bars as one path of an SVG, in a box that is stretched to its place. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Of the room of a line: its bar and what is beside it. Whole numbers, for a year of days is in the page nine times.
BAR, GAP = 8, 2
HEIGHT = 200
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Chart(NamedTuple):
    """top: the value at the upper edge; 0 is at the lower one. The box is width by HEIGHT, the ground at y = 0.

    outer, inner: paths; inner of a second measure, in front of the first.
    """

    top: float
    width: int
    outer: str
    inner: str


def draw(outer: Sequence[float | None], inner: Sequence[float | None] = ()) -> Chart:
    """A bar for each value, none where there is no value or it is 0."""
    top = round_up(max((value for value in (*outer, *inner) if value is not None), default=0.0))
    return Chart(top, (BAR + GAP) * max(1, len(outer)), bars(outer, top), bars(inner, top))


def bars(values: Sequence[float | None], top: float) -> str:
    """The outline of all bars, from left to right along the ground."""
    steps = []
    skipped = GAP // 2
    for value in values:
        if value:
            # The least there is can still be seen.
            height = max(1, min(HEIGHT, round(HEIGHT * value / top)))
            steps.append(f"h{skipped}V-{height}h{BAR}V0")
            skipped = GAP
        else:
            skipped += BAR + GAP
    return f"M0 0{''.join(steps)}" if steps else ""


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, 20 …, which people read easily; 1 for nothing."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in STEPS if step * scale >= value * (1 - 1e-9))


def share_of(value: float | None, top: float) -> float:
    """How long a bar is, 0-100."""
    return round(100 * min(1.0, (value or 0.0) / top), 2)
