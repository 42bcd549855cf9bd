"""Files made from hostile text: each opens, and nothing in it is more than text (rows 68 and 69 of the matrix)."""

from __future__ import annotations

import csv
import io
import zipfile
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as XML

import pytest
import webvtt

from transcription.exports import ExportOptions, write_file, write_transcript
from transcription.exports.safe_text import FORMULA_BEGINNINGS, cell, close_directions, is_right_to_left, one_line
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.tests.rows import make_session

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
HOSTILE = (
    "<script>alert(1)</script>",
    "</w:t></w:r></w:p><w:p><!-- ]]> &amp; &#x41; <?xml?>",
    "00:00:01.000 --> 00:00:09.000\nnot a cue",
    "1\n00:00:01,000 --> 00:00:09,000\n{\\an8}<font color=red>not a cue</font>",
    "WEBVTT\n\nNOTE --> \n\nSTYLE\n::cue { color: red }",
    '=cmd|"/c calc"!A1',
    "+1-1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "bell \x07 escape \x1b[31m delete \x7f csi \x9b31m",
    "noncharacters \ufffe \uffff",
    "\u202eoverridden and never ended",
    "\u2067isolated \u202e twice",
    '"quotes", commas; and\nlines',
    "emoji 👩\u200d👩\u200d👧 🇩🇪, \u2028 and \u2029 and \x85",
)


def make_hostile(*, as_speaker: bool = False) -> TranscriptionSession:
    session = make_session(*HOSTILE, title="<b>=title</b> \x1b --> \u202e")
    if as_speaker:
        for segment in session.segments.all():
            TranscriptSegment.objects.filter(pk=segment.pk).update(speaker=segment.text[:64], text="words")
    return session


def read_rows(session: TranscriptionSession, **options: Any) -> list[dict[str, str]]:
    content = b"".join(write_file(session, "csv", ExportOptions(**options))).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def read_paragraphs(session: TranscriptionSession, **options: Any) -> list[str]:
    content = b"".join(write_file(session, "docx", ExportOptions(**options)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        parts = {name: XML.fromstring(archive.read(name)) for name in archive.namelist()}  # noqa: S314 - our own
    body = parts["word/document.xml"]
    return ["".join(text.text or "" for text in found.iter(f"{WORD}t")) for found in body.iter(f"{WORD}p")]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@A", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1"])
def test_a_cell_that_looks_like_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["words", "1 - 1", "'quoted", "", " =1", "a=b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_changes_of_direction_end_with_the_text_they_stand_in() -> None:
    assert close_directions("\u202eabc") == "\u202eabc\u202c"
    assert close_directions("\u2067a\u202eb") == "\u2067a\u202eb\u202c\u2069"
    assert close_directions("\u2067a\u202eb\u2069c") == "\u2067a\u202eb\u2069c"
    assert close_directions("\u202aabc\u202c") == "\u202aabc\u202c"
    assert close_directions("stray \u202c\u2069") == "stray \u202c\u2069"


def test_control_characters_become_replacement_characters() -> None:
    assert one_line("a\x00b \x1b[31m\r\n c\u2028d\x85e") == "a\ufffdb \ufffd[31m c d e"


def test_the_direction_of_a_text_is_that_of_its_first_letter() -> None:
    assert is_right_to_left("12, שלום hello")
    assert not is_right_to_left("12, hello שלום")
    assert not is_right_to_left("12")


@pytest.mark.django_db
@pytest.mark.parametrize("as_speaker", [False, True])
def test_row_69_no_cell_of_a_csv_is_a_formula_and_every_row_is_whole(as_speaker: bool) -> None:
    session = make_hostile(as_speaker=as_speaker)
    rows = read_rows(session)
    assert [int(row["segment"]) for row in rows] == list(range(len(HOSTILE)))
    cells = [value for row in rows for value in row.values()]
    assert not [value for value in cells if value.startswith(FORMULA_BEGINNINGS)]
    assert None not in rows[0]
    column = "speaker" if as_speaker else "text"
    assert rows[5][column] == f"'{HOSTILE[5]}"
    assert rows[-2][column] == HOSTILE[-2]


@pytest.mark.django_db
@pytest.mark.parametrize("as_speaker", [False, True])
def test_row_68_69_a_document_is_well_formed_and_has_the_text_as_text(as_speaker: bool) -> None:
    title, _facts, *passages = read_paragraphs(make_hostile(as_speaker=as_speaker))
    assert title == "<b>=title</b> \ufffd --> \u202e\u202c"
    expected = [f"{one_line(text[:64])}: words" if as_speaker else one_line(text) for text in HOSTILE]
    assert [text.partition("\t")[2] or text[8:] for text in passages] == expected


@pytest.mark.django_db
@pytest.mark.parametrize("format", ["srt", "vtt"])
@pytest.mark.parametrize("as_speaker", [False, True])
def test_row_69_subtitles_have_our_cues_alone(format: str, as_speaker: bool) -> None:
    session = make_hostile(as_speaker=as_speaker)
    content = "".join(write_transcript(session, format, ExportOptions(speakers=True)))
    captions = webvtt.from_buffer(io.StringIO(content), format=format).captions
    arrows = [line for line in content.splitlines() if "-->" in line]
    blocks = content.removeprefix("WEBVTT\n\n").rstrip("\n").split("\n\n")
    assert len(captions) == len(arrows) == len(blocks) >= len(HOSTILE)
    assert all(len(line.split()) == 3 for line in arrows)
    assert all(before.start_in_seconds <= after.start_in_seconds for before, after in pairwise(captions))
    assert "<script" not in content
    assert "<font" not in content
    # Markup in SubRip alone.
    assert format == "vtt" or "{\\an8}" not in content
    assert not set(content) & set("\x07\x1b\x7f\x9b\ufffe\uffff\r")


@pytest.mark.django_db
@pytest.mark.parametrize("format", ["txt", "srt", "vtt"])
def test_row_68_no_override_reaches_the_next_line_of_a_file(format: str) -> None:
    content = "".join(write_transcript(make_hostile(), format))
    for line in content.splitlines():
        assert close_directions(line) == line
