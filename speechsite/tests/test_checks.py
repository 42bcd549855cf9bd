"""A misspelt name in `.env` is said at the start, with the name that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechsite.checks import misspelt_settings
from speechsite.config import Config
from speechsite.tests.served import manage


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAX_CONCURENT_SESSIONS", "MAX_CONCURRENT_SESSIONS"),
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
        ("RIVA_SERVERS", "RIVA_SERVER"),
        ("RIVA_ROOT_CERTIFICATE", "RIVA_ROOT_CERTIFICATES"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("secret_keys", "SECRET_KEY"),
    ],
)
def test_it_finds_the_name_that_is_meant(name: str, meant: str) -> None:
    assert misspelt_settings([name]) == {name.upper(): meant}


def test_it_takes_no_offence_at_names_of_others() -> None:
    others = [
        "SPEECHSITE_API_KEY",
        "DJANGO_SETTINGS_MODULE",
        "POSTGRES_PASSWORD",
        "COMPOSE_PROJECT_NAME",
        "TZ",
        "DEBUG",
    ]

    assert misspelt_settings([*others, *Config.model_fields]) == {}


def test_a_command_warns_of_a_misspelt_name_and_goes_on(tmp_path: Path) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text("MAX_CONCURENT_SESSIONS=3\nPORT=8123\n")

    outcome = manage("check", data_dir=tmp_path, ENV_FILE=str(env_file))

    assert outcome.returncode == 0
    assert f"{env_file}: MAX_CONCURENT_SESSIONS is no setting and has no effect." in outcome.stderr
    assert "Is MAX_CONCURRENT_SESSIONS meant?" in outcome.stderr
    assert "PORT" not in outcome.stderr


def test_serve_warns_of_it_too(tmp_path: Path) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text("MAX_CONCURENT_SESSIONS=3\n")

    outcome = manage("serve", "--workers", "0", data_dir=tmp_path, ENV_FILE=str(env_file))

    assert "MAX_CONCURENT_SESSIONS is no setting and has no effect." in outcome.stderr
    assert "--workers must be at least 1" in outcome.stderr
