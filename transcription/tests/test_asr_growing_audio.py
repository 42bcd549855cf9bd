"""Audio that grows at its end, and views that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from transcription.asr_server.growing_audio import FIRST_CAPACITY, GrowingAudio


def test_a_view_shows_what_was_appended() -> None:
    audio = GrowingAudio()
    audio.append(np.arange(5, dtype=np.float32))
    audio.append(np.arange(5, 8, dtype=np.float32))
    assert audio.view(3, 7).tolist() == [3, 4, 5, 6]
    assert audio.view(6, 100).tolist() == [6, 7]
    assert len(audio) == 8


def test_a_view_stays_as_it_is_while_more_comes_than_there_was_room_for() -> None:
    audio = GrowingAudio()
    audio.append(np.ones(FIRST_CAPACITY, np.float32))
    view = audio.view(0, FIRST_CAPACITY)
    for _ in range(3):
        audio.append(np.zeros(FIRST_CAPACITY, np.float32))
    assert view.all()
    assert audio.view(0, FIRST_CAPACITY).all()
    assert not audio.view(FIRST_CAPACITY, 10**9).any()


def test_a_view_cannot_be_written_to() -> None:
    audio = GrowingAudio()
    audio.append(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        audio.view(0, 3)[0] = 0
