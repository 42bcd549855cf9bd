"""A whole served site, a Chromium whose microphone plays a clip, and pages whose every complaint fails the test."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, StorageState, sync_playwright

from speechsite.tests.chromium import find_chromium
from speechsite.tests.migrated import copy_migrated
from speechsite.tests.served import Served, manage
from transcription.tests.pseudo_locale import write_pseudo_locale
from transcription.tests.speech_clips import SPEECH_FOLDER, load_samples

MICROPHONE_RATE_HZ = 48_000
OPERATOR = ("operator", "an-operator-of-tests")
VIEWER_OF_NOTHING = ("nobody", "a-person-without-rights")
# Seen from here a page is not secure: browsers make an exception for localhost alone.
INSECURE_HOST = "speech.test"
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)
ACTION_TIMEOUT_MS = 15_000

SEEDS = (Path(__file__).with_name("seed.py"), Path(__file__).with_name("seed_review.py"))
SCREENSHOTS = Path(__file__).parents[3] / "test-results" / "screenshots"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The whole service with the embedded recogniser, an operator and some past sessions; in one language more."""
    data_dir = tmp_path_factory.mktemp("site")
    copy_migrated(data_dir)
    # In one process, for starting it is most of its time.
    program = "\n".join(seed.read_text() for seed in SEEDS)
    outcome = manage("shell", "--command", program, data_dir=data_dir, DATABASE_URL="")
    assert outcome.returncode == 0, outcome.stderr
    hosts = f"127.0.0.1,localhost,{INSECURE_HOST}"
    pseudo = data_dir / "locale"
    write_pseudo_locale(pseudo)
    settings = {"DJANGO_SETTINGS_MODULE": "transcription.tests.pseudo_settings", "PSEUDO_LOCALE": str(pseudo)}
    with Served(data_dir, DATABASE_URL="", ALLOWED_HOSTS=hosts, **settings) as served:
        yield served


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Callable[..., Browser]]:
    """Start Chromium with further flags; each set of flags is started once."""
    started: dict[tuple[str, ...], Browser] = {}

    def start(*flags: str) -> Browser:
        if flags not in started:
            started[flags] = playwright.chromium.launch(executable_path=find_chromium(), args=[*CHROMIUM_FLAGS, *flags])
        return started[flags]

    yield start
    for browser in started.values():
        browser.close()


@pytest.fixture(scope="session")
def browser(chromium: Callable[..., Browser]) -> Browser:
    """Without any microphone."""
    return chromium()


@pytest.fixture(scope="session")
def speaking_browser(chromium: Callable[..., Browser], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Its microphone plays a clip, once, from the moment it is opened."""
    path = tmp_path_factory.mktemp("microphone") / "jfk.wav"
    samples = load_samples(SPEECH_FOLDER / "jfk.flac", MICROPHONE_RATE_HZ)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return chromium(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    )


@dataclass
class Watch:
    """Everything that a page's console, scripts and policy complained about."""

    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def expect(self, *parts: str) -> None:
        """Complaints with one of these in them are part of the test."""
        self.expected += parts

    def follow(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.expected)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A complaint that the test did not expect fails it; violations of the content policy are among them."""
    watch = Watch()
    yield watch
    assert watch.unexpected == []


@pytest.fixture(scope="session")
def logged_in(site: Served, browser: Browser) -> Callable[[tuple[str, str]], StorageState]:
    """A person's cookies; each logs in once, since passwords are slow to check on purpose."""
    states: dict[tuple[str, str], StorageState] = {}

    def cookies_of(person: tuple[str, str]) -> StorageState:
        if person not in states:
            with browser.new_context(base_url=site.url) as context:
                log_in(context.new_page(), person)
                states[person] = context.storage_state()
        return states[person]

    return cookies_of


@pytest.fixture
def open_page(
    site: Served, browser: Browser, logged_in: Callable[[tuple[str, str]], StorageState], watch: Watch
) -> Iterator[Callable[..., Page]]:
    """A page of the site in a context of its own, logged in if a person is given."""
    contexts: list[BrowserContext] = []

    def open_page(
        path: str,
        *,
        person: tuple[str, str] | None = None,
        by: Browser | None = None,
        width: int = 1360,
        theme: str = "light",
        language: str = "en-US",
        base_url: str | None = None,
    ) -> Page:
        context = (by or browser).new_context(
            base_url=base_url or site.url,
            viewport={"width": width, "height": 844 if width < 760 else 900},
            locale=language,
            color_scheme="dark" if theme == "dark" else "light",
            storage_state=logged_in(person) if person is not None else None,
            permissions=["clipboard-read", "clipboard-write"] if base_url is None else [],
        )
        contexts.append(context)
        context.set_default_timeout(ACTION_TIMEOUT_MS)
        page = context.new_page()
        watch.follow(page)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def log_in(page: Page, person: tuple[str, str]) -> None:
    page.goto("/login/")
    page.fill("[name=username]", person[0])
    page.fill("[name=password]", person[1])
    page.click("main button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)


def insecure_url(site: Served) -> str:
    return site.url.replace("127.0.0.1", INSECURE_HOST)


def screenshot(page: Page, name: str) -> None:
    """Kept for people to look at; not compared."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def check(page: Page, name: str, width: int, theme: str, *, preload: bool = True) -> None:
    """Nothing for axe to find, nothing that makes the page scroll sideways; a screenshot for people.

    preload: whether axe reads style sheets first. Those that import others it can only read against the content policy.
    """
    page.wait_for_load_state("load")
    screenshot(page, f"{name}-{width}-{theme}")
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "the page scrolls sideways"
    results = Axe().run(page, options={"preload": preload})
    assert results.violations_count == 0, results.generate_report()
