"""The list of past sessions: search leads to the word, choosing, views, and all of it without a script too."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from speechsite.tests.served import Served
from transcription.tests.browser.conftest import OPERATOR, check

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.timeout(240)

LIST = "/console/sessions/?all=1"


def test_a_snippet_leads_to_its_word(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/?q=budget", person=OPERATOR)
    hit = page.locator(".hit").first
    expect(hit.locator("mark").first).to_have_text("budget")
    segment = (hit.get_attribute("href") or "").partition("#")[2]
    hit.click()
    expect(page.locator(f"#{segment}")).to_contain_text("budget")
    expect(page.locator(f"#{segment}")).to_be_in_viewport()


def test_the_bar_of_actions_comes_with_the_first_chosen_row(open_page: OpenPage) -> None:
    page = open_page(LIST, person=OPERATOR)
    bar = page.locator("[data-chosen-bar]")
    expect(bar).to_be_hidden()
    page.locator("input[name=chosen]").nth(0).check()
    page.locator("input[name=chosen]").nth(1).check()
    expect(bar).to_contain_text("2 chosen")
    page.locator("#chosen-format").select_option("docx")
    with page.expect_download() as download:
        bar.get_by_role("button", name="Export ZIP").click()
    path = download.value.path()
    with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as archive:
        assert len(archive.namelist()) == 2
        document = zipfile.ZipFile(io.BytesIO(archive.read(archive.namelist()[0])))
        assert "word/document.xml" in document.namelist()
    page.locator("[data-choose-all] input").check()
    expect(bar).to_contain_text("50 chosen")
    page.locator("[data-choose-all] input").uncheck()
    expect(bar).to_be_hidden()


def test_filters_are_kept_and_asked_for_without_a_script(
    site: Served, browser: Browser, logged_in: Callable[[tuple[str, str]], StorageState]
) -> None:
    with browser.new_context(
        base_url=site.url, storage_state=logged_in(OPERATOR), java_script_enabled=False
    ) as context:
        page = context.new_page()
        page.goto(LIST)
        page.locator("#id_state").select_option("failed")
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator(".save-view summary").click()
        page.locator("#view-name").fill("Failed ones")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".saved-views [aria-current]")).to_have_text("Failed ones")
        page.locator("input[name=chosen]").first.check()
        page.get_by_role("button", name="Delete…").click()
        expect(page.locator("h1")).to_have_text("Delete 1 session?")
        page.get_by_role("link", name="Keep them").click()
        expect(page.locator("input[name=chosen]").first).to_be_visible()
        page.get_by_role("link", name="Manage views").click()
        page.get_by_role("button", name="Delete “Failed ones”").click()
        expect(page.locator("h2")).to_have_text("No view is saved yet.")


@pytest.mark.parametrize(("width", "theme"), [(1360, "light"), (390, "dark"), (320, "light")])
def test_its_pages_are_clean(open_page: OpenPage, width: int, theme: str) -> None:
    page = open_page(LIST, person=OPERATOR, width=width, theme=theme)
    page.locator("input[name=chosen]").first.check()
    check(page, "sessions-chosen", width, theme)
    page.get_by_role("button", name="Delete…").click()
    check(page, "sessions-delete", width, theme)
    for name, path in (("export", "/console/sessions/board-meeting/export/"), ("saved-views", "/console/views/")):
        page.goto(path)
        check(page, name, width, theme)
