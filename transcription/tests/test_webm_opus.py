"""WebM as browsers record it becomes Ogg that decodes to the same sound."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transcription.audio.ogg_opus import MAX_PAGE_SEGMENTS, OggOpusWriter, packet_samples
from transcription.audio.webm_opus import WEBM_MAGIC, WebmOpus
from transcription.errors import BadAudio
from transcription.tests.webm import opus_head, webm, webm_with_video

LONGEST_PACKET_SAMPLES = 2880


def decoded(recording: bytes) -> NDArray[np.float32]:
    with av.open(io.BytesIO(recording), "r") as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def assert_same_sound(ogg: bytes, recording: bytes) -> None:
    """Ogg says at its end how much of the last packet counts; what is made while it comes does not know."""
    found, expected = decoded(ogg), decoded(recording)
    assert 0 <= len(found) - len(expected) < LONGEST_PACKET_SAMPLES
    np.testing.assert_array_equal(found[: len(expected) - LONGEST_PACKET_SAMPLES], expected[:-LONGEST_PACKET_SAMPLES])


def repacked(recording: bytes, *, chunk_bytes: int = 1000) -> bytes:
    webm_opus = WebmOpus()
    chunks = (recording[at : at + chunk_bytes] for at in range(0, len(recording), chunk_bytes))
    return b"".join(map(webm_opus.feed, chunks))


@pytest.mark.parametrize("live", [True, False], ids=["live", "file"])
def test_the_sound_is_the_same(live: bool) -> None:
    recording = webm(seconds=2, live=live)

    assert_same_sound(repacked(recording), recording)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100_000])
def test_it_does_not_matter_where_the_bytes_are_cut(chunk_bytes: int) -> None:
    recording = webm(seconds=1)

    assert_same_sound(repacked(recording, chunk_bytes=chunk_bytes), recording)


def test_of_a_recording_with_video_the_sound_is_taken() -> None:
    recording = webm_with_video()

    assert_same_sound(repacked(recording), recording)


def test_a_webm_without_opus_is_refused() -> None:
    with pytest.raises(BadAudio, match="no Opus"):
        repacked(webm_with_video(sound=False))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_or_gives_nothing(rubbish: bytes) -> None:
    try:
        assert WebmOpus().feed(WEBM_MAGIC + rubbish) == b""
    except BadAudio as error:
        assert "WebM" in error.message  # noqa: PT017 - either is right


def test_many_packets_are_spread_over_pages() -> None:
    writer = OggOpusWriter()
    head = writer.begin(opus_head())
    pages = writer.pages([b"\xfc" + bytes(300)] * MAX_PAGE_SEGMENTS)

    assert head.count(b"OggS") == 2
    assert pages.count(b"OggS") == 3
    assert writer.pages([]) == b""


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"", 0),
        (b"\x00", 480),
        (b"\x18", 2880),
        (b"\x60", 480),
        (b"\x80", 120),
        (b"\xf8", 960),
        (b"\xf9", 1920),
        (b"\xfb\x03", 2880),
        (b"\xfb", 0),
    ],
)
def test_a_packet_says_how_long_it_sounds(packet: bytes, samples: int) -> None:
    assert packet_samples(packet) == samples
