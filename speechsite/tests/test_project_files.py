"""The files around the code: what they promise holds."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from speechsite.config import BASE_DIR

PINNED = ["requirements.txt", "requirements-dev.txt"]


def test_help_lists_every_target_that_people_call() -> None:
    listing = subprocess.run(
        ["make", "--no-print-directory", "help"],  # noqa: S607 - where make lies differs between systems
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for target in ("serve", "test", "install", "lint", "format", "requirements", "clean"):
        assert re.search(rf"^  make {target} +\S", listing, re.MULTILINE), target


@pytest.mark.parametrize("name", PINNED)
def test_every_pin_has_hashes_and_no_place_to_fetch_it_from(name: str) -> None:
    text = (BASE_DIR / name).read_text()
    pins = re.findall(r"^[a-z0-9][^ \n]*==\S+.*\\\n {4}--hash=sha256:", text, re.MULTILINE)

    assert len(pins) == len(re.findall(r"^[a-z0-9].*==", text, re.MULTILINE)) > 20
    assert not re.search(r"https?://|file://|--index-url|--extra-index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize(
    "path", [".ci/run", "manage.py", *(f"scripts/{p.name}" for p in (BASE_DIR / "scripts").iterdir())]
)
def test_what_is_called_by_name_can_be_run(path: str) -> None:
    assert os.access(BASE_DIR / path, os.X_OK)
    assert (BASE_DIR / path).read_text().startswith("#!")


def test_the_image_contains_nothing_private() -> None:
    ignored = (BASE_DIR / ".dockerignore").read_text().split()

    # `.*` covers .env, .git and .venv.
    assert {".*", "var"} <= set(ignored)


@pytest.mark.parametrize("document", sorted((BASE_DIR / "docs").glob("*.md")), ids=lambda path: path.name)
def test_files_that_the_documents_name_exist(document: Path) -> None:
    folders = ("docs", "examples", "speechsite", "static", "templates", "transcription")
    there = [f"/{path.relative_to(BASE_DIR)}" for folder in folders for path in (BASE_DIR / folder).rglob("*.*")]
    named = re.findall(r"`([\w./-]+\.(?:py|js|html|css))`", document.read_text())

    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []
