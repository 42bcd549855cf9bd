"""Data folders with a migrated database, for services that tests start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speechsite.tests.migrated import copy_migrated


@pytest.fixture(scope="module")
def new_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    def make() -> Path:
        return copy_migrated(tmp_path_factory.mktemp("served")).parent

    return make
