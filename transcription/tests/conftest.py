"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from transcription.tests.asr_process import running_asr_process


@pytest.fixture(scope="session")
def asr_address() -> Iterator[str]:
    """host:port of the embedded recogniser, its model loaded once for all tests; eight streams."""
    with running_asr_process("--max-streams", "8") as process:
        yield process.address
