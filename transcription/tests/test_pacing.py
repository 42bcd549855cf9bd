"""How fast audio is sent again."""

from __future__ import annotations

from transcription.engine.pacing import BURST_S, PIECE_S, ReplayPace

SECOND = 32000


def pace(seconds: int = 10, speed: float = 4) -> ReplayPace:
    return ReplayPace(start=SECOND, until=(1 + seconds) * SECOND, bytes_per_second=SECOND, speed=speed, now_s=100.0)


def test_the_first_second_goes_at_once() -> None:
    assert pace().delay_s(SECOND + round(BURST_S * SECOND), 100.0) == 0.0


def test_the_rest_goes_at_its_speed() -> None:
    assert pace().delay_s(6 * SECOND, 100.0) == 1.0
    assert pace(speed=2).delay_s(6 * SECOND, 100.5) == 1.5
    assert pace().delay_s(6 * SECOND, 102.0) == 0.0


def test_it_goes_in_pieces_up_to_where_live_audio_begins() -> None:
    assert pace().piece_bytes(SECOND) == PIECE_S * SECOND
    assert pace().piece_bytes(11 * SECOND - 100) == 100
    assert pace().piece_bytes(11 * SECOND) is None
    assert pace().delay_s(11 * SECOND, 100.0) == 0.0
