"""Reviewing a transcript, as people do it: hearing, correcting, together with others, with and without a connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from transcription.tests.browser.conftest import ACTION_TIMEOUT_MS, OPERATOR, Watch, check

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)

ZOE = ("zoe", "a-reviewer-of-tests")
VIEWER = ("viewer", "a-viewer-of-tests")
VIEWS = [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark"), (320, "light")]


def open_review(open_page: OpenPage, name: str, **how: object) -> Page:
    page = open_page(f"/console/sessions/{name}" + ("" if "/" in name else "/"), **{"person": OPERATOR, **how})
    expect(page.locator("[data-tools]")).to_be_visible()
    return page


def reload(page: Page) -> None:
    page.reload()
    expect(page.locator("[data-tools]")).to_be_visible()


def row(page: Page, number: int) -> Locator:
    return page.locator("[data-transcript] > li").nth(number)


def text(page: Page, number: int) -> Locator:
    return row(page, number).locator("[data-text]")


def edit(page: Page, number: int) -> Locator:
    """The field of a segment that is being edited."""
    text(page, number).dblclick()
    field = page.locator("[data-transcript] textarea")
    expect(field).to_be_focused()
    return field


def expect_saved(page: Page) -> None:
    expect(page.locator("[data-save-state]")).to_have_text("All changes saved")


def position_s(page: Page) -> float:
    position: float = page.evaluate("document.querySelector('[data-audio]').currentTime")
    return position


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_the_page_is_clean_while_reading_and_editing(open_page: OpenPage, width: int, theme: str) -> None:
    page = open_review(open_page, "speech-listen", width=width, theme=theme)
    page.get_by_label("Mark words below").check()
    check(page, "review", width, theme)
    edit(page, 1)
    page.keyboard.press("Control+f")
    page.locator("[data-find-query]").fill("you")
    check(page, "review-editing", width, theme)


def test_words_are_heard_where_they_are_clicked_and_followed(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-listen")
    page.get_by_text("country.", exact=True).click()
    page.wait_for_function("() => document.querySelector('[data-audio]').currentTime >= 9.9")
    expect(row(page, 2)).to_have_class("is-current")
    expect(page.locator(".is-word")).to_have_text("country.")
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_title("Go to a time").click()
    page.get_by_role("textbox", name="Go to a time").fill("0:03.5")
    page.keyboard.press("Enter")
    expect(page.locator(".is-word")).to_have_text("As")
    page.keyboard.press(".")
    expect(page.locator(".is-word")).to_have_text("not.")
    slider = page.get_by_role("slider", name="Position")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "00:08 of 00:11")
    page.keyboard.press("[")
    expect(page.locator("[data-speed]")).to_have_value("0.75")


def test_doubtful_words_are_stepped_through_by_keyboard_with_their_audio(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-listen")
    for at, word, start_s in ((1, "As", 3.286), (2, "not.", 3.646), (3, "ask", 7.575)):
        page.keyboard.press("n")
        expect(page.locator("[data-doubt-text]")).to_have_text(f"Word {at} of 3")
        expect(page.locator(".doubt").nth(at - 1)).to_have_text(word)
        # It is heard, with some of what is around it, and then it is quiet.
        page.wait_for_function(f"() => document.querySelector('[data-audio]').currentTime > {start_s}")
        page.wait_for_function("() => document.querySelector('[data-audio]').paused")
        assert abs(position_s(page) - start_s) < 3
    page.keyboard.press("b")
    expect(page.locator("[data-doubt-text]")).to_have_text("Word 2 of 3")
    page.get_by_label("Confidence below which words are marked").fill("0.60")
    page.keyboard.press("Tab")
    expect(page.locator(".doubt")).to_have_count(2)


def test_a_correction_is_saved_and_the_machines_word_stays(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-edit")
    row(page, 1).focus()
    page.keyboard.press("Enter")
    field = page.locator("[data-transcript] textarea")
    field.fill("Ask not.")
    page.keyboard.press("Enter")
    # Saved, and on to the next.
    expect(field).to_have_value("What your country can do for you, ask what you can do for your country.")
    page.keyboard.press("Escape")
    expect_saved(page)
    expect(text(page, 1)).to_have_text("Ask not.")
    expect(row(page, 1).locator("[data-row-edited]")).to_be_visible()
    page.get_by_role("radio", name="Machine").check()
    expect(text(page, 1)).to_have_text("As not.")
    page.get_by_role("radio", name="Changes").check()
    expect(text(page, 1).locator("del")).to_have_text("As")
    expect(text(page, 1).locator("ins")).to_have_text("Ask")
    reload(page)
    expect(text(page, 1)).to_have_text("Ask not.")
    # "not." keeps its time: it is still the word that was heard.
    text(page, 1).get_by_text("not.").click()
    page.wait_for_function("() => document.querySelector('[data-audio]').currentTime >= 3.6")
    expect(page.locator(".is-word")).to_have_text("not.")
    page.keyboard.press("k")
    expect(page.locator("[data-figure-errors]")).to_have_text("4.5%")
    # It is exported, beside what the machine heard, stands in the history, and is found.
    exported = page.request.get("/console/sessions/speech-edit/export.txt")
    assert "Ask not." in exported.text()
    machine = page.request.get("/console/sessions/speech-edit/export.txt?text=machine")
    assert "As not." in machine.text()
    row(page, 1).focus()
    row(page, 1).get_by_role("button", name="History of this segment").click()
    change = page.locator("[data-history-list] > li").first
    expect(change.locator("del")).to_have_text("As")
    expect(change.locator("ins")).to_have_text("Ask")
    page.goto('/console/sessions/?q="ask+not"')
    expect(page.locator("main")).to_contain_text("Ask not.")


def test_it_is_quiet_while_somebody_types_and_goes_on_a_second_earlier(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-structure")
    page.locator("[data-audio]").evaluate(
        """audio => {
          audio.addEventListener("pause", () => { window.pausedAt = audio.currentTime; });
          audio.addEventListener("seeked", () => { window.soughtTo = audio.currentTime; });
        }"""
    )
    field = edit(page, 2)
    # A double click opens the segment and says nothing.
    page.wait_for_function("() => document.querySelector('[data-audio]').paused")
    page.evaluate("() => { document.querySelector('[data-audio]').currentTime = 5.5; }")
    page.keyboard.press("Control+Space")
    page.wait_for_function("() => !document.querySelector('[data-audio]').paused")
    page.wait_for_function("() => document.querySelector('[data-audio]').currentTime > 5.6")
    field.press_sequentially("!")
    page.wait_for_function("() => document.querySelector('[data-audio]').paused")
    page.wait_for_function("() => !document.querySelector('[data-audio]').paused")
    page.wait_for_function("() => Math.abs(window.pausedAt - window.soughtTo - 1) < 0.05")
    page.keyboard.press("Escape")
    page.keyboard.press("k")


def test_keys_for_editing_are_chosen_anew_and_kept(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-read")
    page.keyboard.press("?")
    field = page.locator('[data-binding="insertTime"]')
    expect(field).to_have_value("Ctrl+J")
    field.press("Control+i")
    expect(field).to_have_value("Ctrl+I")
    # What is a letter in a text, or leads out of it, is not taken.
    field.press("x")
    expect(field).to_have_attribute("aria-invalid", "")
    check(page, "review-keys", 1360, "dark")
    page.keyboard.press("Escape")
    reload(page)
    edit(page, 1).press("Control+i")
    expect(page.locator("[data-transcript] textarea")).to_have_value("As not.[00:00] ")
    page.keyboard.press("Escape")


def test_segments_are_split_joined_undone_and_restored(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-structure")
    field = edit(page, 2)
    field.evaluate("field => field.setSelectionRange(34, 34)")
    page.keyboard.press("Control+Enter")
    expect(field).to_have_value("ask what you can do for your country.")
    page.keyboard.press("Escape")
    expect(page.locator("[data-transcript] > li")).to_have_count(4)
    expect(row(page, 3).locator("[data-row-play]")).to_have_text("00:07")
    field = edit(page, 1)
    field.evaluate("field => field.setSelectionRange(0, 0)")
    page.keyboard.press("Backspace")
    expect(field).to_have_value("And so my fellow Americans. As not.")
    page.keyboard.press("Escape")
    expect(page.locator("[data-transcript] > li")).to_have_count(3)
    page.keyboard.press("Control+z")
    expect(page.locator("[data-transcript] > li")).to_have_count(4)
    page.keyboard.press("Control+z")
    expect(page.locator("[data-transcript] > li")).to_have_count(3)
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("[data-transcript] > li")).to_have_count(4)
    expect_saved(page)
    page.get_by_role("button", name="History", exact=True).click()
    drawer = page.locator("[data-history]")
    expect(drawer.locator("li").first).to_contain_text("operator")
    check(page, "review-history", 1360, "light")
    drawer.locator("li").last.get_by_role("button", name="Restore to here").click()
    expect(page.locator("[data-transcript] > li")).to_have_count(3)
    expect(text(page, 0)).to_have_text("And so my fellow Americans.")


def test_of_two_texts_the_person_chooses(open_page: OpenPage, watch: Watch) -> None:
    watch.expect("status of 409")
    mine = open_review(open_page, "speech-conflict")
    field = edit(mine, 1)
    field.fill("Ask not,")
    # Another program, which holds no lock, is quicker.
    changed = mine.evaluate(
        """async () => (await fetch("/api/v1/sessions/speech-conflict/review/segments/1", {
          method: "PATCH", headers: {"Content-Type": "application/json",
            "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value},
          body: JSON.stringify({version: 0, text: "Ask knot."}) })).status"""
    )
    assert changed == 200
    mine.keyboard.press("Enter")
    dialog = mine.locator("[data-conflict]")
    expect(dialog).to_be_visible()
    expect(dialog.locator("[data-conflict-who]")).to_contain_text("operator saved another text at")
    expect(dialog.locator("[data-conflict-theirs]")).to_have_text("Ask knot.")
    check(mine, "review-conflict", 1360, "light")
    dialog.get_by_role("button", name="Save yours").click()
    expect_saved(mine)
    reload(mine)
    expect(text(mine, 1)).to_have_text("Ask not,")


def test_who_edits_a_segment_is_told_to_others(open_page: OpenPage) -> None:
    zoe = open_review(open_page, "speech-lock", person=ZOE)
    page = open_review(open_page, "speech-lock")
    edit(zoe, 1)
    lock = row(page, 1).locator("[data-row-lock]")
    expect(lock).to_have_text("Zoe is editing this segment", timeout=ACTION_TIMEOUT_MS)
    check(page, "review-locked", 1360, "light")
    text(page, 1).dblclick()
    expect(page.locator("textarea:visible")).to_have_count(0)
    zoe.locator("[data-transcript] textarea").fill("Ask not.")
    zoe.keyboard.press("Control+s")
    expect(text(page, 1)).to_have_text("Ask not.", timeout=ACTION_TIMEOUT_MS)
    expect(lock).to_be_hidden()


def test_changes_wait_in_the_browser_until_there_is_a_connection(open_page: OpenPage, watch: Watch) -> None:
    # One that was taken while the page went is sent once more by the next: it is what is there already.
    watch.expect("ERR_INTERNET_DISCONNECTED", "status of 409")
    page = open_review(open_page, "speech-offline")
    page.context.set_offline(True)
    for number, words in (
        (0, "And so, my fellow Americans,"),
        (1, "ask not"),
        (2, "what your country can do for you."),
    ):
        edit(page, number).fill(words)
        page.keyboard.press("Control+s")
    expect(page.locator("[data-save-state]")).to_have_text("Offline: 3 changes waiting")
    expect(page.locator("[data-row-waiting]:visible")).to_have_count(3)
    assert page.evaluate("() => Object.keys(localStorage).filter((key) => key.endsWith('speech-offline')).length") == 1
    check(page, "review-offline", 1360, "dark")
    page.context.set_offline(False)
    # Also by the next visit.
    reload(page)
    expect_saved(page)
    reload(page)
    expect(text(page, 1)).to_have_text("ask not")
    expect(text(page, 2)).to_have_text("what your country can do for you.")


def test_words_are_found_and_replaced_after_asking(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-find")
    page.keyboard.press("Control+f")
    page.locator("[data-find-query]").fill("you")
    expect(page.locator("[data-find-count]")).to_have_text("1 of 4")
    page.keyboard.press("Enter")
    expect(page.locator("[data-find-count]")).to_have_text("2 of 4")
    page.get_by_label("Match case").check()
    page.locator("[data-find-query]").fill("Country")
    expect(page.locator("[data-find-count]")).to_have_text("No matches")
    page.locator("[data-find-query]").fill("country")
    page.locator("[data-replace-text]").fill("nation")
    page.get_by_role("button", name="Replace all…").click()
    expect(page.locator("[data-ask-text]")).to_contain_text("2 places in 1 segment become “nation”.")
    page.locator("[data-ask-yes]").click()
    expect(text(page, 2)).to_have_text("What your nation can do for you, ask what you can do for your nation.")
    page.locator("[data-find-close]").click()
    page.get_by_role("button", name="Undo").click()
    expect(text(page, 2)).to_contain_text("your country.")


def test_speakers_are_named_here_and_everywhere(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-speakers")
    page.get_by_role("button", name="Rename Speaker 1").click()
    page.get_by_role("combobox", name="Name").fill("Kennedy")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row-speaker]", has_text="Kennedy")).to_have_count(2)
    row(page, 1).focus()
    page.keyboard.press("1")
    expect(page.locator("[data-row-speaker]", has_text="Kennedy")).to_have_count(3)
    expect_saved(page)
    reload(page)
    expect(page.locator("[data-speakers-list] li")).to_have_count(1)


def test_bookmarks_and_notes_are_kept_at_their_times(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-notes")
    row(page, 1).focus()
    page.locator("[data-transcript] > li").nth(1).locator("[data-row-play]").click()
    page.keyboard.press("k")
    page.keyboard.press("m")
    expect(page.locator("[data-notes-list] li")).to_have_count(1)
    page.get_by_role("button", name="Edit the note at 00:03").click()
    page.get_by_label("Note (may stay empty)").fill("<b>Ask</b>, not as")
    page.keyboard.press("Enter")
    expect(page.locator(".note-words")).to_have_text("<b>Ask</b>, not as")


def test_a_reviewed_transcript_is_locked_until_it_is_reopened(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-review")
    page.get_by_role("button", name="Mark reviewed").click()
    expect(page.locator("[data-reviewed-line]")).to_contain_text("Reviewed by operator")
    check(page, "review-reviewed", 1360, "dark")
    text(page, 1).dblclick()
    expect(page.locator("textarea:visible")).to_have_count(0)
    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_role("button", name="Mark reviewed")).to_be_focused()
    expect(edit(page, 1)).to_have_value("As not.")


def test_it_is_of_use_without_audio(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-silent")
    expect(page.locator(".no-audio")).to_have_text("Audio was not kept.")
    expect(page.locator("[data-player]")).to_have_count(0)
    page.keyboard.press("n")
    expect(page.locator("[data-doubt-text]")).to_have_text("Word 1 of 3")
    edit(page, 0).fill("And so, my fellow Americans,")
    page.keyboard.press("Control+s")
    expect_saved(page)
    page.get_by_text("Protect from deletion").click()
    check(page, "review-without-audio", 1360, "light")


def test_who_may_only_read_reads(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-read", person=VIEWER)
    expect(page.get_by_role("button", name="Mark reviewed")).to_have_count(0)
    text(page, 1).dblclick()
    page.keyboard.press("Escape")
    row(page, 1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("textarea:visible")).to_have_count(0)
    expect(page.locator("[data-read-only]")).to_be_visible()
    check(page, "review-read-only", 1360, "light")


def test_a_link_leads_to_its_second(open_page: OpenPage) -> None:
    page = open_review(open_page, "speech-read/?t=7.6#segment-2")
    expect(page.locator(".is-word")).to_have_text("ask")
    expect(row(page, 2)).to_be_focused()


def test_a_long_transcript_is_quick_to_begin_and_complete_in_the_end(open_page: OpenPage) -> None:
    page = open_review(open_page, "long-reading/#segment-990")
    expect(page.locator("#segment-990")).to_be_focused()
    expect(page.locator("#segment-990")).to_be_in_viewport()
    expect(page.locator("[data-transcript] > li")).to_have_count(1005)
    page.keyboard.press("Control+f")
    page.locator("[data-find-query]").fill("number 777")
    expect(page.locator("[data-find-count]")).to_have_text("1 of 1")
    expect(page.locator("#segment-777")).to_be_in_viewport()
    # Words have elements of their own where somebody sees them, and nowhere else.
    expect(page.locator("#segment-777 [data-w]")).to_have_count(7)
    assert page.locator("[data-w]").count() < 3000


def test_what_is_replaced_in_a_thousand_segments_is_shown_and_undone_at_once(open_page: OpenPage) -> None:
    page = open_review(open_page, "long-reading")
    expect(page.get_by_role("button", name="Mark reviewed")).to_be_visible(timeout=ACTION_TIMEOUT_MS)
    page.keyboard.press("Control+f")
    page.locator("[data-find-query]").fill("long reading")
    page.locator("[data-replace-text]").fill("short one")
    page.get_by_role("button", name="Replace all…").click()
    expect(page.locator("[data-ask-text]")).to_contain_text("1005 places in 1005 segments become “short one”.")
    page.locator("[data-ask-yes]").click()
    expect(text(page, 1004)).to_have_text("Sentence number 1004 of a short one.", timeout=ACTION_TIMEOUT_MS)
    expect_saved(page)
    page.locator("[data-find-close]").click()
    page.get_by_role("button", name="Undo").click()
    expect(text(page, 1004)).to_have_text("Sentence number 1004 of a long reading.", timeout=ACTION_TIMEOUT_MS)
