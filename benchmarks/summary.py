"""From single runs to rows: medians over the repeats, and ratios to the article's design in the same repeat."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.gateways import ARTICLE_FASTAPI, Gateway
from benchmarks.runner import Measured


def summarise(runs: Sequence[Measured], gateways: Sequence[Gateway]) -> list[dict[str, Any]]:
    """One row for each gateway and number of streams. runs: those that failed have a `failure`."""
    rows = []
    for streams in sorted({run["streams"] for run in runs}):
        here = [run for run in runs if run["streams"] == streams]
        base = {run["repeat"]: run for run in here if run["gateway"] == ARTICLE_FASTAPI.name and is_good(run)}
        for gateway in gateways:
            mine = [run for run in here if run["gateway"] == gateway.name]
            good = [run for run in mine if is_good(run)]
            if good:
                rows.append(_row(gateway, streams, good, base))
            elif mine:
                rows.append({"gateway": gateway.name, "streams": streams, "failure": mine[0]["failure"]})
    return rows


def _row(gateway: Gateway, streams: int, good: list[Measured], base: dict[int, Measured]) -> dict[str, Any]:
    ratios = [
        run["cpu_ms_per_stream_s"] / base[run["repeat"]]["cpu_ms_per_stream_s"] for run in good if run["repeat"] in base
    ]
    own_ms = _median(good, "riva_own_mean_ms")
    return {
        "gateway": gateway.name,
        "streams": streams,
        "repeats": len(good),
        "cpu_ms_per_stream_s": [run["cpu_ms_per_stream_s"] for run in good],
        "ratio": statistics.median(ratios) if ratios else None,
        "latency_ms": _added_ms(good, "latency_ms", own_ms),
        "final_latency_ms": _added_ms(good, "final_latency_ms", own_ms),
        "riva_own_ms": own_ms,
        "memory_mb_per_stream": _median(good, "memory_mb_per_stream"),
        "idle_mb": _median(good, "idle_mb"),
        "client_cpu_ms_per_stream_s": _median(good, "client_cpu_ms_per_stream_s"),
        "riva_cpu_ms_per_stream_s": _median(good, "riva_cpu_ms_per_stream_s"),
        "client_late_p99_ms": statistics.median(run["late_ms"]["p99"] for run in good),
        "results_per_stream_s": _median(good, "results_per_stream_s"),
        "errors": sum(run["errors"] for run in good),
        "lost_results": sum(run["lost_finals"] for run in good),
        "repeated_results": sum(run["repeated_finals"] for run in good),
        "lacks": gateway.lacks,
    }


def _added_ms(good: list[Measured], name: str, own_ms: float) -> dict[str, float]:
    """Medians of each percentile, less the scripted Riva's own time."""
    return {
        percentile: max(0.0, statistics.median(run[name][percentile] for run in good) - own_ms)
        for percentile in ("p50", "p95", "p99")
    }


def is_good(run: Measured) -> bool:
    return "failure" not in run


def _median(runs: list[Measured], name: str) -> float:
    return float(statistics.median(run[name] for run in runs))
