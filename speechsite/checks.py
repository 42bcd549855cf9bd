"""System checks of the settings' file: what `serve` and most other commands warn of before they begin."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.core.checks import CheckMessage, Warning, register
from pydantic_settings import DotEnvSettingsSource

from speechsite.config import ENV_FILE, Config

# Of 1.0. MAX_CONCURENT_SESSIONS has 0.98, DB_URL for DATABASE_URL 0.67; names of other programs are less like ours.
LIKENESS = 0.8
# These checks alone, for who has no time to import all that Django's own look at.
TAG = "settings_file"
KNOWN = [name.upper() for name in Config.model_fields]


def misspelt_settings(names: Iterable[str]) -> dict[str, str]:
    """The names that are no setting but look like one, each with the one they look like."""
    found = {}
    for name in map(str.upper, names):
        if name not in KNOWN and (nearest := get_close_matches(name, KNOWN, n=1, cutoff=LIKENESS)):
            found[name] = nearest[0]
    return found


@register(TAG)
def check_env_file(**_kwargs: Any) -> list[CheckMessage]:
    """Others' names may stand in the file too and are none of our business."""
    return [
        Warning(
            f"{ENV_FILE}: {name} is no setting and has no effect.", hint=f"Is {nearest} meant?", id="speechsite.W001"
        )
        for name, nearest in misspelt_settings(DotEnvSettingsSource(Config).env_vars).items()
    ]
