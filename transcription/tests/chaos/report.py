"""What a run shows, as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from transcription.tests.chaos.checker import Verdict
from transcription.tests.chaos.client import Recovery

MAX_SHOWN = 40


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(rows: Iterable[tuple[str, object]]) -> str:
    return "\n".join(f"  {name:<36} {value}" for name, value in rows)


def recovery_rows(recoveries: Iterable[Recovery]) -> list[tuple[str, object]]:
    by_kind: dict[str, list[float]] = {}
    for recovery in recoveries:
        by_kind.setdefault(recovery.kind, []).append(recovery.seconds)
    return [
        (
            f"recovery, {kind} (s)",
            f"p50 {percentile(seconds, 0.5):.2f}  p95 {percentile(seconds, 0.95):.2f}  "
            f"p99 {percentile(seconds, 0.99):.2f}  max {max(seconds):.2f}  of {len(seconds)}",
        )
        for kind, seconds in sorted(by_kind.items())
    ]


def verdict_rows(verdict: Verdict) -> list[tuple[str, object]]:
    others = Counter(v.rule for v in verdict.violations if v.rule not in ("lost", "twice"))
    return [
        ("sessions", verdict.sessions),
        ("words spoken", verdict.words),
        ("words lost", verdict.count("lost")),
        ("words twice", verdict.count("twice")),
        ("other rules broken", ", ".join(f"{rule} {n}" for rule, n in sorted(others.items())) or 0),
    ]


def violations_text(verdict: Verdict) -> str:
    shown = [str(violation) for violation in verdict.violations[:MAX_SHOWN]]
    if len(verdict.violations) > MAX_SHOWN:
        shown.append(f"... and {len(verdict.violations) - MAX_SHOWN} more")
    return "\n".join(shown)
