"""The SQLite database is for its owner's eyes only, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from speechsite.config import Config
from speechsite.database import parse_database_url


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def database_access(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def write_into(url: str, data_dir: Path) -> dict[str, int]:
    """The modes of all files while a written database is open."""
    connection = ConnectionHandler({"default": parse_database_url(url, data_dir)})["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE words (text)")
        return {path.name: S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    finally:
        connection.close()


def test_only_its_owner_can_read_a_new_database_and_its_log(tmp_path: Path) -> None:
    names = ("speechsite.sqlite3", "speechsite.sqlite3-wal", "speechsite.sqlite3-shm")

    assert write_into("", tmp_path) == dict.fromkeys(names, 0o600)


def test_so_is_one_that_is_named(tmp_path: Path) -> None:
    modes = write_into(f"sqlite:///{tmp_path}/my.db", tmp_path)

    assert modes["my.db"] == modes["my.db-wal"] == 0o600


def test_a_database_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "my.db").touch(0o640)

    assert write_into(f"sqlite:///{tmp_path}/my.db", tmp_path)["my.db"] == 0o640


def test_a_new_data_folder_is_for_its_owner_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))

    Config().make_data_dir()

    assert S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
