"""The admin in a browser: clean for axe and the content policy, and its flows as an operator walks through them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from transcription.tests.browser.conftest import OPERATOR, check

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)

LISTS = {
    "index": "/admin/",
    "sessions": "/admin/transcription/transcriptionsession/?errors=yes",
    "segments": "/admin/transcription/transcriptsegment/",
    "recordings": "/admin/transcription/sessionrecording/",
    "keys": "/admin/transcription/apikey/",
    "phrases": "/admin/transcription/phraseset/",
    "phrases-new": "/admin/transcription/phraseset/add/",
    "endpoints": "/admin/webhooks/webhookendpoint/",
    "audit": "/admin/audit/auditevent/",
}
VIEWS = [(1360, "light"), (390, "dark")]
SESSIONS = "/admin/transcription/transcriptionsession/"


def choose(page: Page, action: str, *rows: str) -> None:
    """Tick rows of a list by what stands in them, and begin an action."""
    for row in rows:
        page.locator("#result_list tr", has_text=row).first.locator("input.action-select").check()
    page.select_option("select[name=action]", action)
    page.get_by_role("button", name="Go").click()


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_lists_and_forms_are_clean(open_page: OpenPage, width: int, theme: str) -> None:
    page = open_page("/admin/", person=OPERATOR, width=width, theme=theme)
    for name, address in LISTS.items():
        page.goto(address)
        check(page, f"admin-{name}", width, theme, preload=False)


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_questions_before_actions_are_clean(open_page: OpenPage, width: int, theme: str) -> None:
    page = open_page(f"{SESSIONS}?q=Lecture", person=OPERATOR, width=width, theme=theme)
    for action in ("set_retention", "delete_selected"):
        page.goto(f"{SESSIONS}?q=Lecture")
        choose(page, action, "Lecture 2", "Lecture 3")
        expect(page.locator("h1", has_text="2 sessions")).to_be_visible()
        check(page, f"admin-{action}", width, theme, preload=False)
        page.get_by_text("No, take me back").click()
        expect(page.locator("#result_list")).to_be_visible()


def test_retention_is_set_and_a_protected_session_is_not_deleted(open_page: OpenPage) -> None:
    page = open_page(f"{SESSIONS}?q=Lecture", person=OPERATOR)
    choose(page, "set_retention", "Lecture 41")
    page.get_by_label("Protect, so that nobody and no rule deletes it").check()
    page.get_by_role("button", name="Set retention of 1 session").click()
    expect(page.locator(".errorlist")).to_have_text("Say why they are to be protected.")
    page.get_by_label("Reason").fill("Court case 7")
    page.get_by_role("button", name="Set retention of 1 session").click()
    expect(page.locator(".messagelist")).to_contain_text("1 session is protected.")
    page.goto(f"{SESSIONS}?q=Lecture")
    choose(page, "delete_selected", "Lecture 41", "Lecture 42")
    expect(page.locator(".chosen")).to_contain_text("Lecture 41 is protected: Court case 7")
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("#result_list")).to_be_visible()


def test_a_phrase_set_is_imported_and_a_recording_starts_with_it(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/admin/transcription/phraseset/import/", person=OPERATOR)
    file = tmp_path / "Board.txt"
    file.write_text("agenda\n" + "x" * 201)
    page.set_input_files("#id_file", file)
    page.get_by_role("button", name="Import phrases").click()
    expect(page.locator(".errorlist")).to_have_text("Line 2 has 201 characters; a phrase may have 200.")
    file.write_text("agenda\nbrewery\n")
    page.set_input_files("#id_file", file)
    page.get_by_role("button", name="Import phrases").click()
    expect(page.locator(".messagelist")).to_contain_text("Board has 2 phrases now.")

    page.goto("/")
    page.locator("[data-settings] summary").click()
    page.get_by_label("Phrase set").select_option(label="Board")
    expect(page.locator("[data-phrase-set-state]")).to_have_text("2 phrases")
    page.get_by_label("Phrases to boost").fill("harvest festival")
    check(page, "record-phrases", 1360, "light")
    started: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: started.append(str(frame))))
    speech = Path(__file__).parents[1] / "speech" / "jfk.flac"
    page.set_input_files("[data-file]", speech)
    expect(page.locator("[data-saved]")).to_be_visible(timeout=60_000)
    start = next(frame for frame in started if "start_transcription" in frame)
    assert '"phrases":["agenda","brewery"],"boost":20' in start
    assert '"phrases":["harvest festival"]' in start


def test_a_key_is_rotated_and_shown_once(open_page: OpenPage) -> None:
    page = open_page("/admin/transcription/apikey/add/", person=OPERATOR)
    page.get_by_label("Name").fill("Rotated in a browser")
    page.get_by_role("button", name="Save", exact=True).click()
    first = page.locator("#key-text").inner_text()
    page.goto("/admin/transcription/apikey/")
    choose(page, "rotate_key", "Rotated in a browser")
    check(page, "admin-rotate", 1360, "light", preload=False)
    page.get_by_role("button", name="Rotate the key Rotated in a browser").click()
    second = page.locator("#key-text").inner_text()
    assert second.startswith("spk_")
    assert second != first
    for key in (first, second):
        answer = page.request.get("/api/v1/sessions", headers={"Authorization": f"Bearer {key}"})
        assert answer.status == 200
