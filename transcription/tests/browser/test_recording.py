"""Speaking into the page: from the microphone to the stored words, with an operator watching."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from speechsite.tests.served import Served, wait_for
from transcription.tests.browser.conftest import OPERATOR, Watch, check, insecure_url, screenshot
from transcription.tests.speech_clips import SPEECH_FOLDER

SPOKEN_TIMEOUT_MS = 30_000
# Words of the clip that the small model of the tests gets right each time.
EXPECTED_WORDS = ("fellow", "country", "for you")

# Resolves once something of it was played.
PLAY = """url => new Promise((resolve, reject) => {
  const audio = new Audio(url);
  audio.muted = true;
  audio.addEventListener("error", () => reject(new Error(audio.error.message)));
  audio.addEventListener("timeupdate", () => audio.currentTime > 0.2 && resolve(audio.currentTime));
  audio.play().catch(reject);
})"""

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)


def record_button(page: Page) -> None:
    page.locator("[data-record-button]").click()


def saved_id(page: Page) -> str:
    href = page.locator("[data-open]").get_attribute("href") or ""
    return href.rstrip("/").rpartition("/")[2]


def stored_text(page: Page, session_id: str) -> str:
    answer = page.request.get(f"/console/sessions/{session_id}/export.json")
    assert answer.ok
    return "\n".join(segment["text"] for segment in answer.json()["segments"])


def test_it_captions_what_is_spoken_while_it_is_spoken_and_stores_it(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    console = open_page("/console/", person=OPERATOR)
    expect(console.locator("[data-connection]")).to_contain_text("Connected")
    page = open_page("/", by=speaking_browser)
    record_button(page)
    expect(page.locator("[data-state-pill]")).to_have_text("Recording")
    expect(page.locator("[data-interim]")).to_contain_text(re.compile(r"\w+"), timeout=SPOKEN_TIMEOUT_MS)
    expect(page.locator("[data-log] .final").first).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    # Still speaking: the operator sees the words of this moment.
    caption = console.locator("[data-rows] tr .caption").first
    expect(caption).to_contain_text(re.compile("fellow|country"), timeout=SPOKEN_TIMEOUT_MS)
    expect(page.locator("[data-state-pill]")).to_have_text("Recording")
    assert re.match(r"🔴 00:\d\d$", page.title())
    screenshot(page, "record-speaking-1360-light")
    screenshot(console, "console-speaking-1360-light")
    expect(page.locator(".captions-scroller")).to_contain_text("country can do for you", timeout=SPOKEN_TIMEOUT_MS)
    record_button(page)
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    screenshot(page, "record-saved-1360-light")
    shown = "\n".join(page.locator("[data-log] .final").all_inner_texts())
    assert stored_text(page, saved_id(page)) == shown
    assert all(word in shown for word in EXPECTED_WORDS)
    page.click("[data-open]")
    expect(page.locator("[data-transcript]")).to_contain_text("country")
    expect(console.locator("[data-empty]")).to_be_visible()


def test_the_page_of_a_live_session_shows_its_words_and_becomes_its_transcript(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    console = open_page("/console/", person=OPERATOR)
    page = open_page("/", by=speaking_browser)
    record_button(page)
    phone = open_page("/console/", person=OPERATOR, width=390, theme="dark")
    expect(phone.locator("[data-rows] [data-stop]")).to_be_in_viewport(ratio=1)
    expect(phone.locator("[data-rows] [data-time]")).to_be_in_viewport(ratio=1)
    check(phone, "console-speaking", 390, "dark")
    console.locator("[data-rows] [data-open]").first.click()
    expect(console.locator("[data-log]")).to_contain_text("fellow", timeout=SPOKEN_TIMEOUT_MS)
    expect(console.locator("[data-state-pill]")).to_have_text("Live")
    check(console, "session-live", 1360, "light")
    record_button(page)
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    expect(console.locator("[data-transcript]")).to_contain_text("fellow", timeout=SPOKEN_TIMEOUT_MS)


def test_an_operator_stops_a_recording_and_the_speaker_reads_why(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    console = open_page("/console/", person=OPERATOR)
    page = open_page("/", by=speaking_browser)
    page.locator("[data-settings] summary").click()
    page.fill("[data-title]", "<b>Choir</b> practice")
    record_button(page)
    row = console.locator("[data-rows] tr", has_text="<b>Choir</b> practice")
    row.locator("[data-stop]").click()
    expect(console.locator("[data-stop-title]")).to_have_text("Stop “<b>Choir</b> practice”?")
    console.fill("#stop-reason", "The hall closes at nine.")
    screenshot(console, "console-stop-dialog-1360-light")
    console.click("[data-stop-submit]")
    expect(page.locator("[data-notice]")).to_contain_text("The hall closes at nine.", timeout=SPOKEN_TIMEOUT_MS)
    expect(page.locator("[data-saved]")).to_be_visible()
    screenshot(page, "record-stopped-by-operator-1360-light")


def test_audio_that_is_to_be_kept_is_heard_while_it_is_spoken_and_afterwards(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    console = open_page("/console/", person=OPERATOR)
    page = open_page("/", by=speaking_browser)
    page.locator("[data-settings] summary").click()
    page.get_by_label("Keep audio").check()
    check(page, "record-settings", 1360, "light")
    record_button(page)
    row = console.locator("[data-rows] [data-open]").first
    session_id = (row.get_attribute("href") or "").rstrip("/").rpartition("/")[2]
    expect(page.locator("[data-timer]")).to_have_text("00:05", timeout=SPOKEN_TIMEOUT_MS)
    assert page.evaluate(PLAY, f"/api/v1/sessions/{session_id}/audio?live=true") > 0
    record_button(page)
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    address = f"/api/v1/sessions/{saved_id(page)}/audio"
    wait_for(lambda: page.request.get(address).status == 200, "the recording is joined", SPOKEN_TIMEOUT_MS / 1000)
    assert page.evaluate(PLAY, address) > 0


def test_a_pause_sends_nothing_and_ends_with_continue(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/", by=speaking_browser)
    record_button(page)
    expect(page.locator("[data-timer]")).to_have_text("00:01")
    page.click("[data-pause]")
    expect(page.locator("[data-state-pill]")).to_have_text("Paused")
    page.locator("body").press("p")
    expect(page.locator("[data-state-pill]")).to_have_text("Recording")
    page.locator("body").press("r")
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)


def test_a_blocked_microphone_is_told_in_plain_words(open_page: OpenPage, chromium: Callable[..., Browser]) -> None:
    denying = chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny")
    page = open_page("/", by=denying)
    record_button(page)
    expect(page.locator("[data-notice-text]")).to_have_text("The microphone is blocked for this site.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator("[data-drop]")).to_be_visible()
    screenshot(page, "record-denied-1360-light")


def test_a_missing_microphone_is_told_in_plain_words(open_page: OpenPage, chromium: Callable[..., Browser]) -> None:
    page = open_page("/", by=chromium("--use-fake-ui-for-media-stream"))
    record_button(page)
    text = "No microphone found. Plug one in; this page will notice."
    expect(page.locator("[data-notice-text]")).to_have_text(text)
    expect(page.locator("[data-drop]")).to_be_visible()


def test_an_insecure_address_says_so_and_still_takes_files(open_page: OpenPage, site: Served, watch: Watch) -> None:
    watch.expect("Cross-Origin-Opener-Policy header has been ignored")  # as it says of every such address
    page = open_page("/", base_url=insecure_url(site))
    text = "Recording needs HTTPS or localhost. You can still send a file."
    expect(page.locator("[data-notice-text]")).to_have_text(text)
    page.set_input_files("[data-file]", SPEECH_FOLDER / "jfk.flac")
    expect(page.locator("[data-saved]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)


def test_a_file_is_transcribed_with_progress(open_page: OpenPage) -> None:
    page = open_page("/")
    page.set_input_files("[data-file]", SPEECH_FOLDER / "long-librispeech-3331.flac")
    expect(page.locator("[data-transcribing]")).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    expect(page.locator("[data-progress-text]")).to_contain_text("transcribed", timeout=SPOKEN_TIMEOUT_MS)
    screenshot(page, "record-file-1360-light")
    expect(page.locator("[data-log] .final").nth(1)).to_be_visible(timeout=SPOKEN_TIMEOUT_MS)
    expect(page.locator("[data-transcribing]")).to_be_hidden()
    page.click("[data-cancel]")
    expect(page.locator("[data-notice-text]")).to_have_text("Cancelled.")
    expect(page.locator("[data-drop]")).to_be_visible()


def test_a_whole_file_is_stored_under_its_name(open_page: OpenPage) -> None:
    page = open_page("/")
    page.set_input_files("[data-file]", SPEECH_FOLDER / "jfk.flac")
    expect(page.locator("[data-saved-title]")).to_have_text("Saved: jfk.flac", timeout=SPOKEN_TIMEOUT_MS)
    assert "country" in stored_text(page, saved_id(page))
    expect(page.locator("[data-saved-facts]")).to_contain_text("00:11")
    with page.expect_download() as download:
        page.click("[data-download]")
    assert "country" in download.value.path().read_text()


def test_a_dropped_file_that_is_no_audio_is_refused_in_plain_words(open_page: OpenPage) -> None:
    page = open_page("/")
    files = page.evaluate_handle(
        "() => { const t = new DataTransfer(); t.items.add(new File(['hello'], 'notes.txt')); return t; }"
    )
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": files})
    expect(page.locator("[data-notice-text]")).to_contain_text("no audio that your browser can read")
    expect(page.locator("[data-state-pill]")).to_have_text("Ready")


@pytest.mark.parametrize(
    ("error", "text", "help_text"),
    [
        (
            {"code": 4503, "reason": "at_capacity", "retry_after_ms": 100_000},
            "All places are taken.",
            "Nothing was saved. Try again in about 2 min.",
        ),
        (
            {"code": 4502, "reason": "recogniser_failed"},
            "Captions are unavailable: the recogniser does not answer.",
            "Nothing was saved.",
        ),
        (
            {"code": 4507, "reason": "storage_unavailable"},
            "The server cannot save anything right now.",
            "Nothing was saved.",
        ),
    ],
    ids=["full", "recogniser-down", "storage-down"],
)
def test_a_refusal_is_told_in_plain_words(
    open_page: OpenPage, speaking_browser: Browser, error: dict[str, Any], text: str, help_text: str
) -> None:
    page = open_page("/", by=speaking_browser)
    page.route_web_socket(
        re.compile("/transcribe/"), lambda socket: refuse(socket, {"event": "error", "request_id": "r-42", **error})
    )
    record_button(page)
    expect(page.locator("[data-notice-text]")).to_have_text(text)
    expect(page.locator("[data-notice-help]")).to_have_text(help_text)
    expect(page.locator("[data-request-id]")).to_have_text("r-42")
    screenshot(page, f"record-refused-{error['code']}-1360-light")


def refuse(socket: WebSocketRoute, error: dict[str, Any]) -> None:
    """Greet, and answer the first message with an error, as the service does."""

    def answer(_message: str | bytes) -> None:
        socket.send(json.dumps(error))
        socket.close(code=error["code"])

    socket.on_message(answer)
    socket.send(json.dumps({"event": "session_created", "session_id": "a", "protocol": "speech.v1", "limits": {}}))
