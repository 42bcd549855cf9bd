"""What is loaded when, as the start must not take long, and no session shall wait for the first page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from speechsite.config import BASE_DIR

PARENT = "import django; sys.argv = ['manage.py', 'serve']; django.setup()"
WORKER = "from speechsite.server import load_pages; load_pages()"
PAGES = {"transcription.admin", "transcription.rest.api", "transcription.pages.views"}
HEAVY = {"numpy", "grpc", "av"}


def loaded_after(program: str, data_dir: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {program}; print(json.dumps(list(sys.modules)))"],
        cwd=BASE_DIR,
        env={**os.environ, "DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "speechsite.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_parent_loads_neither_pages_nor_what_streams_need(tmp_path: Path) -> None:
    assert not (PAGES | HEAVY) & loaded_after(PARENT, tmp_path)


def test_a_worker_has_loaded_its_pages_before_the_first_is_asked_for(tmp_path: Path) -> None:
    loaded = loaded_after(WORKER, tmp_path)
    assert not PAGES - loaded
