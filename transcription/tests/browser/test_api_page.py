"""The API page: a session from each source, its messages, and code that runs as it was copied."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from transcription.tests.browser.conftest import Watch, check
from transcription.tests.example_programs import NODE, path_with_websocat, run, wav_of
from transcription.tests.speech_clips import SPEECH_FOLDER, load_clip

SPOKEN_TIMEOUT_MS = 30_000
VIEWS = [(1360, "light"), (1360, "dark"), (390, "dark"), (320, "light")]

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)


def is_in_state(page: Page, text: str) -> None:
    expect(page.locator("[data-state-pill]")).to_have_text(text, timeout=SPOKEN_TIMEOUT_MS)


def send_file(page: Page, name: str) -> None:
    page.set_input_files("[data-file]", SPEECH_FOLDER / name)


def message_names(page: Page) -> list[str]:
    return page.locator(".message-name").all_inner_texts()


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_it_is_clean_empty_with_messages_with_code_and_with_an_error(
    open_page: OpenPage, watch: Watch, width: int, theme: str
) -> None:
    page = open_page("/api/", width=width, theme=theme)
    check(page, "api-empty", width, theme)
    send_file(page, "riva-en-us-sample.flac")
    is_in_state(page, "Done")
    expect(page.locator("[data-log]")).to_contain_text("natural language processing")
    page.click("#tab-messages")
    page.locator(".message summary", has_text="transcription_started").click()
    check(page, "api-messages", width, theme)
    page.click("#tab-code")
    check(page, "api-code", width, theme)
    page.fill("#phrases", "x" * 300)
    send_file(page, "riva-en-us-sample.flac")
    is_in_state(page, "Failed")
    expect(page.locator("[data-notice]")).to_contain_text("4422 bad_config")
    expect(page.locator("#phrases")).to_have_attribute("aria-invalid", "true")
    check(page, "api-error", width, theme)


def test_it_captions_the_microphone_and_lists_the_messages(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/api/", by=speaking_browser)
    page.click("[data-microphone]")
    is_in_state(page, "Streaming")
    expect(page.locator("[data-log]")).to_contain_text("country can do for you", timeout=SPOKEN_TIMEOUT_MS)
    page.click("[data-stop]")
    is_in_state(page, "Done")
    page.click("#tab-messages")
    names = message_names(page)
    assert names[:4] == ["open", "session_created", "start_transcription", "transcription_started"]
    assert names[-3:] == ["audio_ack", "transcription_stopped", "close"] or names[-2:] == [
        "transcription_stopped",
        "close",
    ]
    session = page.locator("[data-session-link]").get_attribute("href")
    page.goto(session or "")
    expect(page.locator("[data-transcript]")).to_contain_text("country")


def test_it_plays_the_sample_in_a_telephones_encoding(open_page: OpenPage) -> None:
    page = open_page("/api/")
    page.select_option("#encoding", "MULAW")
    page.select_option("#rate", "8000")
    page.check("[name=keepAudio]")
    page.click("[data-sample]")
    is_in_state(page, "Streaming")
    expect(page.locator("#encoding")).to_be_disabled()
    expect(page.locator("[data-log]")).to_contain_text(re.compile("country", re.I), timeout=SPOKEN_TIMEOUT_MS)
    is_in_state(page, "Done")
    page.click("#tab-messages")
    page.locator(".message summary", has_text="transcription_started").click()
    expect(page.locator(".message-json pre")).to_contain_text('"encoding": "MULAW"')
    expect(page.locator(".message-json pre")).to_contain_text('"keep_audio": true')
    expect(page.locator("[data-sent]")).to_have_text("11 s")


def test_messages_are_filtered_paused_copied_and_cleared(open_page: OpenPage) -> None:
    page = open_page("/api/")
    send_file(page, "riva-en-us-sample.flac")
    is_in_state(page, "Done")
    page.click("#tab-messages")
    page.select_option("[data-message-kind]", "quiet")
    assert not {"audio", "audio_ack"} & set(message_names(page))
    page.select_option("[data-message-kind]", "sent")
    assert set(message_names(page)) == {"start_transcription", "audio", "stop_transcription"}
    page.select_option("[data-message-kind]", "all")
    page.fill("[data-message-text]", "language processing")
    assert set(message_names(page)) == {"transcript"}
    page.click("[data-message-copy]")
    expect(page.locator("[data-status]")).to_have_text("Copied")
    assert '"is_final":true' in page.evaluate("navigator.clipboard.readText()")
    page.fill("[data-message-text]", "")
    page.click("[data-message-pause]")
    page.click("#tab-captions")
    send_file(page, "riva-en-us-sample.flac")
    is_in_state(page, "Done")
    page.click("#tab-messages")
    assert message_names(page) == []
    expect(page.locator("[data-message-foot]")).to_contain_text(re.compile(r"Paused\. \d+ new messages"))
    page.click("[data-message-pause]")
    assert "transcription_stopped" in message_names(page)
    page.click("[data-message-clear]")
    assert message_names(page) == []
    expect(page.locator("[data-message-empty]")).to_be_visible()


def test_tabs_are_walked_by_arrows_and_the_code_follows_the_form(open_page: OpenPage) -> None:
    page = open_page("/api/")
    page.focus("#tab-captions")
    page.keyboard.press("End")
    expect(page.locator("#tab-code")).to_be_focused()
    expect(page.locator("#panel-code")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#code-node")).to_be_focused()
    page.fill("#phrases", "Speechsite\nChoir")
    page.uncheck("[name=interim]")
    code = page.locator("[data-code]")
    expect(code).to_contain_text('speech_contexts: [{ phrases: ["Speechsite", "Choir"] }]')
    expect(code).to_contain_text("enable_interim_results: false")
    page.reload()
    page.click("#tab-code")
    expect(page.locator("#code-node")).to_have_attribute("aria-selected", "true")
    expect(code).to_contain_text('phrases: ["Speechsite", "Choir"]')


def copied(page: Page, example: str) -> str:
    page.click(f"#code-{example}")
    page.click("[data-code-copy]")
    expect(page.locator("[data-code-copy]")).to_have_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_code_is_copied_without_permission(open_page: OpenPage) -> None:
    """As on a page whose address is not secure: there browsers have no clipboard for scripts."""
    page = open_page("/api/")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("#tab-code")
    page.click("[data-code-copy]")
    expect(page.locator("[data-code-copy]")).to_have_text("Copied")
    expect(page.locator("[data-status]")).to_have_text("Copied")
    page.click("#phrases")
    page.keyboard.press("Control+V")
    assert "asyncio.run(main" in page.input_value("#phrases")


PROGRAMS = {
    "python": (sys.executable,),
    "node": NODE,
    "websocat": ("sh",),
    "curl": ("sh",),
}


@pytest.mark.parametrize("example", PROGRAMS)
def test_the_code_runs_as_it_was_copied(open_page: OpenPage, tmp_path: Path, example: str) -> None:
    page = open_page("/api/")
    page.fill("#phrases", "it's natural\nlanguage")
    page.click("#tab-code")
    program = tmp_path / "program.mjs"
    program.write_text(copied(page, example))
    clip = wav_of(load_clip("riva-en-us-sample"), tmp_path)
    done = run(*PROGRAMS[example], program, clip, path=path_with_websocat(tmp_path))
    assert done.returncode == 0, done.stderr.decode()
    assert "natural language processing" in done.stdout.decode()
