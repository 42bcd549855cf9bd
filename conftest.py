"""The environment of every test run: settings of the tests alone, data in a folder that goes away.

It must be set before Django reads its settings, so it happens while pytest loads this file.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

# What a test run takes over from outside: the servers that `scripts/with-services` started.
TAKEN_OVER = {"TEST_DATABASE_URL": "DATABASE_URL", "TEST_REDIS_URL": "REDIS_URL"}

# No `.env`: set before the settings' class is made, and inherited by the servers that tests start.
os.environ["ENV_FILE"] = ""

from speechsite.config import Config  # noqa: E402 - reads ENV_FILE while it is imported
from speechsite.tests.migrated import copy_migrated  # noqa: E402


def _clean_environment() -> None:
    """Leave nothing of the developer's own environment in the settings."""
    for name in Config.model_fields:
        os.environ.pop(name.upper(), None)
        os.environ.pop(name, None)
    data_dir = Path(tempfile.mkdtemp(prefix="speechsite-tests-"))
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    os.environ["DATA_DIR"] = str(data_dir)
    for outside, inside in TAKEN_OVER.items():
        if value := os.environ.get(outside):
            os.environ[inside] = value


_clean_environment()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where this run keeps what the service keeps in DATA_DIR."""
    return Path(os.environ["DATA_DIR"])


@pytest.fixture(scope="session")
def django_db_modify_db_settings(data_dir: Path, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file: in memory it has no WAL and other locks, so threads would meet other errors."""
    from django.conf import settings

    default: dict[str, Any] = settings.DATABASES["default"]
    if is_sqlite():
        default.setdefault("TEST", {})["NAME"] = str(copy_migrated(data_dir, "test.sqlite3"))


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Take the copy of a migrated file as it is; the folder goes away with the run."""
    return is_sqlite()


@pytest.fixture(autouse=True)
def speak_english() -> Iterator[None]:
    """A page asked for in another language leaves it to what runs after it in the same thread: here, the next test."""
    yield
    translation.deactivate()


def is_sqlite() -> bool:
    from django.conf import settings

    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the database is marked `databases`, so that no test has to remember to be run on both."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(names):
            item.add_marker(pytest.mark.databases)
