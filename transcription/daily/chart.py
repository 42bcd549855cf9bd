"""Bars as an SVG draws them, in a box of WIDTH by HEIGHT that is stretched to its place. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 1000.0, 200.0
# Between bars, of the room each has.
GAP_SHARE = 0.2
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Bar(NamedTuple):
    """A rectangle from the ground up."""

    x: float
    y: float
    width: float
    height: float


class Chart(NamedTuple):
    """top: the value at the upper edge; 0 is at the lower one. inner: of a second measure, in front of the first."""

    top: float
    outer: list[Bar]
    inner: list[Bar]


def draw(outer: Sequence[float | None], inner: Sequence[float | None] = ()) -> Chart:
    """A bar for each value, none where there is no value or it is 0."""
    top = round_up(max((value for value in (*outer, *inner) if value is not None), default=0.0))
    return Chart(top, _bars(outer, top), _bars(inner, top))


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, 20 …, which people read easily; 1 for nothing."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in STEPS if step * scale >= value * (1 - 1e-9))


def share_of(value: float | None, top: float) -> float:
    """How long a bar is, 0-100."""
    return round(100 * min(1.0, (value or 0.0) / top), 2)


def _bars(values: Sequence[float | None], top: float) -> list[Bar]:
    room = WIDTH / max(1, len(values))
    width = room * (1 - GAP_SHARE)
    bars = []
    for number, value in enumerate(values):
        if value:
            height = round(HEIGHT * min(1.0, value / top), 2)
            bars.append(Bar(round(number * room + (room - width) / 2, 2), HEIGHT - height, round(width, 2), height))
    return bars
