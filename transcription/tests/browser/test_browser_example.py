"""The page of `examples/`, on an origin of its own, in a browser whose microphone plays a clip."""

from __future__ import annotations

import functools
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from speechsite.config import BASE_DIR
from speechsite.tests.migrated import copy_migrated
from speechsite.tests.served import Served
from transcription.tests.browser.conftest import ACTION_TIMEOUT_MS, Watch
from transcription.tests.browser.proxy_thread import FAILING_CONNECTIONS, ProxyThread

WORDS_TIMEOUT_MS = 45_000

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder as another web server would serve it, at an origin of its own."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `examples/` as somebody took them to a site of their own."""
    return shutil.copytree(BASE_DIR / "examples", tmp_path_factory.mktemp("site") / "examples")


@pytest.fixture(scope="module")
def examples_url(examples: Path) -> Iterator[str]:
    with serving(examples) as url:
        yield url


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, examples_url: str) -> Iterator[Served]:
    """A service that allows that origin."""
    data_dir = tmp_path_factory.mktemp("service")
    copy_migrated(data_dir)
    with Served(data_dir, DATABASE_URL="", ALLOWED_ORIGINS=examples_url) as served:
        yield served


def test_the_page_of_another_site_shows_what_is_said(
    service: Served, examples_url: str, speaking_browser: Browser, watch: Watch
) -> None:
    with speaking_browser.new_context() as context:
        context.set_default_timeout(ACTION_TIMEOUT_MS)
        page = context.new_page()
        watch.follow(page)
        watch.expect("favicon.ico")
        page.goto(f"{examples_url}/browser.html")
        page.fill("#site", service.url)
        page.click("#start")
        expect(page.locator("#status")).to_have_text("Speak now.", timeout=WORDS_TIMEOUT_MS)
        expect(page.locator("#final")).to_contain_text("can do for your country", timeout=WORDS_TIMEOUT_MS)
        page.click("#stop")
        expect(page.locator("#status")).to_have_text("Done.", timeout=WORDS_TIMEOUT_MS)
        assert page.locator("#interim").text_content() == ""
    assert '"state": "completed"' in service.get("/api/v1/sessions")[1]


def test_the_shortest_page_runs_on_another_site_as_it_was_copied(
    service: Served, examples: Path, examples_url: str, speaking_browser: Browser, watch: Watch
) -> None:
    with speaking_browser.new_context(permissions=["clipboard-read", "clipboard-write", "microphone"]) as context:
        context.set_default_timeout(ACTION_TIMEOUT_MS)
        page = context.new_page()
        page.goto(f"{service.url}/api/")
        page.click("#tab-code")
        page.click("#code-browser")
        page.click("[data-code-copy]")
        expect(page.locator("[data-code-copy]")).to_have_text("Copied")
        (examples / "copied.html").write_text(page.evaluate("navigator.clipboard.readText()"))
        watch.follow(page)
        watch.expect("favicon.ico")
        page.goto(f"{examples_url}/copied.html")
        page.click("#start")
        expect(page.locator("#final")).to_contain_text("can do for your country", timeout=WORDS_TIMEOUT_MS)
        page.click("#stop")


def test_the_page_of_another_site_goes_on_after_a_lost_connection(
    service: Served, examples_url: str, speaking_browser: Browser, watch: Watch
) -> None:
    with ProxyThread(service.url) as proxy, speaking_browser.new_context() as context:
        context.set_default_timeout(ACTION_TIMEOUT_MS)
        page = context.new_page()
        watch.follow(page)
        watch.expect("favicon.ico", *FAILING_CONNECTIONS)
        page.goto(f"{examples_url}/browser.html")
        page.fill("#site", proxy.url)
        page.click("#start")
        expect(page.locator("#final")).to_contain_text(re.compile(r"\w"), timeout=WORDS_TIMEOUT_MS)
        proxy.cut()
        expect(page.locator("#status")).to_contain_text("Connecting again")
        proxy.heal()
        expect(page.locator("#status")).to_have_text("Connected again.", timeout=WORDS_TIMEOUT_MS)
        expect(page.locator("#final")).to_contain_text("can do for your country", timeout=WORDS_TIMEOUT_MS)
        expect(page.locator("#final")).to_contain_text("country can do for you")
        page.click("#stop")
        expect(page.locator("#status")).to_have_text("Done.", timeout=WORDS_TIMEOUT_MS)


def test_the_page_of_a_site_that_is_not_allowed_is_told(
    service: Served, speaking_browser: Browser, watch: Watch
) -> None:
    with serving(BASE_DIR / "examples") as other_url, speaking_browser.new_context() as context:
        page = context.new_page()
        watch.follow(page)
        # The browser itself says in its console that the service did not allow the request.
        watch.expect("favicon.ico", "blocked by CORS policy", "net::ERR_FAILED")
        page.goto(f"{other_url}/browser.html")
        page.fill("#site", service.url)
        page.click("#start")
        expect(page.locator("#status")).to_have_text("Failed to fetch", timeout=WORDS_TIMEOUT_MS)
        expect(page.locator("#start")).to_be_enabled()
