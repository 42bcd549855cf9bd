"""Audio files of any common container as the PCM that the native protocol carries by default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler

SAMPLE_RATE_HZ = 16000
BYTES_PER_SAMPLE = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000


class FileAudioError(Exception):
    """The file cannot be read as audio; the text says why, in words for a person."""


def probe_duration_ms(path: Path) -> int | None:
    """How long the file says it is; None where it does not say. Raises FileAudioError."""
    with _open(path) as container:
        stream = container.streams.audio[0]
        if container.duration is not None:
            return int(container.duration * 1000 // av.time_base)
        if stream.duration is not None and stream.time_base is not None:
            return int(stream.duration * stream.time_base * 1000)
        return None


def decode(path: Path) -> Iterator[bytes]:
    """Mono PCM16 at 16 kHz, in pieces of some milliseconds, decoded as they are asked for.

    Raises FileAudioError, also in the middle where the file is damaged.
    """
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    with _open(path) as container:
        try:
            for frame in container.decode(container.streams.audio[0]):
                yield from _pieces(resampler.resample(frame))
            yield from _pieces(resampler.resample(None))
        except av.FFmpegError as error:
            raise FileAudioError(f"{path} is damaged: {error.strerror}.") from None


def _pieces(frames: list[Any]) -> Iterator[bytes]:
    for frame in frames:
        # A plane's buffer is padded; only the samples are audio.
        yield bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]


def _open(path: Path) -> Any:
    try:
        container = av.open(str(path), mode="r", metadata_errors="ignore")
    except FileNotFoundError:
        raise FileAudioError(f"There is no file {path}.") from None
    except (PermissionError, IsADirectoryError) as error:
        raise FileAudioError(f"{path} cannot be read: {error.strerror}.") from None
    except av.FFmpegError:
        raise FileAudioError(f"{path} is not an audio file of a known kind.") from None
    if not container.streams.audio:
        container.close()
        raise FileAudioError(f"{path} has no audio in it.")
    return container
