"""Bytes of every encoding become the same samples, whatever the pieces they come in."""

from __future__ import annotations

import io
import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from transcription.asr_server.audio_input import ALAW_VALUES, MULAW_VALUES, AudioInput, Encoding
from transcription.asr_server.errors import RequestError

RATE_HZ = 16_000
SAMPLES = (np.sin(np.arange(4_000) / 9) * 12_000).astype(np.int16)


def read(audio: AudioInput, data: bytes, chunk: int = 10**9) -> NDArray[np.float32]:
    parts = [p for at in range(0, len(data), chunk) for p in audio.push(data[at : at + chunk])]
    parts += audio.finish()
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def unknown() -> AudioInput:
    return AudioInput(Encoding.UNKNOWN, 0, 0)


def wav_file(samples: NDArray[np.int16] = SAMPLES, rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def wav_of(tag: int, bits: int, data: bytes, extra: bytes = b"", sizes_known: bool = True) -> bytes:
    """A WAV file with any format and other chunks before and after its sound."""
    fmt = struct.pack("<HHIIHH", tag, 1, RATE_HZ, RATE_HZ * bits // 8, bits // 8, bits) + extra
    size = len(data) if sizes_known else 0xFFFFFFFF
    chunks = b"LIST" + struct.pack("<I", 5) + b"hello\0" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", size) + data
    if sizes_known:
        chunks += b"LIST" + struct.pack("<I", 4) + b"tags"
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def encoded(codec: str, container: str, rate_hz: int) -> bytes:
    """One second of a 440 Hz tone, as a file."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout="mono")
        assert isinstance(stream, AudioStream)
        tone = (np.sin(np.arange(rate_hz) * 2 * np.pi * 440 / rate_hz) * 12_000).astype(np.int16)
        for at in range(0, rate_hz, 960):
            frame = AudioFrame.from_ndarray(tone[None, at : at + 960], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, at, Fraction(1, rate_hz)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def test_pcm_bytes_are_samples() -> None:
    audio = AudioInput(Encoding.PCM16, RATE_HZ, 1)
    assert np.array_equal(read(audio, SAMPLES.tobytes()), SAMPLES.astype(np.float32) / 32768)


def test_single_bytes_are_put_together_to_samples() -> None:
    audio = AudioInput(Encoding.PCM16, RATE_HZ, 1)
    assert np.array_equal(read(audio, SAMPLES.tobytes(), chunk=1), SAMPLES.astype(np.float32) / 32768)


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert len(read(AudioInput(Encoding.PCM16, RATE_HZ, 1), b"\0" * 101)) == 50


def test_two_channels_are_mixed() -> None:
    stereo = np.column_stack((SAMPLES, np.zeros_like(SAMPLES)))
    audio = AudioInput(Encoding.PCM16, RATE_HZ, 2)
    assert np.allclose(read(audio, stereo.tobytes(), chunk=7), SAMPLES / 65536, atol=1e-6)


def test_g711_tables_have_the_values_of_the_standard() -> None:
    assert MULAW_VALUES[0xFF] == 0
    assert MULAW_VALUES[0x00] * 32768 == -32124
    assert MULAW_VALUES[0x80] * 32768 == 32124
    assert ALAW_VALUES[0xD5] * 32768 == 8
    assert ALAW_VALUES[0x2A] * 32768 == -32256
    assert ALAW_VALUES[0xAA] * 32768 == 32256


@pytest.mark.parametrize(("encoding", "codec"), [(Encoding.MULAW, "pcm_mulaw"), (Encoding.ALAW, "pcm_alaw")])
def test_g711_bytes_decode_as_ffmpeg_decodes_them(encoding: Encoding, codec: str) -> None:
    data = bytes(range(256))
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8_000, "mono"  # type: ignore[attr-defined]
    [frame] = context.decode(av.Packet(data))  # type: ignore[attr-defined]
    assert np.array_equal(read(AudioInput(encoding, 8_000, 1), data) * 32768, frame.to_ndarray()[0])


def test_a_wav_header_is_found_wherever_it_is_split() -> None:
    data = wav_file()
    for offset in range(1, 60):
        audio = unknown()
        parts = [*audio.push(data[:offset]), *audio.push(data[offset:]), *audio.finish()]
        assert audio.sample_rate_hz == RATE_HZ
        assert np.array_equal(np.concatenate(parts), SAMPLES.astype(np.float32) / 32768)


def test_a_wav_header_is_read_from_single_bytes() -> None:
    assert len(read(unknown(), wav_file(), chunk=1)) == len(SAMPLES)


def test_a_wav_header_wins_over_what_the_configuration_says() -> None:
    audio = AudioInput(Encoding.PCM16, 48_000, 1)
    data = wav_file(np.column_stack((SAMPLES, SAMPLES)), rate_hz=8_000, channels=2)
    assert np.array_equal(read(audio, data), SAMPLES.astype(np.float32) / 32768)
    assert audio.sample_rate_hz == 8_000


@pytest.mark.parametrize(
    ("tag", "bits", "data", "first"),
    [
        (1, 8, b"\xc0\x80", 0.5),
        (1, 24, b"\0\0\x40\0\0\0", 0.5),
        (1, 32, struct.pack("<ii", 1 << 30, 0), 0.5),
        (3, 32, struct.pack("<ff", 0.5, 0), 0.5),
        (7, 8, b"\x80\xff", 32124 / 32768),
        (6, 8, b"\xaa\xd5", 32256 / 32768),
    ],
)
@pytest.mark.parametrize("sizes_known", [True, False])
def test_wav_formats_are_read(tag: int, bits: int, data: bytes, first: float, sizes_known: bool) -> None:
    samples = read(unknown(), wav_of(tag, bits, data, sizes_known=sizes_known), chunk=5)
    assert len(samples) == 2
    assert samples[0] == pytest.approx(first)


def test_an_extensible_wav_format_is_read() -> None:
    extra = struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    assert len(read(unknown(), wav_of(0xFFFE, 16, b"\0\x40" * 9, extra))) == 9


def test_floats_that_are_no_numbers_become_silence() -> None:
    data = struct.pack("<ffff", float("nan"), float("inf"), -float("inf"), 7.0)
    assert read(unknown(), wav_of(3, 32, data)).tolist() == [0, 1, -1, 1]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (wav_of(2, 4, b"\0" * 9), "encoding"),
        (wav_file(rate_hz=4_000), "sample_rate_hertz"),
        (wav_file(channels=5), "audio_channel_count"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "audio_content"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\0\0data\0\0\0\0", "audio_content"),
        (b"RIFF\0\0\0\0WAVEjunk" + b"\xff" * 40, "audio_content"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio_content"),
        (b"\1\2" * 100, "sample_rate_hertz"),
        (b"fLaC" + b"\xff" * 100, "audio_content"),
        (b"OggS" + b"\0" * 100, "audio_content"),
    ],
)
def test_it_refuses_a_file_it_cannot_read_by_the_name_of_the_field(data: bytes, named: str) -> None:
    with pytest.raises(RequestError) as refusal:
        read(unknown(), data)
    assert refusal.value.field == named


def test_nothing_at_all_is_silence() -> None:
    assert len(read(unknown(), b"")) == 0


def test_raw_audio_that_begins_like_a_header_is_kept() -> None:
    assert len(read(AudioInput(Encoding.PCM16, RATE_HZ, 1), b"RIFF")) == 2


@pytest.mark.parametrize(
    ("said", "codec", "container", "rate_hz"),
    [
        (Encoding.FLAC, "flac", "flac", 22_050),
        (Encoding.UNKNOWN, "flac", "flac", 16_000),
        (Encoding.OGG_OPUS, "libopus", "ogg", 48_000),
        (Encoding.UNKNOWN, "libopus", "ogg", 48_000),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1_000, 10**9])
def test_compressed_files_are_decoded_as_they_come(
    said: Encoding, codec: str, container: str, rate_hz: int, chunk: int
) -> None:
    audio = AudioInput(said, 0, 0)
    samples = read(audio, encoded(codec, container, rate_hz), chunk)
    assert audio.sample_rate_hz == rate_hz
    assert len(samples) / rate_hz == pytest.approx(1, abs=0.03)
    spectrum = np.abs(np.fft.rfft(samples[: rate_hz - rate_hz % 2]))
    assert np.argmax(spectrum) * rate_hz / rate_hz == pytest.approx(440, abs=15)


def test_a_damaged_flac_file_is_a_gap_and_no_crash() -> None:
    data = bytearray(encoded("flac", "flac", 16_000))
    middle = len(data) // 2
    data[middle : middle + 200] = b"\x55" * 200
    assert 0 < len(read(AudioInput(Encoding.FLAC, 0, 0), bytes(data))) <= 20_000


@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.OGG_OPUS])
def test_rubbish_is_not_taken_for_a_compressed_file(encoding: Encoding) -> None:
    with pytest.raises(RequestError) as refusal:
        read(AudioInput(encoding, 0, 0), b"\x12\x34" * 400)
    assert refusal.value.field == "audio_content"
