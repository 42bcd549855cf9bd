"""Small audio files of every common container, and hostile ones, for tests."""

from __future__ import annotations

import io
from typing import Any, cast

import av
import numpy as np

from transcription.tests.recordings import wav

# Name and codec of what PyAV can write without further libraries.
CONTAINERS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "mp3": "mp3",
    "m4a": "aac",
    "mp4": "aac",
    "webm": "libopus",
    "ogg": "libopus",
    "mkv": "aac",
}
FORMATS = {"m4a": "ipod", "mkv": "matroska"}
RATE_HZ = 48000
PCM_RATE_HZ = 16000


def tone(duration_ms: int, *, rate_hz: int = PCM_RATE_HZ) -> bytes:
    """PCM16, 440 Hz."""
    at = np.arange(rate_hz * duration_ms // 1000)
    return (np.sin(at * 2 * np.pi * 440 / rate_hz) * 8000).astype("<i2").tobytes()


def encoded(pcm: bytes, kind: str, *, streams: int = 1, video: bool = False, late_ms: int = 0) -> bytes:
    """16 kHz mono PCM16 as a file of a kind of CONTAINERS.

    late_ms: the audio begins so much after the pictures.
    """
    if kind == "wav":
        return wav(pcm)
    file = io.BytesIO()
    with av.open(cast(Any, file), "w", format=FORMATS.get(kind, kind)) as container:
        pictures = _add_pictures(container, kind) if video else None
        codec = CONTAINERS[kind]
        rate_hz = PCM_RATE_HZ if codec == "flac" else RATE_HZ
        audio = [container.add_stream(codec, rate=rate_hz, layout="mono") for _ in range(streams)]
        if pictures is not None:
            _write_pictures(container, pictures)
        for stream in audio:
            _write_audio(container, stream, pcm, rate_hz, late_ms)
    return file.getvalue()


def _add_pictures(container: Any, kind: str) -> Any:
    stream = container.add_stream("libvpx" if kind == "webm" else "mpeg4", rate=10)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    return stream


def _write_pictures(container: Any, stream: Any) -> None:
    for number in range(20):
        frame = av.VideoFrame(32, 32, "yuv420p")
        frame.pts = number
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_audio(container: Any, stream: Any, pcm: bytes, rate_hz: int, late_ms: int) -> None:
    resampler = av.AudioResampler(
        format=stream.codec_context.format.name if stream.codec_context.format else "s16",
        layout="mono",
        rate=rate_hz,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = PCM_RATE_HZ
    frame.pts = PCM_RATE_HZ * late_ms // 1000
    for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(resampled))
    container.mux(stream.encode(None))
