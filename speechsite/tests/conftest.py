"""Data folders with a migrated database, for services that tests start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from speechsite.tests.served import manage


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has been migrated once; tests copy it."""
    folder = tmp_path_factory.mktemp("migrated")
    outcome = manage("migrate", "--verbosity", "0", data_dir=folder, DATABASE_URL="sqlite://")
    assert outcome.returncode == 0, outcome.stderr
    return folder


@pytest.fixture(scope="module")
def new_data_dir(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    def make() -> Path:
        folder = tmp_path_factory.mktemp("served")
        shutil.copytree(migrated, folder, dirs_exist_ok=True)
        return folder

    return make
