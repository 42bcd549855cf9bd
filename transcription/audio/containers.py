"""Audio files of any common container as the PCM that the native protocol carries by default.

Files may come from strangers: nothing is opened but the one file that was given, only kinds and codecs that carry
speech are tried, and everything that a file may make grow has a bound.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
from av.audio.resampler import AudioResampler

SAMPLE_RATE_HZ = 16000
BYTES_PER_SAMPLE = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000
# By FFmpeg's names. Not among them: playlists and the like, which name further files and addresses to open.
CONTAINERS = (
    "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "flac", "flv", "gsm", "matroska", "webm",
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "mp3", "mpeg", "mpegts", "ogg", "rm", "tta", "w64", "wav", "wv",
)  # fmt: skip
CODECS = (
    "aac", "aac_fixed", "aac_latm", "ac3", "ac3_fixed", "alac", "amrnb", "amrwb", "ape", "cook", "eac3", "flac",
    "g722", "g723_1", "g729", "gsm", "gsm_ms", "ilbc", "libgsm", "libgsm_ms", "libopencore_amrnb", "libopencore_amrwb",
    "libopus", "libspeex", "libvorbis", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "nellymoser", "opus",
    "speex", "tta", "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice",
)  # fmt: skip
CODEC_FAMILIES = ("pcm_", "adpcm_")
MIN_RATE_HZ, MAX_RATE_HZ = 4000, 768_000
MAX_CHANNELS = 64
# One frame as it comes from the decoder. A header that claims 1 Hz would make hours of a few bytes.
MAX_FRAME_S = 60.0
# Packets in a row that cannot be decoded; a few are left out, as players do.
MAX_DAMAGED_PACKETS = 200
# A stretch without samples that is longer than clocks differ is silence, so that times stay those of the file.
MIN_GAP_S, MAX_GAP_S = 0.2, 600.0
# Less than any codec needs for speech: a length that would mean this is not believed.
MIN_BYTES_PER_SECOND = 80
OPEN_TIMEOUT_S, READ_TIMEOUT_S = 20.0, 20.0

Problem = Literal["not_found", "not_audio", "no_audio", "damaged", "too_long", "too_many_streams"]
Source = Path | BinaryIO


class FileAudioError(Exception):
    """The file cannot be read as audio; the text says why, in words for a person. problem: the same in a word."""

    def __init__(self, message: str, problem: Problem = "not_audio") -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a file may hold. None: as long as it likes."""

    max_audio_ms: int | None = None
    max_streams: int = 64


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a file says of itself. duration_ms: None where it does not say, or cannot be believed."""

    container: str
    codec: str
    duration_ms: int | None


TRUSTED = FileLimits()


def probe(source: Source, limits: FileLimits = TRUSTED) -> FileInfo:
    """What the file is. Raises FileAudioError."""
    with _opened(source, limits) as (container, stream):
        return _info(container, stream, _size_bytes(source))


def probe_duration_ms(path: Path) -> int | None:
    """How long the file says it is; None where it does not say. Raises FileAudioError."""
    return probe(path).duration_ms


def decode(source: Source, limits: FileLimits = TRUSTED) -> Iterator[bytes]:
    """Mono PCM16 at 16 kHz, in pieces of some milliseconds, decoded as they are asked for.

    Raises FileAudioError, also in the middle where the file is damaged or longer than allowed.
    """
    with _opened(source, limits) as (container, stream):
        at_most = None if limits.max_audio_ms is None else limits.max_audio_ms * BYTES_PER_MS
        decoded = 0
        for piece in _Resampling(container, stream).pieces():
            decoded += len(piece)
            if at_most is not None and decoded > at_most:
                raise too_long(limits.max_audio_ms or 0)
            yield piece
        if not decoded:
            raise FileAudioError(f"{_name(source)} has no audio in it.", "no_audio")


def rechunk(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The same bytes in chunks of one size; the last may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size_bytes:
            yield bytes(held[:size_bytes])
            del held[:size_bytes]
    if held:
        yield bytes(held)


def too_long(max_audio_ms: int) -> FileAudioError:
    return FileAudioError(f"The audio is longer than {max_audio_ms / 60_000:g} min.", "too_long")


class _Resampling:
    """Frames of one stream as PCM; gaps between them become silence."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._resampler: AudioResampler | None = None
        self._layout: tuple[Any, ...] = ()
        # Where the audio is by the samples, and how far the file's own clock is off from that.
        self._position_s = 0.0
        start = container.start_time
        self._origin_s = start / av.time_base if start is not None else 0.0

    def pieces(self) -> Iterator[bytes]:
        for frame in self._frames():
            yield from self._gap_before(frame)
            self._position_s += frame.samples / frame.sample_rate
            layout = (frame.format.name, frame.layout.name, frame.sample_rate)
            if layout != self._layout:
                # Joined recordings change their format in the middle.
                yield from self._flushed()
                self._layout = layout
                self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            assert self._resampler is not None  # noqa: S101 - made with the first layout
            yield from _samples(self._resampler.resample(frame))
        yield from self._flushed()

    def _flushed(self) -> Iterator[bytes]:
        if self._resampler is not None:
            yield from _samples(self._resampler.resample(None))

    def _frames(self) -> Iterator[Any]:
        damaged = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                damaged += 1
                if damaged > MAX_DAMAGED_PACKETS:
                    raise FileAudioError("The file is damaged: too much of it cannot be decoded.", "damaged") from None
                continue
            except (av.FFmpegError, ValueError) as error:
                raise _damaged(error) from None
            for frame in frames:
                damaged = 0
                _check_frame(frame)
                if frame.samples:
                    yield frame

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as error:
            raise _damaged(error) from None

    def _gap_before(self, frame: Any) -> Iterator[bytes]:
        if frame.pts is None or frame.time_base is None:
            return
        gap_s = float(frame.pts * frame.time_base) - self._origin_s - self._position_s
        if MIN_GAP_S <= gap_s <= MAX_GAP_S:
            self._position_s += gap_s
            yield bytes(round(gap_s * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE)
        elif abs(gap_s) > MAX_GAP_S:
            # A clock that jumps says nothing about the audio.
            self._origin_s += gap_s


def _check_frame(frame: Any) -> None:
    is_sane = MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ and len(frame.layout.channels) <= MAX_CHANNELS
    if not is_sane or frame.samples > MAX_FRAME_S * frame.sample_rate:
        raise FileAudioError("The file is damaged: its audio has an impossible format.", "damaged")


def _samples(frames: list[Any]) -> Iterator[bytes]:
    for frame in frames:
        # A plane's buffer is padded; only the samples are audio.
        yield bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]


@contextmanager
def _opened(source: Source, limits: FileLimits) -> Iterator[tuple[Any, Any]]:
    """The container and its best audio stream."""
    with _open(source, limits) as container:
        if len(container.streams) > limits.max_streams:
            raise FileAudioError(f"{_name(source)} has more than {limits.max_streams} streams.", "too_many_streams")
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            raise FileAudioError(f"{_name(source)} has no audio in it.", "no_audio")
        codec = stream.codec_context.name
        if not _is_allowed(codec):
            raise FileAudioError(f"{_name(source)} has audio of a kind that is not supported ({codec}).")
        yield container, stream


def _open(source: Source, limits: FileLimits) -> Any:
    name = _name(source)
    options = {
        "format_whitelist": ",".join(CONTAINERS),
        "protocol_whitelist": "file",
        # Finding out what a stream is may decode some of it: pictures are not even tried.
        "codec_whitelist": ",".join(_allowed_codecs()),
        # Demuxers stop making streams there; one more than is allowed, so that it can be said.
        "max_streams": str(limits.max_streams + 1),
    }
    try:
        return av.open(
            str(source) if isinstance(source, Path) else source,
            mode="r",
            metadata_errors="ignore",
            options=options,
            container_options={},
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S) if isinstance(source, Path) else None,
        )
    except FileNotFoundError:
        raise FileAudioError(f"There is no file {name}.", "not_found") from None
    except (PermissionError, IsADirectoryError) as error:
        raise FileAudioError(f"{name} cannot be read: {error.strerror}.", "not_found") from None
    except (av.FFmpegError, ValueError, OSError):
        raise FileAudioError(f"{name} is not an audio file of a known kind.") from None


@functools.cache
def _allowed_codecs() -> tuple[str, ...]:
    return tuple(sorted(name for name in av.codecs_available if _is_allowed(name)))


def _is_allowed(codec: str) -> bool:
    return codec in CODECS or codec.startswith(CODEC_FAMILIES)


def _info(container: Any, stream: Any, size_bytes: int) -> FileInfo:
    duration_ms: int | None = None
    if container.duration is not None:
        duration_ms = int(container.duration * 1000 // av.time_base)
    elif stream.duration is not None and stream.time_base is not None:
        duration_ms = int(stream.duration * stream.time_base * 1000)
    if duration_ms is not None and (duration_ms <= 0 or size_bytes < duration_ms * MIN_BYTES_PER_SECOND // 1000):
        # Written before the length was known, such as by a program that streams.
        duration_ms = None
    return FileInfo(container.format.name, stream.codec_context.name, duration_ms)


def _size_bytes(source: Source) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    position = source.tell()
    size = source.seek(0, 2)
    source.seek(position)
    return size


def _name(source: Source) -> str:
    return str(source) if isinstance(source, Path) else "The file"


def _damaged(error: Exception) -> FileAudioError:
    detail = getattr(error, "strerror", None) or type(error).__name__
    return FileAudioError(f"The file is damaged: {detail}.", "damaged")
