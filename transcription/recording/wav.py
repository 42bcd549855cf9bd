"""The header of a WAV file. Pure."""

from __future__ import annotations

import struct

from transcription.audio.formats import AudioFormat, Encoding

FORMAT_TAGS = {Encoding.LINEAR_PCM: 1, Encoding.ALAW: 6, Encoding.MULAW: 7}
BITS_PER_SAMPLE = {Encoding.LINEAR_PCM: 16, Encoding.ALAW: 8, Encoding.MULAW: 8}
# What stands for a length that is not known, or does not fit.
UNKNOWN = 0xFFFF_FFFF


def build_header(audio_format: AudioFormat, data_bytes: int | None) -> bytes:
    """What comes before the audio. data_bytes: None: nobody knows how much will come.

    Beyond 4 GiB it is RF64 (EBU Tech 3306), which players of WAV take. Raises KeyError for a format without a
    constant rate.
    """
    form = _format_chunk(audio_format)
    if data_bytes is None:
        return b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVE" + form + b"data" + struct.pack("<I", UNKNOWN)
    size = 4 + len(form) + 8 + data_bytes + data_bytes % 2
    if size < UNKNOWN:
        return b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + b"data" + struct.pack("<I", data_bytes)
    samples = data_bytes // audio_format.bytes_per_sample_set
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, size + 36, data_bytes, samples, 0)
    return b"RF64" + struct.pack("<I", UNKNOWN) + b"WAVE" + sizes + form + b"data" + struct.pack("<I", UNKNOWN)


def _format_chunk(audio_format: AudioFormat) -> bytes:
    tag = FORMAT_TAGS[audio_format.encoding]
    content = struct.pack(
        "<HHIIHH",
        tag,
        audio_format.channels,
        audio_format.sample_rate_hz,
        audio_format.bytes_per_second,
        audio_format.bytes_per_sample_set,
        BITS_PER_SAMPLE[audio_format.encoding],
    )
    if tag != 1:
        # Other formats than PCM say how much more they say of themselves: nothing.
        content += struct.pack("<H", 0)
    return b"fmt " + struct.pack("<I", len(content)) + content
