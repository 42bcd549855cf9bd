"""Speaking on while the connection, the server or the page is lost: every word is in the stored transcript."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from speechsite.tests.served import Served, wait_for
from transcription.tests.browser.conftest import Watch
from transcription.tests.browser.proxy_thread import FAILING_CONNECTIONS, ProxyThread

SPOKEN_TIMEOUT_MS = 40_000
# The clip, 11 s of it. The small model of the tests mishears some words of it, but leaves none out.
SPOKEN = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def proxy(site: Served) -> Iterator[ProxyThread]:
    with ProxyThread(site.url) as proxy:
        yield proxy


def record_until(page: Page, words: str) -> None:
    page.locator("[data-record-button]").click()
    heard(page, words)


def heard(page: Page, words: str) -> None:
    expect(page.locator(".captions-scroller")).to_contain_text(re.compile(words), timeout=SPOKEN_TIMEOUT_MS)


def finish(page: Page) -> list[dict[str, Any]]:
    """Stop and return the stored segments."""
    page.locator("[data-record-button]").click()
    return stored(page)


def stored(page: Page) -> list[dict[str, Any]]:
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    href = page.locator("[data-open]").get_attribute("href") or ""
    answer = page.request.get(f"{href}export.json")
    assert answer.ok
    segments: list[dict[str, Any]] = answer.json()["segments"]
    return segments


def words_of(segments: list[dict[str, Any]]) -> list[str]:
    return re.findall(r"[a-z']+", " ".join(segment["text"] for segment in segments).lower())


def lost_and_added(said: list[str], spoken: list[str]) -> tuple[list[str], list[str]]:
    """Words that have no counterpart in the other; a misheard word has one."""
    lost, added = [], []
    for _tag, a, b, c, d in SequenceMatcher(None, spoken, said, autojunk=False).get_opcodes():
        lost += spoken[a + (d - c) : b]
        added += said[c + (b - a) : d]
    return lost, added


def state_of(page: Page) -> str:
    href = page.locator("[data-open]").get_attribute("href") or ""
    answer = page.request.get(f"/api/v1/sessions/{href.rstrip('/').rpartition('/')[2]}")
    return str(answer.json()["state"])


def test_no_word_is_lost_when_the_network_is_away(
    open_page: OpenPage, speaking_browser: Browser, proxy: ProxyThread, watch: Watch
) -> None:
    watch.expect(*FAILING_CONNECTIONS)
    page = open_page("/", by=speaking_browser, base_url=proxy.url)
    record_until(page, "fellow|country")
    proxy.cut()
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting")
    # Long enough to be spoken into; the clip goes on.
    expect(page.locator("[data-timer]")).to_have_text(re.compile("00:(0[89]|1[0-2])"), timeout=SPOKEN_TIMEOUT_MS)
    proxy.heal()
    notice = re.compile(r"^Back\. \d+ s were sent late\.$")
    expect(page.locator("[data-notice-text]")).to_have_text(notice, timeout=SPOKEN_TIMEOUT_MS)
    heard(page, "do for your country")
    segments = finish(page)
    assert lost_and_added(words_of(segments), SPOKEN.split()) == ([], [])
    shown = page.locator("[data-log] .final").all_inner_texts()
    assert shown == [segment["text"] for segment in segments]
    assert state_of(page) == "completed"


def test_no_word_is_lost_when_the_server_process_dies(
    open_page: OpenPage, speaking_browser: Browser, site: Served, watch: Watch
) -> None:
    watch.expect(*FAILING_CONNECTIONS)
    page = open_page("/", by=speaking_browser)
    record_until(page, "fellow|country")
    for pid in site.children("speechsite.server"):
        os.kill(pid, signal.SIGKILL)
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting")
    heard(page, "do for your country")
    segments = finish(page)
    assert lost_and_added(words_of(segments), SPOKEN.split()) == ([], [])
    wait_for(site.is_ready, "the service is ready for the next test")


def test_a_stop_without_a_network_is_finished_when_it_is_back(
    open_page: OpenPage, speaking_browser: Browser, proxy: ProxyThread, watch: Watch
) -> None:
    watch.expect(*FAILING_CONNECTIONS)
    page = open_page("/", by=speaking_browser, base_url=proxy.url)
    record_until(page, "fellow|country")
    proxy.cut()
    expect(page.locator("[data-timer]")).to_have_text(re.compile("00:1[1-4]"), timeout=SPOKEN_TIMEOUT_MS)
    page.locator("[data-record-button]").click()
    expect(page.locator("[data-record-button]")).to_have_attribute("aria-disabled", "true")
    proxy.heal()
    segments = stored(page)
    assert lost_and_added(words_of(segments), SPOKEN.split()) == ([], [])
    assert state_of(page) == "completed"


def test_a_recording_goes_on_into_its_transcript_after_a_reload(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/", by=speaking_browser)
    record_until(page, "country can do for you")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.get_by_role("button", name="Recover").click()
    segments = stored(page)
    said = words_of(segments)
    assert " ".join(said).find("country can do for you") > 0
    # What came after was not said to anybody any more.
    assert lost_and_added(said, SPOKEN.split()[: len(said)]) == ([], [])
    assert state_of(page) == "completed"
    assert [segment["text"] for segment in segments] == page.locator("[data-log] .final").all_inner_texts()


def test_a_recording_survives_the_crash_of_its_page(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/", by=speaking_browser)
    record_until(page, "country can do for you")
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")
    again = page.context.new_page()
    again.goto("/")
    again.get_by_role("button", name="Recover").click()
    said = words_of(stored(again))
    # The last fifth of a second may be lost with the page, and a word with it.
    assert " ".join(said).find("country can do") > 0
    assert lost_and_added(said, SPOKEN.split()[: len(said)]) == ([], [])


def test_a_connection_that_goes_silent_is_given_up(
    open_page: OpenPage, speaking_browser: Browser, proxy: ProxyThread, watch: Watch
) -> None:
    """Nobody says that it is gone: acknowledgements stay away, and that is all."""
    watch.expect(*FAILING_CONNECTIONS)
    page = open_page("/", by=speaking_browser, base_url=proxy.url)
    record_until(page, "fellow|country")
    proxy.hang()
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting", timeout=SPOKEN_TIMEOUT_MS)
    proxy.heal()
    heard(page, "do for your country")
    assert lost_and_added(words_of(finish(page)), SPOKEN.split()) == ([], [])
