"""What the recording page says and does while its connection is away, against a service that is played by the test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from transcription.tests.browser.conftest import check

TIMEOUT_MS = 20_000
VIEWS = [(1360, "light"), (1360, "dark"), (390, "light"), (390, "dark")]
BYTES_PER_MS = 32

OpenPage = Callable[..., Page]

# The first test of a run also waits for the service to start.
pytestmark = pytest.mark.timeout(240)


class PlayedService:
    """The transcription socket as the test wants it. It settles nothing; `audio` is what it heard of the session."""

    def __init__(self, page: Page) -> None:
        self.audio = b""
        self.openings: list[dict[str, Any]] = []
        self.is_away = False
        self.is_forgetful = False
        self.socket: WebSocketRoute | None = None
        page.route_web_socket(re.compile("/transcribe/"), self._connect)

    def cut(self, code: int = 4500, message: str = "A fault of ours.") -> None:
        """End the connection and answer no other until `is_away` is false."""
        assert self.socket is not None
        self.is_away = True
        self._fail(self.socket, code, message)

    def tell(self, event: str, **fields: Any) -> None:
        assert self.socket is not None
        self.socket.send(json.dumps({"event": event, **fields}))

    def final(self, segment: int, text: str, *, tail: bool = False) -> None:
        times = {"start_ms": 0, "end_ms": 900, "words": [], "alternatives": [], "language": "en-US"}
        self.tell("transcript", segment=segment, is_final=True, text=text, durable=True, tail=tail, **times)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self.is_away:
            self._fail(socket, 4503, "This server is being updated.")
            return
        self.socket = socket
        socket.on_message(self._hear)
        limits = {"max_audio_bytes": 65536, "resume_window_ms": 600_000}
        self.tell("session_created", session_id="a", protocol="speech.v1", limits=limits)

    def _hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.audio += message
            self.tell("audio_ack", received=len(self.audio), safe=0, limit=10**9)
            return
        heard = json.loads(message)
        if heard["type"] == "start_transcription":
            self.openings.append(heard)
            self.audio = b""
            started = {"config": {}, "resume_token": "token", "resumable": True, "audio_offset": 0}
            self.tell("transcription_started", session_id="a", **started)
            self.tell("audio_ack", received=0, safe=0, limit=10**9)
        elif heard["type"] == "resume_transcription":
            self.openings.append(heard)
            self._resume()
        elif heard["type"] == "stop_transcription":
            self._stop()

    def _resume(self) -> None:
        assert self.socket is not None
        if self.is_forgetful:
            self._fail(self.socket, 4404, "There is no such session to resume.", retryable=False)
            return
        self.audio = b""
        self.tell("transcription_resumed", session_id="a", audio_offset=0, next_segment=0)
        self.tell("audio_ack", received=0, safe=0, limit=10**9)

    def _stop(self) -> None:
        size = len(self.audio)
        fields = {"audio_ms": size // BYTES_PER_MS, "received": size, "safe": size, "segments": 1, "gaps": []}
        self.tell("transcription_stopped", reason="client", **fields)
        assert self.socket is not None
        self.socket.close(code=1000)

    def _fail(self, socket: WebSocketRoute, code: int, message: str, *, retryable: bool = True) -> None:
        error = {"code": code, "reason": "played", "message": message, "retryable": retryable, "retry_after_ms": None}
        socket.send(json.dumps({"event": "error", **error, "field": None, "request_id": "r-42", "safe": None}))
        socket.close(code=code)


def record(page: Page) -> None:
    page.locator("[data-record-button]").click()
    expect(page.locator("[data-state-pill]")).to_have_text("Recording")
    expect(page.locator("[data-timer]")).to_have_text("00:01", timeout=TIMEOUT_MS)


def expect_saved(page: Page, title: str = "Saved") -> None:
    expect(page.locator("[data-saved]")).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.locator("[data-saved-title]")).to_have_text(title)


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_a_lost_connection_is_told_and_what_was_said_meanwhile_is_sent(
    open_page: OpenPage, speaking_browser: Browser, width: int, theme: str
) -> None:
    page = open_page("/", by=speaking_browser, width=width, theme=theme)
    service = PlayedService(page)
    record(page)
    service.final(0, "What was said before.")
    service.final(1, "What was cut off", tail=True)
    expect(page.locator("[data-log] .final")).to_have_count(2)
    service.cut()
    text = "Connection lost. Still recording on this device (up to 10 min)…"
    expect(page.locator("[data-notice-text]")).to_have_text(text)
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting")
    expect(page.locator("[data-connection-pill]")).to_have_text("Only on this device until you reconnect")
    expect(page.locator("[data-timer]")).to_have_text("00:04", timeout=TIMEOUT_MS)
    check(page, "record-reconnecting", width, theme)
    service.is_away = False
    expect(page.locator("[data-notice-text]")).to_have_text(
        re.compile(r"^Back\. \d+ s were sent late\.$"), timeout=TIMEOUT_MS
    )
    service.tell("revised", from_segment=1)
    expect(page.locator("[data-log] .final")).to_have_count(1)
    service.final(1, "What was cut off, and the rest.")
    expect(page.locator("[data-state-pill]")).to_have_text("Recording")
    expect(page.locator("[data-connection-pill]")).to_have_text("Connected · saving to the server")
    check(page, "record-back", width, theme)
    assert service.openings[-1]["received_segments"] == 2
    page.locator("[data-record-button]").click()
    expect_saved(page)
    assert len(service.audio) > 4000 * BYTES_PER_MS


def test_a_recogniser_that_is_down_leaves_the_choice(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/", by=speaking_browser)
    service = PlayedService(page)
    record(page)
    service.cut(4502, "The recogniser failed.")
    text = "Captions are unavailable. We can keep recording and transcribe it later."
    expect(page.locator("[data-notice-text]")).to_have_text(text)
    check(page, "record-recogniser-down", 1360, "light")
    page.get_by_role("button", name="Keep recording").click()
    expect(page.locator("[data-notice]")).to_be_hidden()
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting")
    service.is_away = False
    expect(page.locator("[data-state-pill]")).to_have_text("Recording", timeout=TIMEOUT_MS)


def test_a_stop_without_a_connection_is_finished_when_it_is_back(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    page = open_page("/", by=speaking_browser)
    service = PlayedService(page)
    record(page)
    service.cut()
    page.locator("[data-record-button]").click()
    expect(page.locator("[data-record-button]")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("[data-state-pill]")).to_have_text("Reconnecting")
    service.is_away = False
    expect_saved(page)


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_a_full_buffer_pauses_and_says_what_is_safe(
    open_page: OpenPage, speaking_browser: Browser, width: int, theme: str
) -> None:
    page = open_page("about:blank", by=speaking_browser, width=width, theme=theme)
    page.route("**/transcription-socket*.js", lambda route: shrink_buffer(route, 3000 * BYTES_PER_MS))
    service = PlayedService(page)
    page.goto("/")
    record(page)
    service.cut()
    text = "Paused: no connection for 10 min. What you said until 00:03 is safe."
    expect(page.locator("[data-notice-text]")).to_have_text(text, timeout=TIMEOUT_MS)
    expect(page.locator("[data-pause]")).to_have_text("Continue")
    check(page, "record-buffer-full", width, theme)
    service.is_away = False
    expect(page.locator("[data-notice-text]")).to_contain_text("Back.", timeout=TIMEOUT_MS)
    expect(page.locator("[data-notice-help]")).to_have_text("The recording is paused: press Continue to go on.")
    page.locator("[data-record-button]").click()
    expect_saved(page)


def shrink_buffer(route: Route, size_bytes: int) -> None:
    """Ten minutes are too long for a test: the same file with another bound."""
    answer = route.fetch()
    script, count = re.subn(r"MAX_HELD_BYTES = [\d_]+;", f"MAX_HELD_BYTES = {size_bytes};", answer.text())
    assert count == 1
    route.fulfill(response=answer, body=script)


def record_and_reload(page: Page, title: str = "") -> None:
    if title:
        page.locator("[data-settings] summary").click()
        page.fill("[data-title]", title)
    record(page)
    expect(page.locator("[data-timer]")).to_have_text("00:03", timeout=TIMEOUT_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_a_recording_that_a_reload_interrupted_is_recovered(
    open_page: OpenPage, speaking_browser: Browser, width: int, theme: str
) -> None:
    page = open_page("/", by=speaking_browser, width=width, theme=theme)
    service = PlayedService(page)
    record_and_reload(page, "Choir practice")
    text = re.compile(r"^A recording from \d\d:\d\d was interrupted \([34] s\)\.$")
    expect(page.locator("[data-recovered-text]")).to_have_text(text)
    check(page, "record-recovered", width, theme)
    page.get_by_role("button", name="Recover").click()
    expect_saved(page, "Saved: Choir practice")
    assert service.openings[-1] == {
        "type": "resume_transcription",
        "resume_token": "token",
        "received_segments": 0,
        "held_from": 0,
    }
    assert len(service.audio) >= 2500 * BYTES_PER_MS
    page.reload()
    expect(page.locator("[data-state-pill]")).to_have_text("Ready")
    expect(page.locator("[data-recovered]")).to_be_hidden()


def test_what_is_recovered_too_late_becomes_a_recording_of_its_own(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    page = open_page("/", by=speaking_browser)
    service = PlayedService(page)
    record_and_reload(page)
    service.is_forgetful = True
    page.get_by_role("button", name="Recover").click()
    expect_saved(page)
    expect(page.locator("[data-notice-text]")).to_contain_text("are saved as a recording of their own")
    assert [opening["type"] for opening in service.openings[-2:]] == ["resume_transcription", "start_transcription"]
    assert len(service.audio) >= 2500 * BYTES_PER_MS
    check(page, "record-resent", 1360, "light")


def test_an_interrupted_recording_is_discarded_only_after_asking(
    open_page: OpenPage, speaking_browser: Browser
) -> None:
    page = open_page("/", by=speaking_browser)
    PlayedService(page)
    record_and_reload(page)
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.locator("[data-recovered-help]")).to_contain_text("cannot be brought back")
    check(page, "record-discard", 1360, "light")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Discard", exact=True).click()
    page.get_by_role("button", name="Discard the recording").click()
    expect(page.locator("[data-recovered]")).to_be_hidden()
    page.reload()
    expect(page.locator("[data-state-pill]")).to_have_text("Ready")
    expect(page.locator("[data-recovered]")).to_be_hidden()


def test_a_recording_that_runs_in_another_tab_is_not_offered(open_page: OpenPage, speaking_browser: Browser) -> None:
    page = open_page("/", by=speaking_browser)
    PlayedService(page)
    record(page)
    other = page.context.new_page()
    other.goto("/")
    expect(other.locator("[data-state-pill]")).to_have_text("Ready")
    other.wait_for_timeout(2500)  # longer than a page that is being reloaded is waited for
    expect(other.locator("[data-recovered]")).to_be_hidden()
