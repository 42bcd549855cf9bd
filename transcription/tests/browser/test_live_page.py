"""The live page and the page of a live session, with a session that really speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

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


VIEWS = [(1360, "light"), (1360, "dark"), (390, "dark"), (320, "light")]
UPDATE = {
    "event": "error",
    "code": 4503,
    "reason": "draining",
    "message": "This server is being updated; please try again.",
    "retryable": True,
}


def live_row(number: int) -> dict[str, object]:
    """What the service tells of a session; the higher the number, the newer."""
    return {
        "session_id": f"played-{number}",
        "title": f"Session {number} with a title that is longer than its column is wide",
        "owner": "contact-centre",
        "owner_id": None,
        "source": "key",
        "key": "contact-centre",
        "dialect": "native",
        "language": "en-US",
        "state": "live",
        "started_at": f"2026-01-02T10:00:{number:02}+00:00",
        "worker": "host/1",
        "segments": 1,
        "final": "What was said a moment ago.",
        "interim": "and what is said",
        "interim_segment": 1,
        "captions_hidden": False,
        "level": 0.1,
        "backlog_ms": 40,
        "latency_ms": 90,
        "first_interim_ms": 400,
        "final_lag_ms": 500,
        "audio_ms": 4000,
    }


class PlayedConsole:
    """The other end of the page's socket. Every connection is told `first`, then what `tell` is given."""

    def __init__(self, page: Page, first: list[dict[str, object]]) -> None:
        self.first = first
        self._seq = 0
        page.route_web_socket("**/ws/console/", self._open)
        page.goto("/console/")

    def _open(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        socket.on_message(lambda _message: None)
        for message in self.first:
            self.tell(message)

    def tell(self, message: dict[str, object]) -> None:
        self._seq += 1
        self.socket.send(json.dumps({"seq": self._seq, **message}))

    def tell_rows(self, *numbers: int) -> None:
        self.tell({"event": "delta", "sessions": [live_row(number) for number in numbers], "ended": []})


def snapshot(*numbers: int, **kpis: object) -> dict[str, object]:
    return {"event": "snapshot", "sessions": [live_row(number) for number in numbers], "ended": [], "kpis": kpis}


def ids_shown(page: Page) -> list[str]:
    shown: list[str] = page.locator("[data-rows] tr").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    return shown


def test_rows_stand_still_while_the_pointer_or_the_focus_is_among_them(open_page: OpenPage) -> None:
    page = open_page("/console/table/", person=OPERATOR)
    console = PlayedConsole(page, [snapshot(1, 2)])
    page.locator("[data-rows] tr").first.hover()
    console.tell_rows(3, 4)
    new = page.locator("[data-new-rows]")
    expect(new).to_have_text("2 new")
    assert ids_shown(page) == ["played-2", "played-1"]
    new.click()
    expect(new).to_be_hidden()
    assert ids_shown(page) == [f"played-{number}" for number in (4, 3, 2, 1)]
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    console.tell_rows(5)
    expect(new).to_have_text("1 new")
    page.keyboard.press("k")
    expect(page.locator('[data-id="played-4"]')).to_be_focused()
    expect(new).to_be_visible()
    new.press("Enter")
    expect(page.locator('[data-id="played-5"]')).to_be_focused()
    console.tell_rows(6)
    expect(new).to_have_text("1 new")
    page.keyboard.press("Escape")
    expect(new).to_be_hidden()
    assert ids_shown(page)[0] == "played-6"


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_a_full_site_and_an_update_are_said_above_the_list(
    open_page: OpenPage, watch: Watch, width: int, theme: str
) -> None:
    page = open_page("/console/table/", person=OPERATOR, width=width, theme=theme)
    console = PlayedConsole(page, [snapshot(1, 2, live=150, capacity=150)])
    full = page.locator('[data-about="capacity"]')
    expect(full).to_have_text("150 of 150. New recordings are asked to wait.")
    check(page, "console-full", width, theme)
    console.tell({"event": "kpis", "kpis": {"live": 12, "capacity": 150, "draining": 12}})
    expect(full).to_be_hidden()
    update = page.locator('[data-about="draining"]')
    expect(update).to_have_text("This server is being updated; 12 sessions still finishing.")
    check(page, "console-update", width, theme)
    # A process that ends sends its pages elsewhere. The next one may know nothing of it yet.
    console.tell(UPDATE)
    console.socket.close(code=4503)
    expect(page.locator("[data-connection]")).to_contain_text("Reconnecting…")
    expect(page.locator("[data-connection]")).to_contain_text("Connected")
    console.tell({"event": "kpis", "kpis": {"live": 12, "capacity": 150, "draining": None}})
    expect(update).to_be_visible()
    expect(page.locator('[data-about="error"]')).to_have_count(0)


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
    # The timeline may come with the page: only its script hears a key.
    expect(page.locator("[data-audio]")).to_have_text(re.compile("00:0[1-9]"))
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
