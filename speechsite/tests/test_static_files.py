"""Static files under hashed names, as production serves them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from speechsite.config import BASE_DIR

OURS = BASE_DIR / "static"
IMPORTED = re.compile(r"""\bfrom\s*["']\./([^"']+)["']""")


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("static")
    storages = {**settings.STORAGES, "staticfiles": {"BACKEND": "speechsite.static_files.ManifestStorage"}}
    with override_settings(STATIC_ROOT=root, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


def test_every_module_and_sheet_of_ours_has_a_hashed_name(collected: Path) -> None:
    names = json.loads((collected / "staticfiles.json").read_text())["paths"]

    ours = [p.relative_to(OURS).as_posix() for p in OURS.rglob("*.*") if p.is_file()]
    assert ours
    assert all(names[name] != name for name in ours)


def test_modules_import_each_other_by_hashed_names(collected: Path) -> None:
    names = set(json.loads((collected / "staticfiles.json").read_text())["paths"].values())
    imports = [
        (path.name, imported)
        for path in (collected / "js").glob("*.js")
        if f"js/{path.name}" in names
        for imported in IMPORTED.findall(path.read_text())
    ]

    assert imports
    assert [pair for pair in imports if f"js/{pair[1]}" not in names] == []
