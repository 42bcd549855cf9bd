"""Which bytes of which part make up a session's audio. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Spanned(Protocol):
    """Audio bytes [start, end) as somebody wrote them in an epoch."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def epoch(self) -> int: ...


P = TypeVar("P", bound=Spanned)
Span = tuple[int, int]


def plan(parts: Sequence[P], *, first: int = 0, last: int | None = None) -> list[tuple[P | None, int, int]]:
    """What to read for [first, last), in order: a part and the positions [start, end), or None where there is none.

    last: None: as far as any part reaches. Of parts that overlap the one of the latest epoch counts: its client has
    sent these bytes again, and knew what they are.
    """
    end = last if last is not None else max((part.end for part in parts), default=first)
    pieces: list[tuple[P | None, int, int]] = []
    cuts = sorted({first, end, *(cut for part in parts for cut in (part.start, part.end) if first < cut < end)})
    for start, stop in itertools.pairwise(cuts):
        covering = [part for part in parts if part.start <= start and stop <= part.end]
        best = max(covering, key=lambda part: (part.epoch, part.start), default=None)
        if pieces and pieces[-1][0] is best:
            pieces[-1] = (best, pieces[-1][1], stop)
        else:
            pieces.append((best, start, stop))
    return pieces


def missing(parts: Sequence[Spanned], end: int) -> list[Span]:
    """Spans of [0, end) that no part has."""
    return [(start, stop) for part, start, stop in plan(parts, last=end) if part is None]


def is_within(spans: Sequence[Span], allowed: Sequence[Span]) -> bool:
    """Whether each span lies in one of the allowed ones, which are joined where they touch."""
    joined: list[Span] = []
    for start, end in sorted((start, end) for start, end in allowed):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return all(any(start <= first and last <= end for start, end in joined) for first, last in spans)
