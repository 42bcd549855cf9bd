"""What a first visit of the recording page loads."""

from __future__ import annotations

import gzip
import re

import pytest
from django.test import Client

from speechsite.config import BASE_DIR
from transcription.tests.rows import make_user

STATIC = BASE_DIR / "static"
MAX_BYTES = 60_000
LOADED = re.compile(r'(?:href|src|data-worklet-url)="/static/([\w./-]+\.(?:css|js|svg|webmanifest))"')
IMPORT = re.compile(r'from "\./([\w-]+\.js)"')


def loaded_files(html: str) -> set[str]:
    """Every file of ours that the page needs, the modules that its modules import included."""
    found: set[str] = set()
    waiting = LOADED.findall(html)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [f"js/{module}" for module in IMPORT.findall((STATIC / name).read_text())]
    return found


@pytest.mark.django_db
def test_the_recording_page_is_light() -> None:
    client = Client()
    client.force_login(make_user())
    html = client.get("/").content
    names = loaded_files(html.decode())
    assert {"js/record.js", "js/transcription-socket.js", "js/pcm-worklet.js", "css/record.css"} <= names
    parts = [html, *((STATIC / name).read_bytes() for name in names)]
    assert sum(len(gzip.compress(part)) for part in parts) <= MAX_BYTES


def test_the_socket_of_the_pages_can_be_copied_as_one_file() -> None:
    assert IMPORT.findall((STATIC / "js" / "transcription-socket.js").read_text()) == []
