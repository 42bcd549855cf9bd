"""docs/settings.md and .env.example describe every setting, with its default, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from speechsite.config import BASE_DIR, Config

DOCUMENT = (BASE_DIR / "docs" / "settings.md").read_text()
EXAMPLE = (BASE_DIR / ".env.example").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*)$", DOCUMENT, re.MULTILINE))
LINES = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
NAMES = [name.upper() for name in Config.model_fields]


def default_text(name: str) -> str:
    """The default as one would write it; empty where there is none, or where it depends on the place."""
    default = Config.model_fields[name.lower()].default
    if default in ("", None, []) or isinstance(default, SecretStr | Path):
        return ""
    return str(default)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_described_with_its_default_unit_and_meaning(name: str) -> None:
    default, unit, meaning = ROWS[name].rstrip(" |").split(" | ", 2)

    if default_text(name):
        assert default == f"`{default_text(name)}`"
    else:
        assert not default.startswith("`") or name == "DATA_DIR"
    assert unit
    assert len(meaning) > 15


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_the_example_with_its_default(name: str) -> None:
    assert LINES[name] == default_text(name)


def test_nothing_is_described_that_does_not_exist() -> None:
    assert set(ROWS) == set(NAMES)
    assert set(LINES) == set(NAMES)


def test_the_document_warns_of_every_unsafe_setting() -> None:
    unsafe = Config(environment="development").unsafe_in_production()

    named = {sentence.split()[0] for sentence in unsafe}
    promise = DOCUMENT.split("does not start on unsafe settings", 1)[1]
    assert named == {"SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"}
    assert all(name in promise for name in named)
