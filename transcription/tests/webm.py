"""WebM recordings, made as browsers make them."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

RATE_HZ = 48_000
LIVE = {"live": "1"}


def tone(seconds: float) -> NDArray[np.int16]:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)


def webm(*, seconds: float = 1.0, live: bool = True) -> bytes:
    return webm_of(tone(seconds), live=live)


def webm_of(samples: NDArray[np.int16], *, live: bool = True) -> bytes:
    """samples: mono, 48 kHz. live: sizes are not known, as in what a MediaRecorder gives."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options=LIVE if live else {}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        _encode(container, stream, samples)
    return file.getvalue()


def webm_with_video(*, sound: bool = True) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options=LIVE) as container:
        video = container.add_stream("libvpx", rate=10)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("libopus", rate=RATE_HZ, layout="mono") if sound else None
        for number in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None:
            assert isinstance(audio, AudioStream)
            _encode(container, audio, tone(0.5))
    return file.getvalue()


def _encode(container: OutputContainer, stream: AudioStream, samples: NDArray[np.int16]) -> None:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = RATE_HZ
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE_HZ)
    waiting = AudioFifo()
    for converted in resampler.resample(frame):
        waiting.write(converted)
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    while (piece := waiting.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def opus_head() -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, RATE_HZ, 0, 0)
