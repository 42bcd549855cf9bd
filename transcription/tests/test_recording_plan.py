"""Which bytes of which part make up a recording; ranges, headers and peaks. Plain values."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.recording.peaks import MAX_PEAKS, PeakMeter
from transcription.recording.plan import is_within, missing, plan
from transcription.recording.ranges import Unsatisfiable, has_tag, parse_range
from transcription.recording.wav import build_header

SIZE = 100


@dataclass(frozen=True)
class Written:
    start: int
    end: int
    epoch: int = 1


def test_parts_that_follow_each_other_are_read_one_after_the_other() -> None:
    first, second = Written(0, 10), Written(10, 30, 2)

    assert plan([first, second]) == [(first, 0, 10), (second, 10, 30)]
    assert missing([first, second], 30) == []


def test_what_was_sent_again_counts_as_the_later_connection_wrote_it() -> None:
    old, new = Written(0, 20), Written(12, 40, 2)

    assert plan([old, new]) == [(old, 0, 12), (new, 12, 40)]


def test_an_old_part_that_reaches_further_is_used_where_nobody_sent_it_again() -> None:
    old, new = Written(0, 40), Written(12, 20, 2)

    assert plan([old, new]) == [(old, 0, 12), (new, 12, 20), (old, 20, 40)]


def test_what_nobody_wrote_is_told() -> None:
    parts = [Written(5, 10), Written(20, 30, 2)]

    assert missing(parts, 35) == [(0, 5), (10, 20), (30, 35)]
    assert plan(parts, first=8, last=22) == [(parts[0], 8, 10), (None, 10, 20), (parts[1], 20, 22)]
    assert missing([], 0) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 3)).map(
            lambda part: Written(min(part[:2]), max(part[:2]), part[2])
        ),
        max_size=6,
    ),
    st.integers(0, 80),
)
def test_a_plan_covers_every_byte_once_by_the_latest_that_has_it(parts: list[Written], end: int) -> None:
    pieces = plan(parts, last=end)

    assert [byte for _part, start, stop in pieces for byte in range(start, stop)] == list(range(end))
    for part, start, stop in pieces:
        for byte in range(start, stop):
            epochs = [written.epoch for written in parts if written.start <= byte < written.end]
            assert (part.epoch if part else None) == max(epochs, default=None)


def test_a_recording_is_whole_if_only_what_its_client_lost_is_missing() -> None:
    assert is_within([], [])
    assert is_within([(10, 20)], [(5, 12), (12, 30)])
    assert not is_within([(10, 20)], [(12, 30)])
    assert not is_within([(0, 1)], [])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("Bytes = 5 - 5", (5, 6)),
        # What is no range, or several, gives the whole.
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
    ],
)
def test_a_range_is_read_as_the_standard_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, SIZE) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_without_a_byte_of_the_file_is_refused(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, SIZE)


def test_a_tag_is_found_among_others() -> None:
    assert has_tag('"a", W/"b"', '"b"')
    assert has_tag("*", '"b"')
    assert not has_tag(None, '"b"')
    assert not has_tag('"a"', '"b"')


@pytest.mark.parametrize("channels", [1, 2])
def test_a_header_says_what_the_audio_is(channels: int) -> None:
    audio = bytes(400 * channels)
    with wave.open(io.BytesIO(build_header(AudioFormat(channels=channels), len(audio)) + audio)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (channels, 16000, 2)
        assert file.readframes(file.getnframes()) == audio


def test_a_header_beyond_four_gibibytes_is_rf64() -> None:
    header = build_header(AudioFormat(), 5 * 1024**3)

    assert header[:4] == b"RF64"
    assert header[12:16] == b"ds64"
    assert int.from_bytes(header[28:36], "little") == 5 * 1024**3


def test_g711_keeps_its_format_in_a_header() -> None:
    header = build_header(AudioFormat(Encoding.MULAW, 8000), 8000)

    assert int.from_bytes(header[20:22], "little") == 7
    assert header[-8:-4] == b"data"


def test_peaks_are_the_loudest_samples_of_each_step() -> None:
    meter = PeakMeter(1000, 1000)
    for block in (np.full(70, 100, "<i2"), np.full(30, -32768, "<i2"), np.zeros(25, "<i2")):
        meter.feed(block)

    assert meter.step_ms == 50
    assert list(meter.finish()) == [1, 255, 0]


def test_there_are_so_many_peaks_at_most() -> None:
    meter = PeakMeter(100, 3 * 3600 * 1000)
    for _hour in range(3):
        meter.feed(np.ones(3600 * 100, "<i2"))

    assert meter.step_ms == 900
    assert len(meter.finish()) == MAX_PEAKS
