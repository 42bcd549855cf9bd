"""Every metric is really counted somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from speechsite.config import BASE_DIR
from transcription import metrics

NAMES = sorted(name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase))


def _sources() -> list[Path]:
    folders = (BASE_DIR / "transcription", BASE_DIR / "speechsite")
    return [
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if "tests" not in path.parts and path != Path(metrics.__file__)
    ]


SOURCES = "\n".join(path.read_text() for path in _sources())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_used_outside_of_its_definition(name: str) -> None:
    assert any(f"{name}{use}" in SOURCES for use in (".inc", ".set", ".observe", ".labels", ".dec", ".time"))
