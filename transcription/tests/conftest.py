"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from speechsite.tests.conftest import new_data_dir
from transcription.tests.asr_process import running_asr_process

__all__ = ["asr_address", "new_data_dir"]

# No deadline: how long an example takes says something about the machine, not about the code.
settings.register_profile("tests", deadline=None, max_examples=60)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def asr_address() -> Iterator[str]:
    """host:port of the embedded recogniser, its model loaded once for all tests; eight streams."""
    with running_asr_process("--max-streams", "8") as process:
        yield process.address
