"""The client of the native protocol, against a server that breaks off."""

from __future__ import annotations

import pytest

from transcription.client.held_audio import HeldAudio
from transcription.client.native import BackOff, NativeClient, Refused
from transcription.tests.cutting_server import SEGMENT_BYTES, TOKEN, Cut, CuttingServer, chunks_of, numbered_audio

AUDIO = numbered_audio(8)
FINALS = [f"segment {index}" for index in range(8)]


def quick() -> BackOff:
    """Waits of nothing; how long real ones are has a test of its own."""
    return BackOff(random=lambda: -0.5)


async def talk(server: CuttingServer, **options: object) -> tuple[NativeClient, list[str]]:
    events: list[str] = []
    async with (
        server.serving() as url,
        NativeClient(url, on_event=lambda event: events.append(event["event"]), back_off=quick()) as client,
    ):
        await client.start({})
        await client.stream(chunks_of(AUDIO))
    return client, events


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([Cut("audio", 1)], id="at the first byte"),
        pytest.param([Cut("audio", 100_000)], id="in the middle"),
        pytest.param([Cut("audio", 100_000), Cut("audio", 100_001), Cut("audio", 200_000)], id="again and again"),
        pytest.param([Cut("audio", len(AUDIO))], id="at the last byte"),
        pytest.param([Cut("audio", 90_000), Cut("greeting")], id="and before the greeting"),
        pytest.param([Cut("audio", 90_000), Cut("opening")], id="and before the answer"),
        pytest.param([Cut("stop")], id="after the stop"),
        pytest.param([Cut("audio", 64_000), Cut("stop"), Cut("opening")], id="after the stop and again"),
        pytest.param([Cut("audio", 100_000, code=4503, tail=True)], id="draining, with a tail"),
        pytest.param([Cut("audio", 100_000, code=4502, retry_after_ms=10)], id="with the recogniser"),
    ],
)
async def test_it_goes_on_after_a_cut_and_no_byte_is_lost(cuts: list[Cut]) -> None:
    server = CuttingServer(cuts)
    client, _events = await talk(server)
    assert bytes(server.audio) == AUDIO
    assert [client.finals[index]["text"] for index in sorted(client.finals)] == FINALS
    assert client.stopped is not None
    assert client.stopped["segments"] == len(FINALS)
    assert server.connections == len(cuts) + 1
    assert not server.passed_limit


async def test_it_says_what_it_holds_when_it_resumes() -> None:
    server = CuttingServer([Cut("audio", 100_000)])
    await talk(server)
    received = server.openings[1]["received_segments"]
    assert server.openings[1] == {
        "type": "resume_transcription",
        "resume_token": TOKEN,
        "received_segments": received,
        "held_from": received * SEGMENT_BYTES,
    }


async def test_withdrawn_tails_come_again_as_they_should_be() -> None:
    client, events = await talk(CuttingServer([Cut("audio", 100_000, code=4503, tail=True)]))
    assert "revised" in events
    assert "half a sent" not in [final["text"] for final in client.finals.values()]


async def test_what_is_not_retryable_is_raised() -> None:
    server = CuttingServer([Cut("audio", 100_000, code=4490, retryable=False)])
    with pytest.raises(Refused, match="As told") as caught:
        await talk(server)
    assert (caught.value.code, server.connections) == (4490, 1)


async def test_a_session_that_is_gone_is_raised() -> None:
    server = CuttingServer([Cut("audio", 100_000), Cut("opening", code=4404, retryable=False)])
    with pytest.raises(Refused) as caught:
        await talk(server)
    assert caught.value.code == 4404


async def test_a_session_that_cannot_be_resumed_is_raised() -> None:
    server = CuttingServer([Cut("audio", 100_000)], resumable=False)
    with pytest.raises(Refused, match="lost"):
        await talk(server)
    assert server.connections == 1


async def test_it_gives_up_when_the_window_is_over() -> None:
    server = CuttingServer([Cut("audio", 100_000), Cut("greeting", code=4503, retry_after_ms=5000)], window_ms=1000)
    with pytest.raises(Refused, match="As told"):
        await talk(server)


def test_waits_double_and_begin_again_after_a_stable_connection() -> None:
    now = 0.0
    back_off = BackOff(random=lambda: 0.5, clock=lambda: now)
    assert [back_off.next_s() for _ in range(7)] == [0.25, 0.5, 1, 2, 4, 8, 8]
    back_off.connected()
    now = 4.9
    assert back_off.next_s() == 8
    back_off.connected()
    now = 9.9
    assert back_off.next_s() == 0.25
    assert back_off.next_s(asked_s=3) == 3


def test_waits_vary_by_half() -> None:
    assert BackOff(random=lambda: 0.0).next_s() == 0.125
    assert BackOff(random=lambda: 1.0).next_s() == 0.375


def test_held_audio_is_read_by_position_and_forgotten_from_the_front() -> None:
    held = HeldAudio()
    held.append(b"0123456789")
    held.forget(4)
    assert (held.start, held.end, len(held)) == (4, 10, 6)
    assert held.read(5, 3) == b"567"
    assert held.read(8, 100) == b"89"
    held.forget(2)
    assert held.start == 4
    with pytest.raises(ValueError, match="forgotten"):
        held.read(3, 1)
    with pytest.raises(ValueError, match="ever given"):
        held.forget(11)
