"""`python -m benchmarks.first_paint`: when people see the pages of a large archive, in Chromium from a running service.

The database is the one that `benchmarks.storage` filled, or a small one that is filled now. For each page: the time to
the first byte of its answer as the browser sees it, the time to its first contentful paint, and its size, as medians.
Style sheets and scripts are in the browser's cache, as they are from the second page on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.commits import fill_unless_filled
from benchmarks.setup import set_up_django
from benchmarks.storage import RESULTS, database_version
from speechsite.tests.chromium import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

REPEATS = 9
WIDTH, HEIGHT = 1360, 900
PAINT_TIMEOUT_MS = 30_000
# Nobody speaks here, so no recogniser is needed.
NO_RECOGNISER = "127.0.0.1:1"
OBSERVE = """timeout_ms => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error("nothing was painted")), timeout_ms);
  new PerformanceObserver(list => {
    const [paint] = list.getEntriesByName("first-contentful-paint");
    const [page] = performance.getEntriesByType("navigation");
    if (paint) resolve({
      first_byte_ms: page.responseStart - page.requestStart,
      first_paint_ms: paint.startTime,
      size_bytes: page.decodedBodySize,
    });
  }).observe({type: "paint", buffered: true});
})"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.first_paint", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="of a SQLite file that exists")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="speechsite-paint-") as temporary:
        folder = arguments.folder or Path(temporary)
        set_up_django(arguments.database, folder)
        fill_unless_filled()
        # Before Playwright, in whose thread Django refuses to use the database.
        cookie, pages, export, about = session_cookie(), page_addresses(), export_address(), describe()
        with served(folder) as url, browsing(url, cookie) as context:
            load = os.getloadavg()[0]
            rows = list(measure_pages(context, pages, arguments.repeats))
            rows.append(measure_download(context, "export of 4 h as JSON", export, arguments.repeats))
            browser = context.browser.version if context.browser else ""
    about["machine"]["load"] = round(load, 1)
    about["versions"]["chromium"] = browser
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"first-paint-{arguments.database}.json"
    path.write_text(json.dumps({**about, "pages": rows}, indent=1) + "\n")
    print(f"\n{path}")
    return 0


def describe() -> dict[str, Any]:
    import django

    from transcription.models import TranscriptionSession, TranscriptSegment

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            "database": database_version(),
        },
        "sessions": TranscriptionSession.objects.count(),
        "segments": TranscriptSegment.objects.count(),
    }


def session_cookie() -> tuple[str, str]:
    """Its name and value: of somebody who may see everything, logged in."""
    from django.conf import settings

    from benchmarks.archive import BOSS
    from benchmarks.storage_cases import log_in

    name = settings.SESSION_COOKIE_NAME
    return name, log_in(BOSS).cookies[name].value


def page_addresses() -> dict[str, str]:
    """What each page is called in the results, and where it is."""
    from django.urls import reverse
    from django.utils.http import urlencode

    from benchmarks.archive import BIG_SESSION, DAYS, RARE_WORD
    from benchmarks.storage_cases import PAGE, SEGMENTS, SESSIONS, end_of_page
    from transcription.search.session_list import make_place

    console, numbers = reverse("sessions"), reverse("day_numbers")
    since = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=DAYS)).date().isoformat()

    def past(**query: str) -> str:
        return f"{console}?{urlencode(query)}"

    return {
        "past sessions, first page": console,
        f"past sessions, page {PAGE}": past(before=make_place(end_of_page(PAGE - 1))),
        "past sessions, a rare state": past(state="detached"),
        "search for a rare word": past(q=RARE_WORD),
        "search for “the”": past(q="the"),
        "review of a session of 2,000 segments": reverse("session", kwargs={"public_id": BIG_SESSION}),
        "numbers of a year": f"{numbers}?{urlencode({'since': since})}",
        "numbers of a year by day": f"{numbers}?{urlencode({'since': since, 'by': 'day'})}",
        "admin: sessions": SESSIONS,
        "admin: segments": SEGMENTS,
    }


def export_address() -> str:
    from django.urls import reverse

    from benchmarks.archive import LONG_SESSION

    return reverse("session_export", kwargs={"public_id": LONG_SESSION, "format": "json"})


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`manage.py serve` on this database. Gives its address."""
    from speechsite.tests.served import Served

    settings = {name: os.environ[name] for name in ("DATABASE_URL", "ENV_FILE")}
    with Served(folder, RIVA_SERVER=NO_RECOGNISER, ALLOWED_HOSTS="127.0.0.1", **settings) as service:
        yield service.url


@contextmanager
def browsing(url: str, cookie: tuple[str, str]) -> Iterator[BrowserContext]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=url, viewport={"width": WIDTH, "height": HEIGHT})
        context.set_default_timeout(PAINT_TIMEOUT_MS)
        context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": url}])
        yield context
        browser.close()


def measure_pages(context: BrowserContext, pages: dict[str, str], repeats: int) -> Iterator[dict[str, Any]]:
    """The first visit is not counted: it fills caches."""
    print(f"{'page':<42}{'first byte':>12}{'first paint':>13}{'size':>10}")
    for name, address in pages.items():
        visits = [visit(context, address) for _ in range(repeats + 1)][1:]
        row: dict[str, Any] = {key: round(statistics.median(each[key] for each in visits)) for key in visits[0]}
        print(
            f"{name:<42}{row['first_byte_ms']:>9} ms{row['first_paint_ms']:>10} ms{row['size_bytes'] / 1000:>7.0f} kB",
            flush=True,
        )
        yield {"name": name, **row}


def visit(context: BrowserContext, address: str) -> dict[str, float]:
    page = context.new_page()
    try:
        answer = page.goto(address, wait_until="commit")
        assert answer is not None, address
        assert answer.status == 200, (address, answer.status)
        assert "/login/" not in page.url
        measured: dict[str, float] = page.evaluate(OBSERVE, PAINT_TIMEOUT_MS)
        return measured
    finally:
        page.close()


def measure_download(context: BrowserContext, name: str, address: str, repeats: int) -> dict[str, Any]:
    times_ms, size_bytes = [], 0
    for _ in range(repeats + 1):
        started = time.perf_counter()
        answer = context.request.get(address)
        assert answer.ok, answer.status
        size_bytes = len(answer.body())
        times_ms.append((time.perf_counter() - started) * 1000)
        answer.dispose()
    total_ms = round(statistics.median(times_ms[1:]))
    print(f"{name:<42}{total_ms:>9} ms{'':>13}{size_bytes / 1000:>7.0f} kB", flush=True)
    return {"name": name, "total_ms": total_ms, "size_bytes": size_bytes}


if __name__ == "__main__":
    sys.exit(main())
