"""Files of any common kind become mono PCM16 at 16 kHz, or a sentence."""

from __future__ import annotations

import io
import math
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any

import av
import pytest

from transcription.audio.containers import (
    BYTES_PER_MS,
    FileAudioError,
    FileLimits,
    decode,
    probe,
    probe_duration_ms,
    rechunk,
)
from transcription.tests import audio_files
from transcription.tests.audio_files import encoded, tone
from transcription.tests.recordings import wav

DURATION_MS = 1500
LIMITS = FileLimits(max_audio_ms=3_600_000, max_streams=32)


def write_wav(path: Path, *, rate_hz: int = 44100, channels: int = 2) -> Path:
    """A tone of DURATION_MS."""
    samples = rate_hz * DURATION_MS // 1000
    tone = (int(8000 * math.sin(i * 440 * 2 * math.pi / rate_hz)) for i in range(samples))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(struct.pack("<h", value) * channels for value in tone))
    return path


def write_encoded(path: Path, codec: str, *, rate_hz: int = 48000) -> Path:
    """The same tone in the container that the name says."""
    source = write_wav(path.with_suffix(".source.wav"), rate_hz=rate_hz)
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream: Any = made.add_stream(codec, rate=rate_hz)
        for frame in given.decode(audio=0):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (16000, 1), (44100, 2), (48000, 2)])
def test_it_resamples_and_mixes_down(tmp_path: Path, rate_hz: int, channels: int) -> None:
    pcm = b"".join(decode(write_wav(tmp_path / "a.wav", rate_hz=rate_hz, channels=channels)))

    assert len(pcm) // BYTES_PER_MS == pytest.approx(DURATION_MS, abs=2)
    loudest = max(abs(value) for (value,) in struct.iter_unpack("<h", pcm))
    assert loudest == pytest.approx(8000, rel=0.15)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.flac", "flac"), ("a.webm", "libopus"), ("a.m4a", "aac"), ("a.mp3", "mp3")]
)
def test_it_decodes_common_kinds(tmp_path: Path, name: str, codec: str) -> None:
    path = write_encoded(tmp_path / name, codec)

    pcm = b"".join(decode(path))

    # Encoders add up to some tens of milliseconds of padding.
    assert len(pcm) // BYTES_PER_MS == pytest.approx(DURATION_MS, abs=80)
    assert probe_duration_ms(path) == pytest.approx(DURATION_MS, abs=80)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileAudioError, match="no file"):
        list(decode(tmp_path / "nothing.wav"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileAudioError):
        list(decode(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text", bytes(range(256)) * 40], ids=["empty", "text", "noise"]
)
def test_a_file_that_is_no_audio_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)

    with pytest.raises(FileAudioError):
        list(decode(path))


def test_pieces_become_chunks_of_one_size() -> None:
    assert list(rechunk(iter([b"ab", b"cdefg", b"", b"h"]), 3)) == [b"abc", b"def", b"gh"]
    assert list(rechunk(iter([]), 3)) == []


def problem_of(content: bytes, limits: FileLimits = LIMITS) -> str:
    """What is wrong with a file, in a word."""
    with pytest.raises(FileAudioError) as caught:
        list(decode(io.BytesIO(content), limits))
    return caught.value.problem


def duration_ms(content: bytes, limits: FileLimits = LIMITS) -> int:
    return sum(map(len, decode(io.BytesIO(content), limits))) // BYTES_PER_MS


@pytest.mark.parametrize("kind", audio_files.CONTAINERS)
def test_an_open_file_of_any_container_is_decoded(kind: str) -> None:
    content = encoded(tone(DURATION_MS), kind)

    assert duration_ms(content) == pytest.approx(DURATION_MS, abs=80)
    assert probe(io.BytesIO(content), LIMITS).duration_ms == pytest.approx(DURATION_MS, abs=80)


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_the_audio_of_a_video_keeps_its_place_in_time(kind: str) -> None:
    content = encoded(tone(DURATION_MS), kind, video=True, late_ms=500)

    pcm = b"".join(decode(io.BytesIO(content), LIMITS))

    assert len(pcm) // BYTES_PER_MS == pytest.approx(DURATION_MS + 500, abs=80)
    assert not any(pcm[: 450 * BYTES_PER_MS])


def test_a_video_without_audio_is_said() -> None:
    assert problem_of(encoded(b"", "mp4", streams=0, video=True)) == "no_audio"


@pytest.mark.parametrize("streams", [33, 100])
def test_a_file_of_many_streams_is_refused(streams: int) -> None:
    assert problem_of(encoded(tone(50), "mkv", streams=streams), FileLimits(max_streams=32)) == "too_many_streams"


def test_audio_past_the_limit_is_refused_while_it_is_decoded() -> None:
    assert problem_of(encoded(tone(1500), "flac"), FileLimits(max_audio_ms=1000)) == "too_long"
    assert duration_ms(encoded(tone(1000), "flac"), FileLimits(max_audio_ms=1000)) == 1000


def test_a_length_that_cannot_be_is_not_believed() -> None:
    """As a program writes it that streams and does not know the length."""
    content = bytearray(wav(tone(1000)))
    content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    flac = bytearray(encoded(tone(1000), "flac"))
    flac[21:26] = bytes([flac[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])

    assert duration_ms(bytes(content)) == 1000
    assert probe(io.BytesIO(bytes(flac)), LIMITS).duration_ms is None
    assert duration_ms(bytes(flac)) == 1000


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "webm"])
def test_of_a_file_that_was_cut_off_what_is_there_is_decoded(kind: str) -> None:
    content = encoded(tone(4000), kind)

    assert 500 < duration_ms(content[: len(content) // 2]) < 3500


def test_a_video_file_that_was_cut_off_before_its_index_is_refused() -> None:
    content = encoded(tone(4000), "mp4")

    assert problem_of(content[: len(content) // 2]) == "not_audio"


def test_a_damaged_stretch_is_left_out() -> None:
    content = encoded(tone(4000), "mp3")
    middle = len(content) // 2

    assert duration_ms(content[:middle] + bytes(range(256)) * 8 + content[middle:]) == pytest.approx(4000, abs=200)


def test_a_sample_rate_that_cannot_be_makes_no_hours_of_a_few_bytes() -> None:
    assert problem_of(wav(bytes(4000), rate_hz=1, bits=8)) == "damaged"


PLAYLISTS = [
    "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile '/etc/passwd'\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
]


@pytest.mark.parametrize("text", PLAYLISTS, ids=["files", "addresses", "concat", "session"])
def test_a_file_that_names_others_opens_none(text: str) -> None:
    assert problem_of(text.encode()) == "not_audio"


def test_an_archive_is_no_audio() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.wav", wav(tone(1000)))

    assert problem_of(archive.getvalue()) == "not_audio"


def test_a_file_without_samples_has_no_audio() -> None:
    assert problem_of(wav(b"")) in ("no_audio", "not_audio")
