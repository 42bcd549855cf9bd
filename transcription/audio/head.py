"""The first bytes of a recording: a WAV header to skip, a container that is not what was declared. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from transcription.audio.formats import BYTES_PER_SAMPLE, AudioFormat, Encoding
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
CHANNELS, RATES_HZ = range(1, 3), range(8000, 48001)
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
        if _is_wav(self._held):
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
        found, declared = _read_wav_format(fmt), self._format
        if found.rate_hz != declared.sample_rate_hz:
            wrong = "sample_rate_hertz"
        elif found.channels != declared.channels:
            wrong = "audio_channel_count"
        elif found.encoding != declared.encoding:
            wrong = "encoding"
        else:
            return
        raise BadAudio(
            f"The WAV header says {found}; "
            f"declared were {declared.sample_rate_hz} Hz, {declared.channels} channel(s), {declared.encoding}.",
            field=f"config.{wrong}",
        )


def is_recording(data: bytes) -> bool:
    """Whether bytes begin as a file does, and not as raw audio."""
    return _is_wav(data) or data.startswith(tuple(MAGICS)) or data[4:8] == b"ftyp" or _is_mpeg_audio(data)


def find_format(data: bytes, *, last: bool = False) -> AudioFormat | None:
    """What the first bytes of a recording say of its audio; None while more is needed.

    A container of compressed audio says its rate and channels inside: those of the format are then the usual ones.
    last: no more will come. Raises BadAudio for what is no WAV, FLAC or Ogg, or a WAV of what is not served.
    """
    if len(data) < MAGIC_BYTES and not last:
        return None
    for encoding, magic in CONTAINER_MAGIC.items():
        if data.startswith(magic):
            return AudioFormat(encoding)
    if not (data[:4] == b"RIFF" and data[8:12] == b"WAVE"):
        raise BadAudio("The audio says nothing of its format: it begins with no WAV, FLAC or Ogg header.")
    fmt = _find_wav_format(data)
    if fmt is None:
        if last or len(data) > MAX_WAV_HEADER_BYTES:
            raise BadAudio("The audio begins with a WAV header that has no format in it.")
        return None
    found = _read_wav_format(fmt)
    if found.encoding is None or found.channels not in CHANNELS or found.rate_hz not in RATES_HZ:
        raise BadAudio(f"The WAV header says {found}, which is not served.")
    return AudioFormat(found.encoding, found.rate_hz, found.channels)


def _is_wav(data: bytes) -> bool:
    return data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE"


def _find_wav_format(data: bytes) -> bytes | None:
    """The `fmt ` chunk as far as it matters; None where it is not there yet."""
    position = 12
    while position + 8 <= len(data):
        size = _u32(data, position + 4)
        end = position + 8 + min(size, WAV_FORMAT_BYTES)
        if data[position : position + 4] == b"fmt ":
            return data[position + 8 : end] if end <= len(data) else None
        position += 8 + size + size % 2
    return None


@dataclass(frozen=True, slots=True)
class _WavFormat:
    """encoding: None for one that is not served, or of another width than ours."""

    tag: int
    bits: int
    rate_hz: int
    channels: int

    @property
    def encoding(self) -> Encoding | None:
        encoding = WAV_ENCODINGS.get(self.tag)
        return encoding if encoding is not None and self.bits == BYTES_PER_SAMPLE[encoding] * 8 else None

    def __str__(self) -> str:
        name = WAV_ENCODINGS.get(self.tag) or f"format {self.tag}"
        return f"{self.rate_hz} Hz, {self.channels} channel(s), {self.bits} bit {name}"


def _read_wav_format(fmt: bytes) -> _WavFormat:
    if len(fmt) < MIN_WAV_FORMAT_BYTES:
        raise BadAudio("The audio begins with a WAV header that is damaged.")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == WAV_EXTENSIBLE and len(fmt) == WAV_FORMAT_BYTES:
        tag = struct.unpack_from("<H", fmt, 24)[0]
    return _WavFormat(tag, bits, rate_hz, channels)


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
