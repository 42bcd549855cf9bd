"""The results of the streaming benchmark as the tables and the plot of docs/performance.md.

    python -m benchmarks.report [benchmarks/results/streaming-sqlite.json ...]

Without names all of benchmarks/results/ that the page has a place for.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from benchmarks.document import Document, Part, Row, SaturationPoint
from benchmarks.page import renew
from benchmarks.plot import draw

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance.svg"
# The plot is drawn from this one.
PLOTTED = "streaming-sqlite"
PLOT_LINK = (
    "![CPU per stream-second and p99 added latency against streams, a line for each gateway; the table has the same "
    "figures](images/performance.svg)"
)
SMOOTH_P99_MS = 20.0
SATURATED_P99_MS = 100.0
NOTHING = "-"

COST_HEADINGS = (
    "streams",
    "gateway",
    "ratio",
    "CPU ms per stream-second (min-max)",
    "added latency p50 / p95 / p99, ms",
    "MB per stream",
    "MB idle",
    "errors / lost results",
    "client / Riva, CPU ms",
    "client late p99, ms",
)


def build_report(document: Document) -> str:
    """All that stands between the markers, in Markdown."""
    blocks = [
        f"Measured on {document['date']}: {_listed(document['machine'])}.  \n"
        f"Versions: {_listed(document['versions'])}.",
        cost_table(document["rows"]),
    ]
    if points := document.get("saturation"):
        blocks.append(saturation_table(points))
    if parts := document.get("parts"):
        blocks.append(parts_table(parts))
    if "console" in document or "idle" in document:
        blocks.append(beside_table(document))
    if lacks := lacks_table(document["rows"]):
        blocks.append(lacks)
    return "\n\n".join(blocks)


def cost_table(rows: Iterable[Row]) -> str:
    """Every gateway at every number of streams; the sorting is stable, so gateways keep the order of the run."""
    return table(COST_HEADINGS, [_cost_cells(row) for row in sorted(rows, key=lambda row: row["streams"])])


def saturation_table(points: Iterable[SaturationPoint]) -> str:
    """Up to how many streams each gateway stays quick."""
    by_gateway: dict[str, list[SaturationPoint]] = {}
    for point in points:
        by_gateway.setdefault(point["gateway"], []).append(point)
    return table(
        ("gateway", f"streams at p99 ≤ {SMOOTH_P99_MS:g} ms", f"at p99 ≤ {SATURATED_P99_MS:g} ms", "streams: p99, ms"),
        [
            [
                gateway,
                streams_within(mine, SMOOTH_P99_MS),
                streams_within(mine, SATURATED_P99_MS),
                ", ".join(f"{point['streams']}: {number(point['p99_ms'])}" for point in _by_streams(mine)),
            ]
            for gateway, mine in by_gateway.items()
        ],
    )


def streams_within(points: Iterable[SaturationPoint], p99_ms: float) -> str:
    """The most streams before the first number of streams at which the bound was passed."""
    held = 0
    for point in _by_streams(points):
        if point["p99_ms"] is None or point["p99_ms"] > p99_ms:
            return str(held) if held else NOTHING
        held = point["streams"]
    # Never passed: it may well hold more.
    return f"≥ {held}"


def parts_table(parts: Iterable[Part]) -> str:
    return table(("", "CPU against everything on"), [[part["name"], f"{part['ratio']:.2f}"] for part in parts])


def beside_table(document: Document) -> str:
    """What is not speech: people who watch, and connections that say nothing."""
    rows = []
    if console := document.get("console"):
        name = f"{console['viewers']} operators who watch {console['streams']} live sessions"
        rows.append([name, f"{(console['ratio'] - 1) * 100:+.0f} % CPU"])
    if idle := document.get("idle"):
        rows.append(
            [
                f"{idle['connections']} connections that say nothing",
                f"{number(idle['memory_mb'])} MB (the process: {number(idle['service_mb'])} MB), "
                f"{idle['cpu_percent']:.2f} % of a core ({idle['cpu_percent_without']:.2f} % without them)",
            ]
        )
    return table(("", "cost"), rows)


def lacks_table(rows: Iterable[Row]) -> str:
    """What each gateway does not do; empty if none lacks anything."""
    lacks: dict[str, str] = {}
    for row in rows:
        if row.get("lacks"):
            lacks.setdefault(row["gateway"], row["lacks"])
    return table(("gateway", "what it lacks"), [[*item] for item in lacks.items()]) if lacks else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)


def number(value: float | None) -> str:
    """Three digits, or all before the point."""
    if value is None:
        return NOTHING
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{decimals}f}"


def _cost_cells(row: Row) -> list[str]:
    name = [str(row["streams"]), row["gateway"]]
    if "failure" in row:
        return [*name, f"failed: {row['failure']}", *[NOTHING] * (len(COST_HEADINGS) - 3)]
    cpu, latency = row["cpu_ms_per_stream_s"], row["latency_ms"]
    return [
        *name,
        number(row["ratio"]),
        f"{number(statistics.median(cpu))} ({number(min(cpu))}-{number(max(cpu))})",
        " / ".join(number(value) for value in (latency["p50"], latency["p95"], latency["p99"])),
        f"{row['memory_mb_per_stream']:.3f}",
        f"{row['idle_mb']:.0f}",
        f"{row['errors']} / {row['lost_results']}",
        f"{number(row['client_cpu_ms_per_stream_s'])} / {number(row['riva_cpu_ms_per_stream_s'])}",
        number(row.get("client_late_p99_ms")),
    ]


def _by_streams(points: Iterable[SaturationPoint]) -> list[SaturationPoint]:
    return sorted(points, key=lambda point: point["streams"])


def _listed(facts: dict[str, str | int | None] | dict[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


def publish(results: Iterable[Path], *, page: Path = PAGE, plot: Path = PLOT) -> None:
    """Write each result into its part of the page, and the plot. Raises page.MissingMarker."""
    text = page.read_text(encoding="utf-8")
    for path in results:
        document = cast(Document, json.loads(path.read_text(encoding="utf-8")))
        report = build_report(document)
        if path.stem == PLOTTED:
            report = f"{PLOT_LINK}\n\n{report}"
            plot.parent.mkdir(parents=True, exist_ok=True)
            plot.write_text(draw(document["rows"]), encoding="utf-8")
        text = renew(text, path.stem, report)
    page.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="renew docs/performance.md")
    parser.add_argument("results", nargs="*", type=Path)
    publish(parser.parse_args().results or sorted(RESULTS.glob("streaming-*.json")))


if __name__ == "__main__":
    main()
