"""Transcripts as files. `golden/` has what they must look like; GOLDEN=write writes it anew, to be looked at."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import webvtt
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.test import AsyncRequestFactory, RequestFactory

from transcription.errors import BadConfig
from transcription.exports import (
    CONTENT_TYPES,
    MAX_ZIPPED_SESSIONS,
    ExportOptions,
    format_time,
    transcript_response,
    write_file,
    write_transcript,
    write_zip,
)
from transcription.exports.files import TEXT_WRITERS
from transcription.exports.responses import BYTES_PER_SEND
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.tests.rows import make_session

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = (
    "plain\r\n\r\n00:00:01.000 --> 00:00:02.000\r\ninjected",
    "<script>alert(1)</script> & <b>bold</b> &amp;",
    "\u202eright to left override\u202c שלום עולם",
    "emoji 👩\u200d👩\u200d👧 🇩🇪 é e\u0301",
    '=cmd|"/c calc"!A1\ttab "quotes" \\ back',
    "WEBVTT\n\nNOTE not a comment",
)


@pytest.fixture
def meeting() -> TranscriptionSession:
    """Four segments: with words and speakers, long, corrected, and hostile; the last second was silent."""
    session = make_session(public_id="meeting", language="en-US", audio_ms=30_000, committed_bytes=960_000)
    long = "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow. " * 2
    rows: list[tuple[int, int, str, str, str]] = [
        (500, 2500, "good morning everyone", "Good morning, everyone.", "Anna"),
        (3000, 17_000, long.strip(), long.strip(), "<Ben> & Co"),
        (18_000, 20_000, "wreck a nice beach", "recognise speech", ""),
        (21_000, 29_000, HOSTILE[0], " ".join(HOSTILE), ""),
    ]
    for index, (start_ms, end_ms, machine, text, speaker) in enumerate(rows):
        words = machine.split()
        each_ms = (end_ms - start_ms) // len(words)
        TranscriptSegment.objects.create(
            session=session,
            index=index,
            start_ms=start_ms,
            end_ms=end_ms,
            asr_text=machine,
            text=text,
            speaker=speaker,
            confidence=0.5,
            words=[
                {
                    "word": word,
                    "start_ms": start_ms + at * each_ms,
                    "end_ms": start_ms + (at + 1) * each_ms,
                    "confidence": None,
                    "speaker": None,
                }
                for at, word in enumerate(words)
            ],
        )
    return session


TEXT_FORMATS = tuple(TEXT_WRITERS)


def written(session: TranscriptionSession, format: str, **options: Any) -> str:
    return "".join(write_transcript(session, format, ExportOptions(**options)))


def read_json(session: TranscriptionSession) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(written(session, "json"))
    return content


@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_files_look_as_agreed(format: str, meeting: TranscriptionSession) -> None:
    path = GOLDEN / f"meeting.{format}"
    text = written(meeting, format)
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(text.encode())
    assert text.encode() == path.read_bytes()


@pytest.mark.parametrize(("format", "read"), [("vtt", webvtt.from_buffer), ("srt", webvtt.from_buffer)])
def test_subtitles_are_read_back_as_they_were_written(format: str, read: Any, meeting: TranscriptionSession) -> None:
    captions = list(read(io.StringIO(written(meeting, format)), format=format))
    assert captions[0].text == "Good morning, everyone."
    assert captions[0].start == "00:00:00.500"
    assert captions[-1].end >= "00:00:29.000"
    text = " ".join(" ".join(caption.text.split()) for caption in captions)
    assert "injected" in text
    assert "recognise speech" in text
    assert "beach" not in text
    assert len(captions) == written(meeting, format).count(" --> ")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_no_text_can_add_a_cue_or_end_one(format: str, text: str) -> None:
    content = written(make_session(text, "second"), format)
    arrows = [line for line in content.splitlines() if "-->" in line]
    assert all(line.split(" --> ")[0][-4] in ".," and len(line.split()) == 3 for line in arrows)
    body = content.removeprefix("WEBVTT\n\n").rstrip("\n")
    assert len(body.split("\n\n")) == len(arrows)
    assert "\r" not in content


def test_vtt_has_no_markup_but_our_own(meeting: TranscriptionSession) -> None:
    content = written(meeting, "vtt")
    assert "<script" not in content
    assert "<v &lt;Ben&gt; &amp; Co>" in content


def test_json_has_exactly_the_agreed_shape(meeting: TranscriptionSession) -> None:
    content = read_json(meeting)
    assert set(content) == {"session_id", "language", "audio_ms", "segments", "gaps", "coverage"}
    assert (content["session_id"], content["language"], content["audio_ms"]) == ("meeting", "en-US", 30_000)
    assert [set(segment) for segment in content["segments"]] == [
        {"segment", "id", "start_ms", "end_ms", "text", "asr_text", "confidence", "speaker", "words"}
    ] * 4
    assert content["segments"][2]["text"] == "recognise speech"
    assert content["segments"][2]["asr_text"] == "wreck a nice beach"
    assert content["segments"][2]["speaker"] is None
    assert content["gaps"] == []
    assert content["coverage"][0] == {"start_ms": 0, "end_ms": 500, "kind": "silent"}
    assert sum(entry["end_ms"] - entry["start_ms"] for entry in content["coverage"]) == 30_000


def test_json_of_a_session_without_segments_is_whole() -> None:
    content = read_json(make_session(audio_ms=1000, committed_bytes=32_000))
    assert content["segments"] == []
    assert content["coverage"] == [{"start_ms": 0, "end_ms": 1000, "kind": "silent"}]


def test_audio_behind_the_watermark_of_a_broken_session_is_a_gap() -> None:
    content = read_json(make_session("words", state="interrupted", audio_ms=5000, committed_bytes=3000 * 32))
    assert content["gaps"] == [{"start_ms": 3000, "end_ms": 5000}]
    assert content["coverage"][-1] == {"start_ms": 3000, "end_ms": 5000, "kind": "lost"}


def test_audio_that_the_client_no_longer_had_is_a_gap_although_later_audio_is_settled() -> None:
    session = make_session("one", "two", committed_bytes=9000 * 32, audio_ms=9000, gaps=[[4000 * 32, 6400 * 32]])
    content = read_json(session)
    assert content["gaps"] == [{"start_ms": 4000, "end_ms": 6400}]
    assert sum(entry["end_ms"] - entry["start_ms"] for entry in content["coverage"]) == 9000


def test_words_flushed_when_the_connection_broke_are_recognised() -> None:
    fields = {"state": "interrupted", "committed_bytes": 2000 * 32, "flushed_bytes": 4500 * 32, "audio_ms": 5000}
    content = read_json(make_session("one", "a tail", **fields))
    assert [tuple(entry.values()) for entry in content["coverage"]] == [
        (0, 4000, "recognised"),
        (4000, 4500, "silent"),
        (4500, 5000, "lost"),
    ]


def test_what_a_client_that_is_away_may_still_send_is_not_lost() -> None:
    content = read_json(make_session("one", state="detached", committed_bytes=2000 * 32, audio_ms=5000))
    assert (content["audio_ms"], content["gaps"]) == (2000, [])


def test_a_text_file_says_where_audio_was_lost() -> None:
    gaps = [[2000 * 32, 2001 * 32], [4000 * 32, 6400 * 32]]
    session = make_session("one", state="interrupted", audio_ms=9000, committed_bytes=8000 * 32, gaps=gaps)
    TranscriptSegment.objects.create(session=session, index=1, start_ms=6500, end_ms=8000, text="two", asr_text="two")
    assert written(session, "txt").splitlines() == [
        "one",
        "[less than 0.1 s of audio lost]",
        "[2.4 s of audio lost]",
        "two",
        "[1.0 s of audio lost]",
    ]


def test_subtitles_have_no_cue_for_what_was_lost() -> None:
    session = make_session("one", audio_ms=9000, committed_bytes=9000 * 32, gaps=[[4000 * 32, 6400 * 32]])
    assert all("lost" not in written(session, format) for format in ("srt", "vtt"))


@pytest.mark.parametrize(("short_bytes", "kinds"), [(20, ["silent"]), (3200, ["silent", "lost"])])
def test_a_completed_session_that_was_not_answered_whole_does_not_say_so(short_bytes: int, kinds: list[str]) -> None:
    """The watermark may be rounded down by a millisecond; more than that was not answered."""
    session = make_session(audio_ms=1000, audio_bytes=32_000, committed_bytes=32_000 - short_bytes)
    assert [entry["kind"] for entry in read_json(session)["coverage"]] == kinds


def test_a_session_that_goes_on_tells_only_of_what_is_settled() -> None:
    content = read_json(make_session("words", state="live", audio_ms=0, committed_bytes=3000 * 32))
    assert content["audio_ms"] == 3000
    assert content["gaps"] == []


def test_a_completed_session_whose_bytes_tell_no_time_has_no_gap() -> None:
    content = read_json(make_session("words", encoding="OGGOPUS", audio_ms=5000, committed_bytes=900))
    assert [entry["kind"] for entry in content["coverage"]] == ["recognised", "silent"]


def test_times_have_as_many_hours_as_they_need() -> None:
    assert format_time(0) == "00:00:00.000"
    assert format_time(3_723_004, ",") == "01:02:03,004"
    assert format_time(360_000_000) == "100:00:00.000"


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(BadConfig) as raised:
        write_transcript(make_session(), "pdf")
    assert raised.value.field == "format"


def test_a_zip_has_every_session_in_every_format(meeting: TranscriptionSession) -> None:
    other = make_session("other words")
    with zipfile.ZipFile(io.BytesIO(b"".join(write_zip([meeting, other])))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            f"{session.public_id}.{format}" for session in (meeting, other) for format in CONTENT_TYPES
        }
        for format in CONTENT_TYPES:
            assert archive.read(f"meeting.{format}") == b"".join(write_file(meeting, format))


def test_a_zip_is_bounded() -> None:
    sessions = [TranscriptionSession(public_id=f"s{number}") for number in range(MAX_ZIPPED_SESSIONS + 1)]
    content = b"".join(write_zip(TranscriptionSession.objects.bulk_create(sessions)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.namelist()) == MAX_ZIPPED_SESSIONS * len(CONTENT_TYPES)


def test_a_download_names_its_file_and_is_not_kept_by_caches(meeting: TranscriptionSession) -> None:
    response = transcript_response(RequestFactory().get("/"), meeting, "srt")
    assert response["Content-Disposition"] == 'attachment; filename="meeting.srt"'
    assert "no-store" in response["Cache-Control"]
    assert b"".join(response).decode() == written(meeting, "srt")


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_it_is_streamed_in_pieces() -> None:
    session = await sync_to_async(make_session)(*[f"segment {number}" for number in range(1000)])
    request = AsyncRequestFactory().get("/")
    assert isinstance(request, ASGIRequest)
    response = await sync_to_async(transcript_response)(request, session, "txt")
    assert response.is_async
    pieces = [piece async for piece in response]
    assert len(pieces) == 5
    assert b"".join(pieces).decode().splitlines()[-1] == "segment 999"


@pytest.mark.django_db(transaction=True)
async def test_what_is_compressed_is_sent_as_it_comes() -> None:
    # Such text hardly gets shorter.
    texts = [hashlib.shake_256(str(number).encode()).hexdigest(256) for number in range(1500)]
    session = await sync_to_async(make_session)(*texts)
    response = await sync_to_async(transcript_response)(AsyncRequestFactory().get("/"), session, "docx")
    pieces = [piece async for piece in response]
    assert len(pieces) > 2
    assert max(map(len, pieces)) < 2 * BYTES_PER_SEND
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
