"""A client's bytes become mono float32 samples at the client's own rate.

The encoding comes from `RecognitionConfig`, or, where that leaves it open, from the first bytes:
NVIDIA's file clients name neither encoding nor rate and send the whole file, header first.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from . import wav_header
from .compressed_audio import AudioDecoder, FlacDecoder, OggOpusDecoder
from .errors import RequestError

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
MAX_CHANNELS = 2
SNIFFED_BYTES = 12


class Encoding(Enum):
    """How one sample is written; UNKNOWN is settled by the first bytes."""

    UNKNOWN = "unknown"
    PCM16 = "pcm16"
    PCM8 = "pcm8"
    PCM24 = "pcm24"
    PCM32 = "pcm32"
    FLOAT32 = "float32"
    MULAW = "mulaw"
    ALAW = "alaw"
    FLAC = "flac"
    OGG_OPUS = "ogg_opus"


SAMPLE_BYTES = {
    Encoding.PCM16: 2,
    Encoding.PCM8: 1,
    Encoding.PCM24: 3,
    Encoding.PCM32: 4,
    Encoding.FLOAT32: 4,
    Encoding.MULAW: 1,
    Encoding.ALAW: 1,
}
_WAV_ENCODINGS = {
    (wav_header.PCM, 8): Encoding.PCM8,
    (wav_header.PCM, 16): Encoding.PCM16,
    (wav_header.PCM, 24): Encoding.PCM24,
    (wav_header.PCM, 32): Encoding.PCM32,
    (wav_header.FLOAT, 32): Encoding.FLOAT32,
    (wav_header.MULAW, 8): Encoding.MULAW,
    (wav_header.ALAW, 8): Encoding.ALAW,
}


def _mulaw_table() -> NDArray[np.float32]:
    """Value of each mu-law byte in [-1, 1) (ITU-T G.711)."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


def _alaw_table() -> NDArray[np.float32]:
    """Value of each A-law byte in [-1, 1) (ITU-T G.711)."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


MULAW_VALUES, ALAW_VALUES = _mulaw_table(), _alaw_table()


def decode_samples(data: bytes, encoding: Encoding) -> NDArray[np.float32]:
    """Whole samples of an uncompressed encoding as float32 in [-1, 1], interleaved as they came."""
    if encoding is Encoding.MULAW:
        return MULAW_VALUES[np.frombuffer(data, np.uint8)]
    if encoding is Encoding.ALAW:
        return ALAW_VALUES[np.frombuffer(data, np.uint8)]
    if encoding is Encoding.FLOAT32:
        # Floats may hold anything, not-a-number and infinities included.
        values: NDArray[np.float32] = np.nan_to_num(np.frombuffer(data, "<f4"), nan=0.0)
        return values.clip(-1, 1)
    if encoding is Encoding.PCM8:
        return _scaled(np.frombuffer(data, np.uint8).astype(np.int16) - 128, 128)
    if encoding is Encoding.PCM24:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        return _scaled((parts[:, 0] << 8) | (parts[:, 1] << 16) | (parts[:, 2] << 24), 1 << 31)
    if encoding is Encoding.PCM32:
        return _scaled(np.frombuffer(data, "<i4"), 1 << 31)
    return _scaled(np.frombuffer(data, "<i2"), 1 << 15)


def _scaled(values: NDArray[np.signedinteger], full_scale: int) -> NDArray[np.float32]:
    return values.astype(np.float32) / np.float32(full_scale)


def check_rate(rate_hz: int) -> None:
    """Raise RequestError unless speech at this rate can be served."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise RequestError("sample_rate_hertz", f"{rate_hz} Hz is outside {MIN_RATE_HZ}-{MAX_RATE_HZ} Hz")


def check_channels(channels: int) -> None:
    """Raise RequestError unless this many channels can be mixed down."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise RequestError("audio_channel_count", f"{channels} is not 1 or {MAX_CHANNELS}")


class AudioInput:
    """`push` the client's bytes in pieces of any size; `sample_rate_hz` holds once samples came out.

    rate_hz and channels are what the config says (0: not said); a header wins over them.
    """

    def __init__(self, encoding: Encoding, rate_hz: int, channels: int) -> None:
        self.sample_rate_hz = rate_hz
        self._encoding = encoding
        self._channels = channels or 1
        self._pending = bytearray()
        self._sniffing = encoding in (Encoding.UNKNOWN, Encoding.PCM16)
        self._bytes_left: int | None = None
        self._decoder: AudioDecoder | None = self._decoder_for(encoding)

    def push(self, data: bytes) -> Iterator[NDArray[np.float32]]:
        """Mono float32 samples in [-1, 1]; lazily, one codec frame at a time.

        Raises RequestError if the bytes are not what the config or their header says.
        """
        self._pending += data
        if self._sniffing and not self._sniff(at_end=False):
            return
        yield from self._samples()

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """What was held back until it was clear that nothing follows."""
        if self._sniffing and self._pending:
            self._sniff(at_end=True)
        yield from self._samples()
        if self._decoder is not None:
            yield from self._checked(self._decoder.finish())

    @property
    def is_compressed(self) -> bool:
        """True where a few bytes may become many samples."""
        return self._decoder is not None or self._encoding is Encoding.UNKNOWN

    def _decoder_for(self, encoding: Encoding) -> AudioDecoder | None:
        if encoding is Encoding.FLAC:
            return FlacDecoder()
        return OggOpusDecoder() if encoding is Encoding.OGG_OPUS else None

    def _sniff(self, at_end: bool) -> bool:
        """Settle the format from the first bytes; False while more of them are needed."""
        head = bytes(self._pending[:SNIFFED_BYTES])
        if wav_header.could_be_wav(head):
            if len(head) < SNIFFED_BYTES and not at_end:
                return False
            if len(head) == SNIFFED_BYTES:
                return self._read_wav_header(at_end)
        if self._encoding is Encoding.UNKNOWN:
            for magic, encoding in ((b"fLaC", Encoding.FLAC), (b"OggS", Encoding.OGG_OPUS)):
                if head.startswith(magic):
                    self._encoding = encoding
                    self._decoder = self._decoder_for(encoding)
                elif magic.startswith(head) and not at_end:
                    return False
        if self._encoding is Encoding.UNKNOWN:
            self._encoding = Encoding.PCM16
        if self._decoder is None:
            self._check_said()
        self._sniffing = False
        return True

    def _check_said(self) -> None:
        if self.sample_rate_hz == 0:
            raise RequestError("sample_rate_hertz", "is needed for audio without a header")

    def _read_wav_header(self, at_end: bool) -> bool:
        parsed = wav_header.parse_wav_header(bytes(self._pending[: wav_header.MAX_HEADER_BYTES]))
        if parsed is None:
            if at_end or len(self._pending) >= wav_header.MAX_HEADER_BYTES:
                raise RequestError("audio_content", "the WAV header is not complete")
            return False
        found, begin = parsed
        encoding = _WAV_ENCODINGS.get((found.tag, found.bits))
        if encoding is None:
            raise RequestError("encoding", f"WAV format {found.tag} with {found.bits} bits is not served")
        check_rate(found.sample_rate_hz)
        check_channels(found.channels)
        self._encoding, self._channels = encoding, found.channels
        self.sample_rate_hz, self._bytes_left = found.sample_rate_hz, found.data_bytes
        del self._pending[:begin]
        self._sniffing = False
        return True

    def _samples(self) -> Iterator[NDArray[np.float32]]:
        if self._decoder is not None:
            data = bytes(self._pending)
            self._pending.clear()
            yield from self._checked(self._decoder.push(data))
        elif not self._sniffing:
            yield from self._plain_samples()

    def _plain_samples(self) -> Iterator[NDArray[np.float32]]:
        frame_bytes = SAMPLE_BYTES[self._encoding] * self._channels
        usable = len(self._pending) - len(self._pending) % frame_bytes
        if self._bytes_left is not None:
            usable = min(usable, self._bytes_left - self._bytes_left % frame_bytes)
            self._bytes_left -= usable
        data = bytes(self._pending[:usable])
        if self._bytes_left is not None and self._bytes_left < frame_bytes:
            self._pending.clear()  # tags after the sound
        else:
            del self._pending[:usable]
        if data:
            samples = decode_samples(data, self._encoding)
            yield samples.reshape(-1, self._channels).mean(axis=1) if self._channels > 1 else samples

    def _checked(self, decoded: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for samples in decoded:
            decoder = self._decoder
            if decoder is not None and self.sample_rate_hz != decoder.sample_rate_hz:
                check_rate(decoder.sample_rate_hz)
                check_channels(decoder.channels)
                self.sample_rate_hz = decoder.sample_rate_hz
            yield samples
