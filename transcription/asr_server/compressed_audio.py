"""FLAC and Ogg Opus, decoded piece by piece with PyAV's codecs.

The containers are read here rather than by a demuxer, because a demuxer pulls from a file and would
need a thread for each stream; both are simple enough to be fed instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet
from numpy.typing import NDArray

from .errors import RequestError

# Pictures and tags before the first FLAC frame; a page or packet of Ogg is far smaller.
MAX_METADATA_BYTES = 16 << 20
MAX_OGG_PACKET_BYTES = 1 << 20


class AudioDecoder(Protocol):
    """Bytes of one file in, mono float32 samples at `sample_rate_hz` out."""

    sample_rate_hz: int
    channels: int

    def push(self, data: bytes) -> Iterator[NDArray[np.float32]]:
        """Decode what is complete; raises RequestError if it is not what it claims to be."""

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Decode what was held back at the end of the file."""


class _CodecOutput:
    """The part both decoders share: codec frames become mono float32 arrays."""

    def __init__(self, codec: str) -> None:
        self.sample_rate_hz = 0
        self.channels = 0
        context = av.CodecContext.create(codec, "r")
        if not isinstance(context, AudioCodecContext):
            raise TypeError(f"{codec} is not an audio codec")
        self._codec: AudioCodecContext = context
        self._mixer: AudioResampler | None = None

    def _decode(self, packet: Packet | None) -> Iterator[NDArray[np.float32]]:
        try:
            for frame in self._codec.decode(packet):
                yield from self._mix(frame)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            # One damaged frame is a gap, as it is on a telephone line; a stream without any good
            # frame is reported at its end by the caller.
            if self.sample_rate_hz == 0 and packet is None:
                raise RequestError("audio_content", f"cannot be decoded: {error.strerror}") from None

    def _mix(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        if self._mixer is None:
            self.sample_rate_hz, self.channels = frame.sample_rate, frame.layout.nb_channels
            self._mixer = AudioResampler(format="fltp", layout="mono", rate=frame.sample_rate)
        elif frame.sample_rate != self.sample_rate_hz:
            raise RequestError("audio_content", "the sample rate changes inside the file")
        for mixed in self._mixer.resample(frame):
            yield mixed.to_ndarray()[0].astype(np.float32, copy=False)


class FlacDecoder(_CodecOutput):
    """A native FLAC file (RFC 9639)."""

    def __init__(self) -> None:
        super().__init__("flac")
        self._head = bytearray()
        self._in_frames = False
        self._has_parsed = False

    def push(self, data: bytes) -> Iterator[NDArray[np.float32]]:
        if not self._in_frames:
            self._head += data
            begin = self._frames_begin()
            if begin is None:
                return
            self._in_frames = True
            data = bytes(self._head[begin:])
            self._head.clear()
        if data:  # no data would mean the end to the parser
            self._has_parsed = True
            for packet in self._codec.parse(data):
                yield from self._decode(packet)

    def finish(self) -> Iterator[NDArray[np.float32]]:
        if not self._has_parsed:
            raise RequestError("audio_content", "the FLAC file ends before its first frame")
        # Each flush of the parser gives one of the frames it holds back, about ten.
        while packets := self._codec.parse(b""):
            for packet in packets:
                yield from self._decode(packet)
        yield from self._decode(None)

    def _frames_begin(self) -> int | None:
        """Offset of the first frame, once all metadata blocks are here (RFC 9639, section 8)."""
        head = self._head
        if bytes(head[:4]) != b"fLaC"[: len(head)]:
            raise RequestError("audio_content", "is not a FLAC file")
        at, is_last = 4, False
        while not is_last:
            if len(head) > MAX_METADATA_BYTES:
                raise RequestError("audio_content", "the metadata of the FLAC file are too long")
            if len(head) < at + 4:
                return None
            is_last, kind = bool(head[at] & 0x80), head[at] & 0x7F
            size = int.from_bytes(head[at + 1 : at + 4], "big")
            if kind == 0 and len(head) >= at + 4 + size:
                self._codec.extradata = bytes(head[at + 4 : at + 4 + size])
            at += 4 + size
        return at if len(head) >= at else None


class OggOpusDecoder(_CodecOutput):
    """An Ogg file with one Opus stream (RFC 3533, RFC 7845). Always decodes at 48 kHz."""

    def __init__(self) -> None:
        super().__init__("opus")
        self._pages = bytearray()
        self._packet = bytearray()
        self._packets_seen = 0
        self._samples_to_skip = 0

    def push(self, data: bytes) -> Iterator[NDArray[np.float32]]:
        self._pages += data
        while (page := self._take_page()) is not None:
            for packet in self._packets_of(*page):
                yield from self._opus(packet)

    def finish(self) -> Iterator[NDArray[np.float32]]:
        if self._packets_seen == 0:
            raise RequestError("audio_content", "the Ogg file ends before its Opus header")
        yield from self._decode(None)

    def _take_page(self) -> tuple[bytes, bytes] | None:
        """The next page's segment table and body; None while bytes are missing."""
        pages = self._pages
        if bytes(pages[:4]) != b"OggS"[: len(pages)]:
            raise RequestError("audio_content", "is not an Ogg file")
        if len(pages) < 27 or len(pages) < 27 + pages[26]:
            return None
        table = bytes(pages[27 : 27 + pages[26]])
        begin = 27 + len(table)
        end = begin + sum(table)
        if len(pages) < end:
            return None
        body = bytes(pages[begin:end])
        del pages[:end]
        return table, body

    def _packets_of(self, table: bytes, body: bytes) -> Iterator[bytes]:
        at = 0
        for lacing in table:
            self._packet += body[at : at + lacing]
            at += lacing
            if len(self._packet) > MAX_OGG_PACKET_BYTES:
                raise RequestError("audio_content", "a packet of the Ogg file is too long")
            if lacing < 255:  # a packet ends with the first lacing value below 255
                yield bytes(self._packet)
                self._packet.clear()

    def _opus(self, packet: bytes) -> Iterator[NDArray[np.float32]]:
        self._packets_seen += 1
        if self._packets_seen == 1:
            if not packet.startswith(b"OpusHead") or len(packet) < 19:
                raise RequestError("audio_content", "the Ogg file does not hold Opus")
            self._codec.extradata = packet
            self._samples_to_skip = int.from_bytes(packet[10:12], "little")
            return
        if self._packets_seen == 2 or not packet:  # the second packet holds tags
            return
        for samples in self._decode(Packet(packet)):
            skipped = min(self._samples_to_skip, len(samples))
            self._samples_to_skip -= skipped
            yield samples[skipped:]
