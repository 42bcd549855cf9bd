"""Times counted by how long they are, so that percentiles of many days can be had from few numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

# Bounds of neighbouring buckets differ by 9 %, so what is read from one is right to 4.5 %.
BUCKETS_PER_DOUBLING = 8
# 2 ** 22 ms is more than an hour; whatever takes longer is counted there.
LAST_BUCKET = 22 * BUCKETS_PER_DOUBLING

Histogram = dict[str, int]


def bucket_of(time_ms: int) -> str:
    """As the keys of JSON objects are: texts."""
    if time_ms <= 1:
        return "0"
    return str(min(LAST_BUCKET, round(BUCKETS_PER_DOUBLING * math.log2(time_ms))))


def add(total: Histogram, other: Mapping[str, int], sign: int = 1) -> None:
    """Add the counts of the other (or take them away, with sign -1)."""
    if sign > 0:
        for bucket, count in other.items():
            total[bucket] = total.get(bucket, 0) + count
        return
    for bucket, count in other.items():
        left = total.get(bucket, 0) + sign * count
        if left > 0:
            total[bucket] = left
        else:
            total.pop(bucket, None)


def merge(histograms: Iterable[Mapping[str, int]]) -> Histogram:
    total: Histogram = {}
    for histogram in histograms:
        add(total, histogram)
    return total


def percentile_ms(histogram: Mapping[str, int], share: float) -> int | None:
    """The time that this share (0.0-1.0) of the counted did not exceed, to 4.5 %; None where nothing was counted."""
    total = sum(histogram.values())
    if not total:
        return None
    rank, passed = min(total - 1, int(total * share)), 0
    for bucket in sorted(map(int, histogram)):
        passed += histogram[str(bucket)]
        if passed > rank:
            break
    return round(2 ** (bucket / BUCKETS_PER_DOUBLING))
