"""Files of any common kind become mono PCM16 at 16 kHz, or a sentence."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path
from typing import Any

import av
import pytest

from transcription.file_audio import BYTES_PER_MS, FileAudioError, decode, probe_duration_ms, rechunk

DURATION_MS = 1500


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
