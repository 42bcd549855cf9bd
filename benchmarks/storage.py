"""`python -m benchmarks.storage`: what listing, searching, exporting and deleting cost in a large database.

Fills a database (once, if --folder or the PostgreSQL stays) and prints the best time, the median and the 95th
percentile of each case in ms, with its number of SQL statements. On a machine that does other things the best time
tells most. `make bench-storage` gives it a PostgreSQL with DB=postgres.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.setup import set_up_django

if TYPE_CHECKING:
    from benchmarks.storage_cases import Case

RESULTS = Path(__file__).parent / "results"
REPEATS = 15
EXPORT_REPEATS = 5
# A case that is slow is not repeated for longer.
MAX_CASE_S = 12.0


@dataclass(frozen=True, slots=True)
class Result:
    """failure: why there are no times. statements: SQL statements of one run."""

    group: str
    name: str
    best_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    statements: int | None = None
    failure: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.storage", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--segments", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--folder", type=Path, help="where SQLite's file is kept for the next run")
    parser.add_argument("--only", default="", help="cases whose group or name has this text")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="speechsite-storage-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        set_up_django(arguments.database, folder)
        filled_s = fill_once(arguments.sessions, arguments.segments)
        results = list(run_cases(arguments.repeats, arguments.only))
        exports = run_exports(min(EXPORT_REPEATS, arguments.repeats)) if arguments.only in "exports" else []
    report = {
        "database": database_version(),
        "sessions": arguments.sessions,
        "segments": arguments.segments,
        "filled_s": filled_s,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "cases": [asdict(result) for result in results],
        "exports": exports,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"storage-{arguments.database}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{path}")
    return 1 if any(result.failure for result in results) else 0


def fill_once(sessions: int, segments: int) -> float | None:
    """Seconds that filling took; None where the database had been filled before."""
    from benchmarks import archive

    if archive.is_filled(sessions):
        return None
    print(f"Filling: {sessions:,} sessions, {segments:,} segments ...", flush=True)
    started = time.perf_counter()
    archive.fill(sessions, segments)
    return round(time.perf_counter() - started, 1)


def database_version() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        return f"{connection.display_name} {cursor.fetchone()[0]}"


def run_cases(repeats: int, only: str = "") -> Iterator[Result]:
    from benchmarks.storage_cases import Statements, all_cases

    Statements.start_counting()
    print(f"\n{'case':<66}{'best':>9}{'median':>9}{'p95':>9}{'SQL':>5}")
    for case in all_cases():
        if only not in f"{case.group}: {case.name}":
            continue
        result = measure(case, repeats)
        times = result.failure or (
            f"{result.best_ms:>9.1f}{result.median_ms:>9.1f}{result.p95_ms:>9.1f}{result.statements:>5}"
        )
        print(f"{case.group + ': ' + case.name:<66}{times}", flush=True)
        yield result


def measure(case: Case, repeats: int) -> Result:
    """The first run is not counted: it fills caches."""
    from django.db.utils import Error

    from benchmarks.storage_cases import Failed, Statements

    times_ms: list[float] = []
    try:
        case.prepare()
        before = Statements.count
        case.run()
        statements = Statements.count - before
        deadline = time.perf_counter() + MAX_CASE_S
        while len(times_ms) < repeats and (time.perf_counter() < deadline or not times_ms):
            case.prepare()
            started = time.perf_counter()
            case.run()
            times_ms.append((time.perf_counter() - started) * 1000)
    except (Failed, Error) as error:
        return Result(case.group, case.name, failure=f"{type(error).__name__}: {error}")
    return Result(
        case.group,
        case.name,
        best_ms=round(min(times_ms), 2),
        median_ms=round(statistics.median(times_ms), 2),
        p95_ms=round(percentile(times_ms, 95), 2),
        statements=statements,
    )


def percentile(values: list[float], per_cent: float) -> float:
    """The smallest value that so many per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(len(ordered) * per_cent) // 100) - 1))]


def run_exports(repeats: int) -> list[dict[str, Any]]:
    """Downloads of an hour and of four: only the time and the size may grow."""
    from benchmarks.archive import LONG_SESSION, QUARTER_SESSION
    from benchmarks.storage_exports import download
    from transcription.exports import CONTENT_TYPES

    print(f"\n{'export':<30}{'first byte':>12}{'all':>9}{'size':>10}{'peak':>10}")
    rows = []
    for hours, public_id in ((1, QUARTER_SESSION), (4, LONG_SESSION)):
        for format in CONTENT_TYPES:
            asyncio.run(download(public_id, format))
            runs = [asyncio.run(download(public_id, format)) for _ in range(repeats)]
            peak_bytes = asyncio.run(download(public_id, format, is_traced=True)).peak_bytes
            row = {
                "hours": hours,
                "format": format,
                "first_byte_ms": round(statistics.median(run.first_byte_ms for run in runs), 1),
                "total_ms": round(statistics.median(run.total_ms for run in runs), 1),
                "size_bytes": runs[0].size_bytes,
                "peak_bytes": peak_bytes,
            }
            rows.append(row)
            print(
                f"{hours} h as {format:<23}{row['first_byte_ms']:>9} ms{row['total_ms']:>9}"
                f"{runs[0].size_bytes / 1e6:>7.2f} MB{peak_bytes / 1e6:>7.2f} MB",
                flush=True,
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
