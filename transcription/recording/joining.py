"""The program that makes one file of a session's parts: `python -m transcription.recording.joining ORDERS`.

A process of its own, behind live sessions: it reads and encodes hours of audio. ORDERS and what it prints at the end
are JSON, see Orders and Joined. It imports no Django.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import numpy as np

from transcription.audio.containers import SAMPLE_RATE_HZ, FileAudioError, decode, rechunk
from transcription.audio.formats import AudioFormat, Encoding
from transcription.audio.levels import ALAW_SAMPLES, MULAW_SAMPLES
from transcription.recording.parts import NO_ROOM, Part, PartFolder
from transcription.recording.peaks import PeakMeter
from transcription.recording.plan import missing
from transcription.recording.reading import read
from transcription.recording.wav import build_header

Kind = Literal["wav", "flac", "ogg", "webm"]

NICENESS = 5
# What it ends with where the disk is full: that passes.
NO_ROOM_STATUS = 75
FLAC_FRAME_SAMPLES = 4096
HASH_BLOCK_BYTES = 1024 * 1024
# What compressed audio begins with.
MAGIC: tuple[tuple[bytes, Kind], ...] = ((b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "webm"), (b"fLaC", "flac"))


@dataclass(frozen=True, slots=True)
class Orders:
    """What to make. folder: the session's, below parts; kind: of PCM."""

    parts: str
    folder: str
    encoding: str
    sample_rate_hz: int
    channels: int
    kind: Literal["wav", "flac"]

    @property
    def audio_format(self) -> AudioFormat:
        return AudioFormat(Encoding(self.encoding), self.sample_rate_hz, self.channels)


@dataclass(frozen=True, slots=True)
class Joined:
    """What was made. reached_bytes: of the session's audio; missing: spans of that which nobody wrote.

    peaks: hexadecimal, a byte for each peak_ms. duration_ms: 0 for compressed audio that cannot be decoded.
    """

    kind: Kind
    size_bytes: int
    sha256: str
    duration_ms: int
    reached_bytes: int
    missing: list[tuple[int, int]]
    peak_ms: int
    peaks: str


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    os.nice(NICENESS)
    try:
        print(json.dumps(dataclasses.asdict(join(orders))))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.exit(NO_ROOM_STATUS)


def join(orders: Orders) -> Joined:
    """Make the file at PartFolder.joined_path(). Raises OSError, and ValueError where there is no audio at all."""
    folder = PartFolder(Path(orders.parts))
    parts = folder.parts(orders.folder)
    audio_format = orders.audio_format
    reached = max((part.end for part in parts), default=0)
    end = audio_format.align(reached)
    if not end:
        raise ValueError("there is no audio")
    path = folder.joined_path(orders.folder)
    with open(path, "wb", opener=_private) as file:
        if not audio_format.has_constant_rate:
            kind, meter, duration_ms = _copy(parts, audio_format, end, file)
        else:
            duration_ms = audio_format.bytes_to_ms(end)
            meter = PeakMeter(audio_format.sample_rate_hz * audio_format.channels, duration_ms)
            blocks = _measured(_whole(read(parts, audio_format, 0, end), audio_format), audio_format, meter)
            kind = "flac" if orders.kind == "flac" and audio_format.encoding is Encoding.LINEAR_PCM else "wav"
            if kind == "flac":
                _write_flac(blocks, audio_format, file)
            else:
                _write_wav(blocks, audio_format, end, file)
        file.flush()
        os.fsync(file.fileno())
    return Joined(
        kind, path.stat().st_size, _digest(path), duration_ms, reached, missing(parts, end), meter.step_ms,
        meter.finish().hex(),
    )  # fmt: skip


def _write_wav(blocks: Iterator[bytes], audio_format: AudioFormat, size_bytes: int, file: BinaryIO) -> None:
    file.write(build_header(audio_format, size_bytes))
    for block in blocks:
        file.write(block)
    # Chunks have an even length.
    file.write(bytes(size_bytes % 2))


def _write_flac(blocks: Iterator[bytes], audio_format: AudioFormat, file: BinaryIO) -> None:
    layout = "stereo" if audio_format.channels == 2 else "mono"
    with av.open(file, "w", format="flac") as container:
        stream: Any = container.add_stream("flac", rate=audio_format.sample_rate_hz)
        stream.layout, stream.format = layout, "s16"
        stream.codec_context.open()
        samples_per_frame = stream.codec_context.frame_size or FLAC_FRAME_SAMPLES
        position = 0
        for block in rechunk(blocks, samples_per_frame * audio_format.bytes_per_sample_set):
            frame = av.AudioFrame.from_ndarray(np.frombuffer(block, dtype="<i2").reshape(1, -1), "s16", layout)
            frame.sample_rate, frame.pts = audio_format.sample_rate_hz, position
            position += frame.samples
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _copy(parts: Sequence[Part], audio_format: AudioFormat, end: int, file: BinaryIO) -> tuple[Kind, PeakMeter, int]:
    """Compressed audio as it came. Where nobody wrote something nothing can be put in its place."""
    head = b""
    for block in read(parts, audio_format, 0, end):
        head = head or block[:4]
        file.write(block)
    file.flush()
    kind: Kind = next((kind for magic, kind in MAGIC if head.startswith(magic)), "ogg")
    try:
        # Twice, for the length decides the step, and memory would grow with it.
        samples = sum(len(piece) for piece in _decoded(file.name)) // 2
        meter = PeakMeter(SAMPLE_RATE_HZ, samples * 1000 // SAMPLE_RATE_HZ)
        for piece in _decoded(file.name):
            meter.feed(np.frombuffer(piece, dtype="<i2"))
    except FileAudioError:
        return kind, PeakMeter(SAMPLE_RATE_HZ, 0), 0
    return kind, meter, samples * 1000 // SAMPLE_RATE_HZ


def _decoded(path: str) -> Iterator[bytes]:
    return decode(Path(path))


def _measured(blocks: Iterator[bytes], audio_format: AudioFormat, meter: PeakMeter) -> Iterator[bytes]:
    for block in blocks:
        match audio_format.encoding:
            case Encoding.MULAW:
                meter.feed(MULAW_SAMPLES[np.frombuffer(block, dtype=np.uint8)])
            case Encoding.ALAW:
                meter.feed(ALAW_SAMPLES[np.frombuffer(block, dtype=np.uint8)])
            case _:
                meter.feed(np.frombuffer(block, dtype="<i2"))
        yield block


def _whole(blocks: Iterator[bytes], audio_format: AudioFormat) -> Iterator[bytes]:
    """The same bytes cut at whole samples: a part may begin or end within one."""
    held = b""
    for block in blocks:
        held += block
        whole = audio_format.align(len(held))
        if whole:
            yield held[:whole]
        held = held[whole:]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    main()
