"""The first bytes of a recording: headers to skip, containers to refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.audio.head import MAX_WAV_HEADER_BYTES, Head, HeadReader, find_format
from transcription.errors import BadAudio
from transcription.tests.recordings import CONTAINERS, MPEG_FRAME, chunk, wav

AUDIO = bytes(range(1, 201))
EXTRA = chunk(b"LIST", b"INFOISFT\x05\x00\x00\x00Lavf\0") + chunk(b"odd ", b"abc")


def read(*pieces: bytes, audio_format: AudioFormat | None = None) -> Head:
    """Feed pieces until the reader knows; the rest follows the head, and then comes the end."""
    reader = HeadReader(audio_format or AudioFormat())
    for number, piece in enumerate(pieces):
        head = reader.feed(piece)
        if head is not None:
            return Head(head.audio + b"".join(pieces[number + 1 :]), head.skipped_bytes)
    head = reader.feed(b"", last=True)
    assert head is not None
    return head


def test_raw_audio_goes_through_untouched() -> None:
    assert read(AUDIO) == Head(AUDIO, 0)


@given(st.binary(min_size=1, max_size=100), st.integers(0, 100))
def test_raw_audio_goes_through_however_it_is_cut(tail: bytes, cut: int) -> None:
    audio = b"\x01\x02" + tail

    assert read(audio[:cut], audio[cut:]) == Head(audio, 0)


def test_a_recording_of_a_few_bytes_goes_through_at_its_end() -> None:
    assert read(b"\x01\x02") == Head(b"\x01\x02", 0)
    assert read() == Head(b"", 0)


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("before_data", [b"", EXTRA], ids=["plain", "with other chunks"])
def test_a_wav_header_is_skipped_wherever_the_bytes_are_cut(extensible: bool, before_data: bytes) -> None:
    recording = wav(AUDIO, before_data=before_data, extensible=extensible)
    skipped = len(recording) - len(AUDIO)

    for cut in range(len(recording) + 1):
        assert read(recording[:cut], recording[cut:]) == Head(AUDIO, skipped), cut


def test_a_wav_header_is_skipped_byte_by_byte() -> None:
    recording = wav(AUDIO, before_data=EXTRA, extensible=True)

    head = read(*(recording[at : at + 1] for at in range(len(recording))))

    assert head == Head(AUDIO, len(recording) - len(AUDIO))


@pytest.mark.parametrize(
    ("encoding", "tag", "bits"),
    [(Encoding.LINEAR_PCM, 1, 16), (Encoding.ALAW, 6, 8), (Encoding.MULAW, 7, 8)],
)
def test_wav_headers_of_every_raw_encoding_are_known(encoding: Encoding, tag: int, bits: int) -> None:
    recording = wav(AUDIO, rate_hz=8000, channels=2, tag=tag, bits=bits)

    assert read(recording, audio_format=AudioFormat(encoding, 8000, 2)).audio == AUDIO


@pytest.mark.parametrize(
    ("recording", "found", "field"),
    [
        (wav(AUDIO, rate_hz=48000), "48000 Hz", "config.sample_rate_hertz"),
        (wav(AUDIO, channels=2), "2 channel(s)", "config.audio_channel_count"),
        (wav(AUDIO, bits=24), "24 bit", "config.encoding"),
        (wav(AUDIO, bits=8), "8 bit", "config.encoding"),
        (wav(AUDIO, tag=3, bits=32), "format 3", "config.encoding"),
        (wav(AUDIO, tag=7, bits=8), "MULAW", "config.encoding"),
        (wav(AUDIO, tag=3, bits=32, extensible=True), "format 3", "config.encoding"),
    ],
)
def test_a_wav_of_another_format_is_refused_naming_both(recording: bytes, found: str, field: str) -> None:
    with pytest.raises(BadAudio) as caught:
        read(recording)

    assert caught.value.code == 4415
    assert found in caught.value.message
    assert "16000 Hz, 1 channel(s), LINEAR_PCM" in caught.value.message
    assert caught.value.field == field


@pytest.mark.parametrize(
    "recording",
    [
        b"RIFF\x24\x00\x00\x00WAVE",
        b"RIFF\x24\x00\x00\x00WAVE" + chunk(b"LIST", bytes(40)),
        b"RIFF\x24\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00" + chunk(b"data", AUDIO),
        b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xff\xff\xff" + bytes(100),
        b"RIFX" + wav(AUDIO)[4:16] + b"\x00\x00\x00\x10" + bytes(100),
    ],
    ids=["nothing", "no data", "short format", "endless format", "big-endian"],
)
def test_a_broken_wav_header_is_bad_audio(recording: bytes) -> None:
    with pytest.raises(BadAudio):
        read(recording)


def test_a_wav_header_without_end_is_not_collected_for_ever() -> None:
    reader = HeadReader(AudioFormat())
    reader.feed(wav(b"")[:36])
    assert reader.feed(chunk(b"junk", bytes(992))) is None
    with pytest.raises(BadAudio):
        reader.feed(chunk(b"junk", bytes(992)) * (MAX_WAV_HEADER_BYTES // 1000 + 1))


@pytest.mark.parametrize("encoding", [Encoding.LINEAR_PCM, Encoding.MULAW, Encoding.ALAW])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_sent_as_raw_audio_is_refused_by_name(name: str, encoding: Encoding) -> None:
    with pytest.raises(BadAudio) as caught:
        read(CONTAINERS[name], audio_format=AudioFormat(encoding))

    assert caught.value.code == 4415
    assert name.split()[0] in caught.value.message
    assert encoding in caught.value.message
    assert caught.value.field == "config.encoding"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_refused_wherever_its_bytes_are_cut(name: str) -> None:
    for cut in range(0, len(CONTAINERS[name]), 3):
        with pytest.raises(BadAudio):
            read(CONTAINERS[name][:cut], CONTAINERS[name][cut:])


def test_samples_that_merely_look_like_one_mpeg_frame_go_through() -> None:
    audio = MPEG_FRAME + bytes(1000)

    assert read(audio) == Head(audio, 0)
    assert read(audio[:100]) == Head(audio[:100], 0)


@pytest.mark.parametrize(
    ("encoding", "recording"),
    [(Encoding.FLAC, CONTAINERS["FLAC"]), (Encoding.OGGOPUS, CONTAINERS["Ogg"])],
)
def test_a_declared_container_goes_through_whole(encoding: Encoding, recording: bytes) -> None:
    assert read(recording[:5], recording[5:], audio_format=AudioFormat(encoding)) == Head(recording, 0)


@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.OGGOPUS])
@pytest.mark.parametrize("recording", [AUDIO, wav(AUDIO), CONTAINERS["WebM"]], ids=["raw", "wav", "webm"])
def test_anything_else_than_the_declared_container_is_refused(encoding: Encoding, recording: bytes) -> None:
    with pytest.raises(BadAudio) as caught:
        read(recording, audio_format=AudioFormat(encoding))

    assert encoding in caught.value.message


@given(st.binary(max_size=300), st.sampled_from([b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xfb", b"ID3"]))
def test_whatever_comes_is_audio_or_bad_audio(data: bytes, start: bytes) -> None:
    reader = HeadReader(AudioFormat())
    try:
        head = reader.feed(start + data) or reader.feed(b"", last=True)
    except BadAudio:
        return

    assert head is not None
    assert len(head.audio) + head.skipped_bytes == len(start + data)


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("before_data", [b"", EXTRA], ids=["plain", "with other chunks"])
def test_a_wav_says_its_format_wherever_the_bytes_are_cut(extensible: bool, before_data: bytes) -> None:
    recording = wav(AUDIO, rate_hz=44100, channels=2, before_data=before_data, extensible=extensible)

    found = [find_format(recording[:cut]) for cut in range(len(recording) + 1)]

    known = AudioFormat(Encoding.LINEAR_PCM, 44100, 2)
    first = found.index(known)
    assert found == [None] * first + [known] * (len(found) - first)


@pytest.mark.parametrize(("begin", "encoding"), [(b"fLaC", Encoding.FLAC), (b"OggS", Encoding.OGGOPUS)])
def test_a_container_says_its_encoding(begin: bytes, encoding: Encoding) -> None:
    assert find_format(begin + AUDIO) == AudioFormat(encoding)


def test_raw_audio_says_no_format() -> None:
    assert find_format(b"\x01\x02") is None
    for last, data in ((False, AUDIO), (True, b"\x01\x02"), (True, b"")):
        with pytest.raises(BadAudio, match="no WAV, FLAC or Ogg"):
            find_format(data, last=last)


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        (wav(AUDIO, rate_hz=96000), "96000 Hz"),
        (wav(AUDIO, channels=6), r"6 channel\(s\)"),
        (wav(AUDIO, tag=3, bits=32), "32 bit format 3"),
        (wav(AUDIO, bits=8), "8 bit"),
    ],
)
def test_a_wav_of_what_is_not_served_is_refused_with_what_it_says(recording: bytes, says: str) -> None:
    with pytest.raises(BadAudio, match=says):
        find_format(recording)


def test_a_wav_without_a_format_is_refused() -> None:
    empty = b"RIFF\0\0\0\0WAVE" + chunk(b"LIST", bytes(MAX_WAV_HEADER_BYTES))

    with pytest.raises(BadAudio, match="no format"):
        find_format(empty)
    with pytest.raises(BadAudio, match="no format"):
        find_format(empty[:100], last=True)
