"""Every page: clean for axe, for the content policy and for the console, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from speechsite.tests.served import Served, manage
from transcription.tests.browser.conftest import OPERATOR, VIEWER_OF_NOTHING, Watch, check, screenshot

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)

PAGES = {
    "record": "/",
    "console-empty": "/console/",
    "sessions": "/console/sessions/",
    "sessions-search": "/console/sessions/?q=budget&length=10",
    "sessions-nothing": "/console/sessions/?q=zebra",
    "session": "/console/sessions/board-meeting/",
    "session-interrupted": "/console/sessions/interrupted-call/",
    "session-tunnel": "/console/sessions/tunnel/",
    "session-cut-off": "/console/sessions/cut-off/",
    "session-failed": "/console/sessions/failed-early/",
    "session-stopped": "/console/sessions/stopped-by-operator/",
    "session-hostile": "/console/sessions/hostile/",
    "session-long": "/console/sessions/long-reading/?part=1",
    "again": "/console/sessions/board-meeting/again/",
    "numbers": "/console/numbers/",
    "numbers-by-language": "/console/numbers/?by=language",
    "health": "/console/health/",
    "document": "/api/docs/websocket-api/",
}
VIEWS = [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark"), (320, "light")]


@pytest.mark.parametrize(("width", "theme"), VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_clean(open_page: OpenPage, name: str, width: int, theme: str) -> None:
    page = open_page(PAGES[name], person=OPERATOR, width=width, theme=theme)
    if name == "health":
        expect(page.locator("[data-checks] li")).to_have_count(5)
    if name == "console-empty":
        expect(page.locator("[data-empty]")).to_be_visible()
    check(page, name, width, theme)


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_the_login_page_is_clean(open_page: OpenPage, width: int, theme: str) -> None:
    check(open_page("/login/", width=width, theme=theme), "login", width, theme)


@pytest.mark.parametrize(("path", "heading"), [("/nothing/", "Not found"), ("/console/sessions/none/", "Not found")])
def test_error_pages_are_clean(open_page: OpenPage, watch: Watch, path: str, heading: str) -> None:
    watch.expect("status of 404")
    page = open_page(path)
    expect(page.locator("h1")).to_have_text(heading)
    check(page, "not-found", 1360, "light")


def test_a_person_without_rights_is_told_which_group_gives_them(open_page: OpenPage, watch: Watch) -> None:
    watch.expect("status of 403")
    page = open_page("/console/", person=VIEWER_OF_NOTHING)
    expect(page.locator("main")).to_contain_text("The groups Viewer and Operator give that.")
    check(page, "console-not-allowed", 1360, "light")


@pytest.mark.parametrize(
    "name",
    [
        "transcription/transcriptionsession",
        "transcription/transcriptsegment",
        "webhooks/webhookendpoint",
        "webhooks/webhookdelivery",
    ],
)
def test_lists_of_the_admin_fit_between_their_side_bars(open_page: OpenPage, name: str) -> None:
    page = open_page(f"/admin/{name}/", person=OPERATOR)
    screenshot(page, f"admin-{name.rpartition('/')[2]}-1360-light")
    expect(page.locator("#nav-sidebar")).to_be_visible()
    hidden = page.locator(".results").evaluate("element => element.scrollWidth - element.clientWidth")
    assert hidden <= 0, "the list scrolls sideways"


def test_the_ledger_leads_to_the_words_around_what_was_lost(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/tunnel/", person=OPERATOR)
    expect(page.locator("[data-ledger]")).to_contain_text("2.4 s never reached the service.")
    page.get_by_text("Stretch by stretch").click()
    row = page.locator("[data-ledger] tbody tr", has_text="Lost")
    expect(row).to_have_count(1)
    check(page, "session-ledger-open", 1360, "light")
    row.get_by_role("link").click()
    expect(page.locator("li:target")).to_contain_text("the budget, the new office")


AWAY = """
from datetime import timedelta
from django.utils import timezone
from transcription.models import TranscriptionSession
until = timezone.now() + timedelta(hours=1)
TranscriptionSession.objects.filter(public_id="away").update(
    state="detached", end_reason="client_lost", ended_at=None, detached_at=timezone.now(), resume_until=until
)
"""


def test_a_session_whose_client_is_away_is_on_the_console_until_it_is_stopped(
    open_page: OpenPage, site: Served
) -> None:
    manage("shell", "--command", AWAY, data_dir=site.data_dir, DATABASE_URL="").check_returncode()
    page = open_page("/console/?state=reconnecting", person=OPERATOR)
    row = page.locator("tr", has_text="Waiting for its client")
    expect(row.locator("[data-state]")).to_have_text("Reconnecting")
    for width, theme in VIEWS:
        waiting = open_page("/console/sessions/away/", person=OPERATOR, width=width, theme=theme)
        expect(waiting.locator("[data-state-pill]")).to_have_text("Reconnecting")
        expect(waiting.locator("[data-waiting]")).to_contain_text("Waiting for the client to come back, until")
        check(waiting, "session-away", width, theme)
    check(page, "console-away", 1360, "light")
    page.set_viewport_size({"width": 390, "height": 844})
    check(page, "console-away", 390, "light")
    page.set_viewport_size({"width": 1360, "height": 900})
    row.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop the session").click()
    expect(page.locator("[data-empty]")).to_be_visible()
    # The page that still waits is told too.
    expect(waiting.locator("main")).to_contain_text("An operator stopped it.")


def test_the_theme_button_cycles_and_the_choice_lasts(open_page: OpenPage) -> None:
    page = open_page("/")
    for theme in ("light", "dark", "auto", "light", "dark"):
        page.click("[data-theme-button]")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("localStorage.theme") == "dark"


def test_hostile_text_is_shown_as_text(open_page: OpenPage) -> None:
    for path in ("/console/sessions/?q=evil", "/console/sessions/hostile/", "/console/sessions/"):
        page = open_page(path, person=OPERATOR)
        expect(page.locator("main")).to_contain_text("<script>window.broken = 1</script>")
        assert page.evaluate("window.broken") is None


def test_past_sessions_are_paged_filtered_and_searched(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/?q=lecture", person=OPERATOR)
    expect(page.locator("[data-row-link]")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("[data-row-link]")).to_have_count(10)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("[data-row-link]").first).to_have_text("Lecture 1")
    page.select_option("#id_state", "interrupted")
    page.fill("#id_q", "")
    page.get_by_role("button", name="Show").click()
    page.locator("[data-row-link]", has_text="interrupted-call").wait_for()


def test_a_hit_leads_to_its_words(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/?q=brewery", person=OPERATOR)
    expect(page.locator("mark").first).to_have_text("brewery")
    page.locator(".hit", has_text="brewery").last.click()
    expect(page.locator(".is-current").first).to_contain_text("brewery")


def test_a_transcript_is_exported_in_every_format(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/board-meeting/", person=OPERATOR)
    page.locator("[data-export] summary").click()
    screenshot(page, "session-export-1360-light")
    for format in ("txt", "srt", "vtt", "json"):
        with page.expect_download() as download:
            page.locator("[data-export] a", has_text=format.upper()).click()
        assert "brewery" in download.value.path().read_text()
        page.locator("[data-export] summary").click()


def test_a_session_is_deleted_only_after_asking(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/lecture-59/", person=OPERATOR)
    page.click("[data-delete-open]")
    page.click("[data-delete-cancel]")
    page.click("[data-delete-open]")
    screenshot(page, "session-delete-1360-light")
    page.get_by_role("button", name="Delete the session").click()
    expect(page.locator(".messages")).to_contain_text("Deleted: Lecture 60")
    assert page.request.get("/console/sessions/lecture-59/").status == 404


def test_the_console_is_usable_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/console/", person=OPERATOR)
    page.keyboard.press("/")
    page.keyboard.type("choir")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"\?q=choir$"))
    page.keyboard.press("p")
    expect(page.locator("[data-pause]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    expect(page.locator("[data-help]")).to_be_visible()
    check(page, "console-help", 1360, "light")
    page.keyboard.press("Escape")
    expect(page.locator("[data-help]")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/console/sessions/")


def test_single_keys_can_be_switched_off(open_page: OpenPage) -> None:
    page = open_page("/console/", person=OPERATOR)
    page.locator("[data-menu] summary").click()
    page.uncheck("[data-shortcuts-switch]")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("[data-pause]")).to_have_attribute("aria-pressed", "false")


def test_logging_in_and_out(open_page: OpenPage) -> None:
    page = open_page("/console/")
    expect(page).to_have_url(re.compile("/login/.next=/console/"))
    page.fill("[name=username]", OPERATOR[0])
    page.fill("[name=password]", "wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct")
    screenshot(page, "login-wrong-1360-light")
    page.fill("[name=password]", OPERATOR[1])
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1")).to_have_text("Live sessions")
    page.locator("[data-menu] summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
