from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.document import Document, Row, SaturationPoint
from benchmarks.report import (
    COST_HEADINGS,
    PAGE,
    build_report,
    cost_table,
    lacks_table,
    number,
    publish,
    streams_within,
    table,
)


def row(gateway: str = "speechsite", streams: int = 100, **values: Any) -> Row:
    measured: dict[str, Any] = {
        "repeats": 3,
        "cpu_ms_per_stream_s": [2.3, 1.9, 2.0],
        "ratio": 0.474,
        "latency_ms": {"p50": 3.71, "p95": 5.2, "p99": 10.44},
        "memory_mb_per_stream": 0.121,
        "idle_mb": 62.4,
        "client_cpu_ms_per_stream_s": 0.5,
        "riva_cpu_ms_per_stream_s": 0.625,
        "client_late_p99_ms": 1.5,
        "errors": 0,
        "lost_results": 1,
        "lacks": "",
    }
    return cast(Row, {"gateway": gateway, "streams": streams, **measured, **values})


def point(streams: int, p99_ms: float | None) -> SaturationPoint:
    return {"gateway": "speechsite", "streams": streams, "p99_ms": p99_ms}


DOCUMENT: Document = {
    "machine": {"processor": "x86_64", "cores": 2},
    "versions": {"django": "5.2.19", "fastapi": None},
    "date": "2025-11-25",
    "rows": [row(), row("article-fastapi", ratio=1.0, lacks="stores nothing")],
}


def test_a_row_has_the_median_and_the_range_of_its_repeats() -> None:
    line = cost_table([row()]).splitlines()[2]
    assert line == (
        "| 100 | speechsite | 0.47 | 2.00 (1.90-2.30) | 3.71 / 5.20 / 10.4 | 0.121 | 62 | 0 / 1 | 0.50 / 0.62 | 1.50 |"
    )


def test_rows_go_by_streams_and_keep_their_order_within() -> None:
    lines = cost_table([row("b", 300), row("a", 300), row("b", 50)]).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [["| 50", "b"], ["| 300", "b"], ["| 300", "a"]]


def test_a_failed_run_says_why_in_a_row_of_full_width() -> None:
    line = cost_table([{"gateway": "flask-socketio", "streams": 500, "failure": "timed out"}]).splitlines()[2]
    assert line.startswith("| 500 | flask-socketio | failed: timed out | - |")
    assert line.count("|") == len(COST_HEADINGS) + 1


def test_a_ratio_to_nothing_is_left_open() -> None:
    assert "| speechsite | - |" in cost_table([row(ratio=None)])


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00"), (0.474, "0.47"), (9.994, "9.99"), (10.44, "10.4"), (4071.2, "4071")],
)
def test_a_number_has_three_digits_or_all_before_the_point(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([point(500, 70.0), point(400, 18.0)], "400"),
        ([point(400, 20.0)], "≥ 400"),
        ([point(400, 20.1)], "-"),
        ([point(400, 5.0), point(500, None)], "400"),
        # What held again later was luck.
        ([point(300, 5.0), point(400, 30.0), point(500, 5.0)], "300"),
    ],
)
def test_it_finds_the_most_streams_within_a_bound(points: list[SaturationPoint], text: str) -> None:
    assert streams_within(points, 20.0) == text


def test_what_a_peer_lacks_is_said_once() -> None:
    assert lacks_table([*DOCUMENT["rows"], *DOCUMENT["rows"]]).splitlines()[2:] == [
        "| article-fastapi | stores nothing |"
    ]
    assert lacks_table([row()]) == ""


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(["a"], [["b|c"]]).splitlines()[-1] == "| b\\|c |"


def test_a_report_names_machine_date_and_what_is_installed() -> None:
    report = build_report(DOCUMENT)
    assert "2025-11-25: processor x86_64, cores 2." in report
    assert "Versions: django 5.2.19." in report
    assert "everything on" not in report


def test_a_report_has_saturation_and_parts_where_they_were_measured() -> None:
    report = build_report(
        {**DOCUMENT, "saturation": [point(400, 8.0)], "parts": [{"name": "without storing", "ratio": 0.93}]}
    )
    assert "| speechsite | ≥ 400 | ≥ 400 | 400: 8.00 |" in report
    assert "| without storing | 0.93 |" in report


def test_publishing_renews_the_page_and_draws_the_plot(tmp_path: Path) -> None:
    page, plot = tmp_path / "performance.md", tmp_path / "images" / "performance.svg"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    results = []
    for database in ("sqlite", "postgres"):
        results.append(tmp_path / f"streaming-{database}.json")
        results[-1].write_text(json.dumps({**DOCUMENT, "date": f"of {database}"}))
    publish(results, page=page, plot=plot)
    text = page.read_text(encoding="utf-8")
    assert text.index("images/performance.svg") < text.index("Measured on of sqlite") < text.index("of postgres")
    assert plot.read_text(encoding="utf-8").startswith("<svg")
