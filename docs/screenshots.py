"""Make the pictures of the README: the whole service, real clips, a browser whose microphone plays one.

    .venv/bin/python docs/screenshots.py

Needs what the browser tests need. Writes docs/images/recording.png and console.png.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BASE_DIR))
os.environ["ENV_FILE"] = ""

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from examples.speech_client import transcribe  # noqa: E402
from speechsite.tests.chromium import find_chromium  # noqa: E402
from speechsite.tests.served import Served, manage  # noqa: E402
from transcription.tests.speech_clips import SPEECH_FOLDER, load_clip, load_samples  # noqa: E402

IMAGES = BASE_DIR / "docs" / "images"
SIZE = {"width": 1200, "height": 720}
MICROPHONE_RATE_HZ = 48_000
CHUNK_BYTES = 3200
CHUNK_S = 0.1
WORDS_TIMEOUT_MS = 60_000
OPERATOR, PASSWORD = "operator", "for-the-pictures-only"
MICROPHONE = "long-librispeech-3331"
SPEAKERS = (
    ("Reading: Sense and Sensibility", "austen-0920"),
    ("Voicemail prompts", "asterisk-vm-instructions"),
    ("Inaugural address", "jfk"),
)


async def endless(name: str) -> AsyncIterator[bytes]:
    """A clip over and over, as fast as it was spoken."""
    pcm = load_clip(name).pcm
    while True:
        for start in range(0, len(pcm), CHUNK_BYTES):
            yield pcm[start : start + CHUNK_BYTES]
            await asyncio.sleep(CHUNK_S)


async def speak(url: str, stop: threading.Event) -> None:
    """Sessions of other applications, until told to stop."""
    address = f"ws{url.removeprefix('http')}/api/v1/transcribe"
    tasks = [
        asyncio.create_task(
            transcribe(f"{address}/{name}", endless(name), {"title": title}, on_transcript=lambda event: None)
        )
        for title, name in SPEAKERS
    ]
    await asyncio.to_thread(stop.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def speaking(url: str) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(speak(url, stop)))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def microphone_file(folder: Path) -> Path:
    path = folder / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_RATE_HZ)
        file.writeframes(load_samples(SPEECH_FOLDER / f"{MICROPHONE}.flac", MICROPHONE_RATE_HZ).astype("<i2").tobytes())
    return path


def log_in(page: Page) -> None:
    page.goto("/login/")
    page.fill("[name=username]", OPERATOR)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)


def take_pictures(url: str, folder: Path) -> None:
    flags = [
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone_file(folder)}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        context = browser.new_context(base_url=url, viewport=SIZE, color_scheme="light")
        context.set_default_timeout(WORDS_TIMEOUT_MS)
        recording = context.new_page()
        log_in(recording)
        recording.goto("/")
        recording.locator("[data-record-button]").click()
        # Two finals, and words on their way to the next.
        recording.locator("[data-log] .final").nth(1).wait_for()
        recording.locator("[data-interim]").filter(has_text=re.compile(r"\w+ \w+ \w+")).wait_for()
        recording.screenshot(path=IMAGES / "recording.png")
        with speaking(url):
            console = context.new_page()
            console.goto("/console/")
            captions = console.locator("[data-rows] tr .caption").filter(has_text=re.compile(r"(\w+\W+){6}"))
            captions.nth(len(SPEAKERS)).wait_for()
            console.locator("[data-kpi=live]").filter(has_text=str(len(SPEAKERS) + 1)).wait_for()
            console.screenshot(path=IMAGES / "console.png")
        browser.close()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        settings = {"DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DATABASE_URL": ""}
        manage("migrate", data_dir=data_dir, **settings).check_returncode()
        account = ("createsuperuser", "--noinput", "--username", OPERATOR, "--email", "operator@example.org")
        manage(*account, data_dir=data_dir, **settings).check_returncode()
        with Served(data_dir, **settings) as service:
            take_pictures(service.url, data_dir)


if __name__ == "__main__":
    main()
