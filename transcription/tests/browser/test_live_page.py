"""The live page and the page of a live session, with a session that really speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from transcription.tests.browser.conftest import OPERATOR, Watch, check, screenshot

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)

RIVA_DOWN = {
    "name": "recogniser",
    "ok": False,
    "required": True,
    "detail": "The recogniser cannot be reached.",
    "duration_ms": 3000,
    "failing_since": "2026-01-02T14:02:00+00:00",
}


def test_a_test_session_is_seen_marked_and_stopped_with_a_reason(open_page: OpenPage) -> None:
    page = open_page("/console/?source=dialect:test", person=OPERATOR)
    page.get_by_role("button", name="Send a test session").click()
    row = page.locator("[data-rows] tr", has_text="Test session")
    expect(row.locator("[data-state]")).to_have_text(re.compile("Live|Slow"))
    expect(row.locator("[data-about]")).to_contain_text("Test session")
    expect(page.locator('[data-kpi="live"]')).to_have_text("1")
    row.locator("[data-open]").click()
    expect(page.locator("[data-state-pill]")).to_have_text(re.compile("Live|Slow"))
    expect(page.locator("[data-timeline]")).to_contain_text("The recogniser listens", timeout=15_000)
    page.keyboard.press("m")
    expect(page.locator("[data-notes-list]")).to_contain_text("Bookmark")
    page.fill("[data-note-text]", "Ask for the source of this.")
    page.keyboard.press("Enter")
    expect(page.locator("[data-notes-list]")).to_contain_text("Ask for the source")
    check(page, "session-live", 1360, "light")
    page.locator("h1").click()
    page.keyboard.press("x")
    page.fill("#stop-reason", "The room is needed.")
    page.get_by_role("button", name="Stop the session").click()
    expect(page.locator("main")).to_contain_text("The room is needed.")
    expect(page.locator("[data-timeline]")).to_contain_text("operator asked for the stop.")


def test_filters_and_their_order_are_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/console/?sort=longest&mine=1", person=OPERATOR)
    expect(page.locator("[data-sort]")).to_have_value("longest")
    expect(page.locator("[data-mine]")).to_be_checked()
    page.select_option("[data-sort]", "loudest")
    page.uncheck("[data-mine]")
    page.locator('[data-chip="slow"]').click()
    expect(page).to_have_url(re.compile(r"\?state=slow&sort=loudest$"))
    page.locator("[data-last-hour] > summary").click()
    expect(page.locator('[data-chart="live"] svg')).to_have_attribute("aria-label", re.compile("At most"))
    check(page, "console-last-hour", 1360, "light")


def test_what_is_the_matter_is_said_above_the_list(open_page: OpenPage, watch: Watch) -> None:
    watch.expect("503", "ERR_INTERNET_DISCONNECTED")

    def answer(route: Route) -> None:
        route.fulfill(status=503, content_type="application/json", body=json.dumps({"checks": [RIVA_DOWN]}))

    page = open_page("/console/", person=OPERATOR)
    page.route("**/readyz", answer)
    # What a person does who comes back to the page: it asks at once.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    banner = page.locator('[data-about="riva"]')
    expect(banner).to_contain_text("The recogniser cannot be reached. New recordings are asked to try again.")
    expect(banner.get_by_role("link", name="Health")).to_have_attribute("href", "/console/health/")
    expect(page.locator("[data-riva-pill]")).to_have_text(re.compile("Riva unreachable since"))
    check(page, "console-riva-down", 1360, "light")
    page.context.set_offline(True)
    expect(page.locator("[data-connection]")).to_contain_text("showing data from", timeout=30_000)
    screenshot(page, "console-offline-1360-light")
    page.context.set_offline(False)
    expect(page.locator("[data-connection]")).to_contain_text("Connected", timeout=45_000)


@pytest.mark.parametrize(("width", "theme"), [(1360, "light"), (390, "dark"), (320, "light")])
def test_the_plain_list_is_clean(open_page: OpenPage, width: int, theme: str) -> None:
    check(open_page("/console/table/", person=OPERATOR, width=width, theme=theme), "console-table", width, theme)
