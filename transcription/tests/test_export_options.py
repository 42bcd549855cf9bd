"""What may be chosen about a file: which text, speakers, times, gaps, and how subtitles are cut."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from pydantic import ValidationError

from transcription.exports import ExportOptions, write_transcript, write_zip
from transcription.exports.cues import Cue, CueLimits, hold_cues, make_cues, wrap
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.tests.rows import make_session
from transcription.tests.test_export_safety import read_paragraphs, read_rows


@pytest.fixture
def talk(db: None) -> TranscriptionSession:
    """Two corrected segments of 2 s with a speaker; between them 1.5 s of audio were lost."""
    session = make_session(
        "recognise speech", title="Talk", audio_ms=6000, committed_bytes=6000 * 32, gaps=[[2000 * 32, 3500 * 32]]
    )
    session.segments.update(asr_text="wreck a nice beach", speaker="Anna")
    TranscriptSegment.objects.create(
        session=session, index=1, start_ms=3500, end_ms=5500, text="Yes.", asr_text="yes", speaker="Ben"
    )
    return session


def written(session: TranscriptionSession, format: str, **options: Any) -> str:
    return "".join(write_transcript(session, format, ExportOptions(**options)))


def test_plain_text_has_speakers_times_and_gaps_as_chosen(talk: TranscriptionSession) -> None:
    assert written(talk, "txt") == "Anna: recognise speech\n[1.5 s of audio lost]\nBen: Yes.\n"
    assert written(talk, "txt", speakers=False, gaps=False) == "recognise speech\nYes.\n"
    assert written(talk, "txt", times=True, text="machine") == (
        "[00:00:00] Anna: wreck a nice beach\n[00:00:02] [1.5 s of audio lost]\n[00:00:03] Ben: yes\n"
    )


@pytest.mark.parametrize("format", ["txt", "srt", "vtt", "csv"])
def test_the_text_is_the_edited_one_or_the_machines(format: str, talk: TranscriptionSession) -> None:
    assert "recognise speech" in written(talk, format)
    machine = written(talk, format, text="machine")
    assert "wreck a nice beach" in machine
    assert "recognise speech" not in machine


def test_json_of_the_machines_text_has_it_as_text(talk: TranscriptionSession) -> None:
    first = json.loads(written(talk, "json", text="machine"))["segments"][0]
    assert (first["text"], first["asr_text"]) == ("wreck a nice beach", "wreck a nice beach")


def test_subtitles_name_speakers_and_gaps_if_asked_to(talk: TranscriptionSession) -> None:
    assert "Anna" not in written(talk, "srt")
    with_both = written(talk, "srt", speakers=True, gaps=True)
    assert "\nAnna: recognise speech\n" in with_both
    assert "00:00:02,000 --> 00:00:03,500\n[1.5 s of audio lost]\n" in with_both
    assert "<v Anna>" in written(talk, "vtt")
    assert "<v" not in written(talk, "vtt", speakers=False)


def test_csv_has_a_row_for_each_segment_and_gap(talk: TranscriptionSession) -> None:
    rows = read_rows(talk)
    assert [(row["segment"], row["start_ms"], row["speaker"], row["text"], row["edited"]) for row in rows] == [
        ("0", "0", "Anna", "recognise speech", "yes"),
        ("", "2000", "", "[1.5 s of audio lost]", ""),
        ("1", "3500", "Ben", "Yes.", "yes"),
    ]
    assert rows[2]["start"] == "00:00:03.500"
    assert [row["speaker"] for row in read_rows(talk, speakers=False, gaps=False)] == ["", ""]


def test_a_document_has_speakers_times_and_gaps_as_chosen(talk: TranscriptionSession) -> None:
    title, facts, *passages = read_paragraphs(talk)
    assert title == "Talk"
    assert "UTC+" in facts
    assert "en-US" in facts
    assert passages == ["00:00:00Anna: recognise speech", "00:00:02[1.5 s of audio lost]", "00:00:03Ben: Yes."]
    bare = read_paragraphs(talk, speakers=False, times=False, gaps=False, text="machine")
    assert bare[2:] == ["wreck a nice beach", "yes"]


def test_an_archive_is_written_with_the_same_options(talk: TranscriptionSession) -> None:
    content = b"".join(write_zip([talk], formats=["txt"], options=ExportOptions(text="machine")))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "wreck a nice beach" in archive.read(f"{talk.public_id}.txt").decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [("text", "x"), ("line_characters", 5), ("lines", 0), ("characters_per_second", -1), ("min_cue_ms", 99_999)],
)
def test_what_is_out_of_bounds_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        ExportOptions(**{field: value})
    assert raised.value.errors()[0]["loc"] == (field,)


TEXT = "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow in the sky."


@pytest.mark.parametrize("line_characters", [10, 20, 32, 42, 80])
@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_cues_keep_to_the_length_and_number_of_lines(line_characters: int, lines: int) -> None:
    limits = CueLimits(line_characters=line_characters, lines=lines)
    cues = list(make_cues(TEXT, 0, 6000, limits=limits))
    assert " ".join(" ".join(cue.lines) for cue in cues) == TEXT
    assert all(len(cue.lines) <= lines for cue in cues)
    assert all(len(line) <= line_characters for cue in cues for line in cue.lines)


def test_lines_of_a_cue_are_of_lengths_as_near_as_may_be() -> None:
    assert wrap("aaaa bbbb cccc", CueLimits(line_characters=10)) == ("aaaa bbbb", "cccc")
    assert wrap("one two three four five six seven", CueLimits(line_characters=30)) == (
        "one two three four",
        "five six seven",
    )


def test_a_cue_stays_until_it_is_read_or_the_next_one_comes() -> None:
    limits = CueLimits(characters_per_second=10, least_ms=1000)
    cues = [Cue(0, 300, ("a" * 30,)), Cue(2000, 2300, ("b" * 30,)), Cue(9000, 9100, ("c",))]
    assert [cue.end_ms for cue in hold_cues(cues, limits)] == [2000, 5000, 10_000]


def test_a_cue_is_never_cut_short_and_may_be_kept_as_spoken() -> None:
    cues = [Cue(0, 5000, ("a",)), Cue(4000, 6000, ("b",))]
    assert list(hold_cues(cues)) == cues
    as_spoken = CueLimits(characters_per_second=0, least_ms=0)
    assert [cue.end_ms for cue in hold_cues([Cue(0, 100, ("a" * 80,))], as_spoken)] == [100]
