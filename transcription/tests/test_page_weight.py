"""What a first visit of the recording page and of the review page loads."""

from __future__ import annotations

import gzip
import posixpath
import re

import pytest
from django.conf import settings
from django.test import Client

from speechsite.config import BASE_DIR
from speechsite.script_texts import script_texts, script_texts_address
from transcription.tests.rows import make_session, make_user

STATIC = BASE_DIR / "static"
MAX_RECORDING_BYTES = 60_000
MAX_REVIEW_BYTES = 120_000
LOADED = re.compile(r'(?:href|src|data-worklet-url)="/static/([\w./-]+\.(?:css|js|svg|webmanifest))"')
IMPORT = re.compile(r'from "(\.{1,2}/[\w/-]+\.js)"')


def loaded_files(html: str) -> set[str]:
    """Every file of ours that the page needs, the modules that its modules import included."""
    found: set[str] = set()
    waiting = LOADED.findall(html)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            folder = posixpath.dirname(name)
            modules = IMPORT.findall((STATIC / name).read_text())
            waiting += [posixpath.normpath(posixpath.join(folder, module)) for module in modules]
    return found


def compressed_bytes(html: bytes, names: set[str]) -> int:
    return sum(len(gzip.compress(part)) for part in [html, *((STATIC / name).read_bytes() for name in names)])


@pytest.mark.django_db
def test_the_recording_page_is_light() -> None:
    client = Client()
    client.force_login(make_user())
    html = client.get("/").content
    names = loaded_files(html.decode())
    assert {"js/record.js", "js/transcription-socket.js", "js/pcm-worklet.js", "css/record.css"} <= names
    assert compressed_bytes(html, names) <= MAX_RECORDING_BYTES


@pytest.mark.django_db
def test_the_review_page_is_light() -> None:
    client = Client()
    user = make_user()
    client.force_login(user)
    session = make_session("Ask not what your country can do for you.", owner=user)
    html = client.get(f"/console/sessions/{session.public_id}/").content
    names = loaded_files(html.decode())
    assert {"js/review/page.js", "js/review/change-queue.js", "js/i18n.js", "css/review.css"} <= names
    assert compressed_bytes(html, names) <= MAX_REVIEW_BYTES


def test_the_socket_of_the_pages_can_be_copied_as_one_file() -> None:
    assert IMPORT.findall((STATIC / "js" / "transcription-socket.js").read_text()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE])
def test_the_pages_are_light_in_every_language(language: str) -> None:
    client = Client(headers={"Accept-Language": language})
    user = make_user()
    client.force_login(user)
    session = make_session("Ask not what your country can do for you.", owner=user)
    review = f"/console/sessions/{session.public_id}/"
    for path, part, limit in (("/", "record", MAX_RECORDING_BYTES), (review, "all", MAX_REVIEW_BYTES)):
        texts = script_texts(language, part)
        assert texts is not None
        texts_bytes = len(gzip.compress(texts.script.encode()))
        html = client.get(path).content
        assert str(script_texts_address(language, part)) in html.decode()
        assert compressed_bytes(html, loaded_files(html.decode())) + texts_bytes <= limit
