"""CPU and latency against streams, as an SVG that reads on a light page and on a dark one.

The ground is transparent, so every colour has a contrast of at least 3:1 to white and to near-black; gateways differ
by marker and dashes as well as by colour. Written by hand: a plotting library draws for one background.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.document import Row

# Of text and grid.
GREY = "#7a7f86"
COLOURS = ("#2f81f7", "#d1701a", "#a259d9", "#1f9a4c", "#d6488f", "#0f93a8")
DASHES = ("", "7 4", "2 4", "10 4 2 4", "4 2", "12 5")
WIDTH, HEIGHT = 800, 400
LEGEND_Y, LEGEND_STEP, LEGEND_PER_LINE = 22, 20, 4
PANEL_TOP_GAP, PANEL_BOTTOM = 20, 46
PANEL_LEFT, PANEL_WIDTH, PANEL_GAP = 48, 330, 52
SECOND_PANEL_LEFT = PANEL_LEFT + PANEL_WIDTH + PANEL_GAP
MARKER_RADIUS = 5
# Corners in radii from the middle; none: a circle.
MARKERS: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.2), (1.2, 1), (-1.2, 1)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.2), (1.2, -1), (-1.2, -1)),
    ((0, -1.5), (0.8, 0), (0, 1.5), (-0.8, 0)),
)
FONT = "system-ui, sans-serif"

Point = tuple[float, float]
Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Series:
    """One gateway in one panel. points: (streams, value), by streams."""

    gateway: str
    style: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Where a panel lies, and how its values become places."""

    title: str
    left: float
    top: float
    bottom: float
    x: Scale
    y: Scale
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    series: Sequence[Series]


def draw(rows: Iterable[Row]) -> str:
    """Rows that failed have no point."""
    good = sorted((row for row in rows if "failure" not in row), key=lambda row: row["streams"])
    gateways = list(dict.fromkeys(row["gateway"] for row in good))
    legend_lines = math.ceil(len(gateways) / LEGEND_PER_LINE)
    top = LEGEND_Y + legend_lines * LEGEND_STEP + PANEL_TOP_GAP
    cpu = _series(good, gateways, lambda row: statistics.median(row["cpu_ms_per_stream_s"]))
    latency = _series(good, gateways, lambda row: row["latency_ms"]["p99"])
    streams = sorted({float(row["streams"]) for row in good})
    bottom = HEIGHT - PANEL_BOTTOM
    cpu_ticks, latency_ticks = round_steps(max(_values(cpu), default=1.0)), decades(_values(latency))
    panels = [
        Panel(
            title="CPU, ms per stream-second",
            left=PANEL_LEFT,
            top=top,
            bottom=bottom,
            x=_streams_scale(streams, PANEL_LEFT),
            y=linear(0, cpu_ticks[-1], bottom, top),
            x_ticks=streams,
            y_ticks=cpu_ticks,
            series=cpu,
        ),
        Panel(
            title="Added latency p99, ms",
            left=SECOND_PANEL_LEFT,
            top=top,
            bottom=bottom,
            x=_streams_scale(streams, SECOND_PANEL_LEFT),
            y=logarithmic(latency_ticks[0], latency_ticks[-1], bottom, top),
            x_ticks=streams,
            y_ticks=latency_ticks,
            series=latency,
        ),
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONT}" font-size="13" fill="{GREY}">',
        "<title>CPU and added latency against streams</title>",
        f"<desc>{escape(_description(cpu, latency))}</desc>",
        *(_legend(index, gateway) for index, gateway in enumerate(gateways)),
        *(part for panel in panels for part in _draw_panel(panel)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Both ends above 0; what lies beyond them is drawn at them."""
    place = linear(math.log(low), math.log(high), start, end)
    return lambda value: place(math.log(min(max(value, low), high)))


def round_steps(highest: float) -> list[float]:
    """About five round values from 0 to the highest or just above."""
    rough = max(highest, 1e-9) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * index for index in range(math.ceil(highest / step - 1e-9) + 1)] if highest > 0 else [0.0, step]


def decades(values: Iterable[float]) -> list[float]:
    """Powers of ten that enclose the values, at least two."""
    found = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _series(rows: Sequence[Row], gateways: Sequence[str], value: Callable[[Row], float]) -> list[Series]:
    return [
        Series(
            gateway,
            index,
            tuple((float(row["streams"]), value(row)) for row in rows if row["gateway"] == gateway),
        )
        for index, gateway in enumerate(gateways)
    ]


def _values(series: Iterable[Series]) -> list[float]:
    return [value for one in series for _, value in one.points]


def _streams_scale(streams: Sequence[float], left: float) -> Scale:
    """A logarithm, for the levels are about doubled each time; room for the markers at both ends."""
    low, high = (streams[0], streams[-1]) if streams else (1.0, 10.0)
    if low == high:
        low, high = low / 2, high * 2
    return logarithmic(low, high, left + 3 * MARKER_RADIUS, left + PANEL_WIDTH - 3 * MARKER_RADIUS)


def _draw_panel(panel: Panel) -> Iterator[str]:
    right = panel.left + PANEL_WIDTH
    yield _text(panel.left, panel.top - 14, panel.title, weight="600")
    for tick in panel.y_ticks:
        y = panel.y(tick)
        yield (
            f'<line x1="{panel.left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="{GREY}" '
            'stroke-opacity="0.35"/>'
        )
        yield _text(panel.left - 6, y + 4, f"{tick:g}", anchor="end")
    for tick in panel.x_ticks:
        yield _text(panel.x(tick), panel.bottom + 18, f"{tick:g}", anchor="middle")
    yield _text((panel.left + right) / 2, panel.bottom + 36, "streams", anchor="middle")
    for series in panel.series:
        yield from _draw_series(series, panel)


def _draw_series(series: Series, panel: Panel) -> Iterator[str]:
    places = [(panel.x(streams), panel.y(value)) for streams, value in series.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" {_stroke(series.style)}/>'
    for (x, y), (streams, value) in zip(places, series.points, strict=True):
        tip = f"{series.gateway}, {streams:g} streams: {value:.2f} ms"
        yield _marker(series.style, x, y, tip)


def _legend(index: int, gateway: str) -> str:
    x = PANEL_LEFT + index % LEGEND_PER_LINE * (WIDTH - PANEL_LEFT) / LEGEND_PER_LINE
    y = LEGEND_Y + index // LEGEND_PER_LINE * LEGEND_STEP - 4
    return (
        f'<polyline points="{x:.1f},{y:.1f} {x + 36:.1f},{y:.1f}" {_stroke(index)}/>'
        f"{_marker(index, x + 18, y)}{_text(x + 44, y + 4, gateway)}"
    )


def _stroke(style: int) -> str:
    dashes = DASHES[style % len(DASHES)]
    return f'fill="none" stroke="{COLOURS[style % len(COLOURS)]}" stroke-width="2"' + (
        f' stroke-dasharray="{dashes}"' if dashes else ""
    )


def _marker(style: int, x: float, y: float, tip: str = "") -> str:
    """tip: what shows on pointing at it, where the picture is opened by itself."""
    colour = COLOURS[style % len(COLOURS)]
    title = f"<title>{escape(tip)}</title>" if tip else ""
    corners = MARKERS[style % len(MARKERS)]
    if not corners:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{MARKER_RADIUS}" fill="{colour}">{title}</circle>'
    points = " ".join(f"{x + dx * MARKER_RADIUS:.1f},{y + dy * MARKER_RADIUS:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}">{title}</polygon>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _description(cpu: Sequence[Series], latency: Sequence[Series]) -> str:
    """The same figures for those who do not see the lines."""
    return " ".join(
        f"{first.gateway}: "
        + "; ".join(
            f"{streams:g} streams, CPU {ms:.2f} ms, p99 {p99:.1f} ms"
            for (streams, ms), (_, p99) in zip(first.points, second.points, strict=True)
        )
        + "."
        for first, second in zip(cpu, latency, strict=True)
    )
