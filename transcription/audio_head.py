"""The first bytes of a recording: a WAV header to skip, a container that is not what was declared. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from transcription.audio import BYTES_PER_SAMPLE, AudioFormat, Encoding
from transcription.errors import BadAudio

MAX_WAV_HEADER_BYTES = 64 * 1024
MAGIC_BYTES = 12
WAV_ENCODINGS = {1: Encoding.LINEAR_PCM, 6: Encoding.ALAW, 7: Encoding.MULAW}
WAV_EXTENSIBLE = 0xFFFE
MIN_WAV_FORMAT_BYTES = 16
# With the extension, the real format at byte 24 of it.
WAV_FORMAT_BYTES = 40
MAGICS = {
    b"OggS": "Ogg",
    b"\x1aE\xdf\xa3": "WebM",
    b"fLaC": "FLAC",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"caff": "CAF",
}
CONTAINER_MAGIC = {Encoding.FLAC: b"fLaC", Encoding.OGGOPUS: b"OggS"}
MPEG_HEADER_BYTES = 4
MPEG_BITRATES_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
MPEG_SAMPLE_RATES_HZ = (44100, 48000, 32000, 0)


@dataclass(frozen=True, slots=True)
class Head:
    """What was found: the audio that follows, and how many bytes before it are no audio."""

    audio: bytes
    skipped_bytes: int = 0


class HeadReader:
    """Takes the first chunks of a recording until it is clear what they are."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._held = b""

    def feed(self, chunk: bytes, *, last: bool = False) -> Head | None:
        """Returns None while more is needed; afterwards do not call it again.

        last: no more will come, decide now. Raises BadAudio if the bytes are not the declared audio.
        """
        self._held += chunk
        if not last and len(self._held) < MAGIC_BYTES:
            return None
        if not self._format.has_constant_rate:
            self._check_container()
            return Head(self._held)
        if self._held[:4] in (b"RIFF", b"RIFX", b"RF64") and self._held[8:12] == b"WAVE":
            return self._skip_wav_header(last)
        mpeg_frame_bytes = _mpeg_frame_bytes(self._held)
        if mpeg_frame_bytes and not last and len(self._held) < mpeg_frame_bytes + MPEG_HEADER_BYTES:
            return None
        self._refuse_containers()
        return Head(self._held)

    def _check_container(self) -> None:
        magic = CONTAINER_MAGIC[self._format.encoding]
        if self._held and self._held[: len(magic)] != magic:
            raise BadAudio(f"The audio does not begin as {self._format.encoding} does.", field="config.encoding")

    def _refuse_containers(self) -> None:
        for magic, name in MAGICS.items():
            if self._held.startswith(magic):
                raise self._not_raw(name)
        if self._held[4:8] == b"ftyp":
            raise self._not_raw("MP4")
        if _is_mpeg_audio(self._held):
            raise self._not_raw("MP3")

    def _not_raw(self, name: str) -> BadAudio:
        return BadAudio(
            f"The audio is {name}, but {self._format.encoding} was declared: send raw samples.",
            field="config.encoding",
        )

    def _skip_wav_header(self, last: bool) -> Head | None:
        position = 12
        while position + 8 <= len(self._held):
            kind, size = self._held[position : position + 4], _u32(self._held, position + 4)
            if kind == b"data":
                return Head(self._held[position + 8 :], position + 8)
            fmt_end = position + 8 + min(size, WAV_FORMAT_BYTES)
            if kind == b"fmt " and fmt_end <= len(self._held):
                self._check_wav_format(self._held[position + 8 : fmt_end])
            position += 8 + size + size % 2
        if last or len(self._held) > MAX_WAV_HEADER_BYTES or position > MAX_WAV_HEADER_BYTES:
            raise BadAudio("The audio begins with a WAV header that has no data in it.")
        return None

    def _check_wav_format(self, fmt: bytes) -> None:
        if len(fmt) < MIN_WAV_FORMAT_BYTES:
            raise BadAudio("The audio begins with a WAV header that is damaged.")
        tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
        if tag == WAV_EXTENSIBLE and len(fmt) == WAV_FORMAT_BYTES:
            tag = struct.unpack_from("<H", fmt, 24)[0]
        encoding = WAV_ENCODINGS.get(tag)
        declared = self._format
        if rate_hz != declared.sample_rate_hz:
            wrong = "sample_rate_hertz"
        elif channels != declared.channels:
            wrong = "audio_channel_count"
        elif encoding != declared.encoding or bits != BYTES_PER_SAMPLE[encoding] * 8:
            wrong = "encoding"
        else:
            return
        raise BadAudio(
            f"The WAV header says {rate_hz} Hz, {channels} channel(s), {bits} bit {encoding or f'format {tag}'}; "
            f"declared were {declared.sample_rate_hz} Hz, {declared.channels} channel(s), {declared.encoding}.",
            field=f"config.{wrong}",
        )


def _u32(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from("<I", data, offset)[0]
    return value


def _is_mpeg_audio(data: bytes) -> bool:
    """Whether two MPEG-1 layer III frames follow one another: one sync word alone may well be a sample."""
    length = _mpeg_frame_bytes(data)
    return length is not None and _mpeg_frame_bytes(data[length:]) is not None


def _mpeg_frame_bytes(data: bytes) -> int | None:
    if len(data) < MPEG_HEADER_BYTES or data[0] != 0xFF or data[1] & 0xFE != 0xFA:
        return None
    bitrate_kbps = MPEG_BITRATES_KBPS[data[2] >> 4]
    rate_hz = MPEG_SAMPLE_RATES_HZ[data[2] >> 2 & 3]
    if not bitrate_kbps or not rate_hz:
        return None
    return 144_000 * bitrate_kbps // rate_hz + (data[2] >> 1 & 1)
