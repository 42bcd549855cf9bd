"""Phrases as text, one a line."""

from __future__ import annotations

import pytest

from transcription.options import MAX_PHRASES, MAX_SHORT_CHARACTERS, SpeechContext
from transcription.phrases.text import MAX_FILE_BYTES, PhrasesError, parse_phrases, read_file, write_phrases


def test_each_line_is_a_phrase_once_and_without_the_space_around_it() -> None:
    assert parse_phrases("  Kubernetes \r\n\r\nZürich\rKubernetes\n東京 \n") == ["Kubernetes", "Zürich", "東京"]


def test_what_is_written_is_read_again() -> None:
    phrases = ["a b", "naïve", "line\u2028separator"]
    assert parse_phrases(write_phrases(phrases)) == phrases


def test_as_many_and_as_long_as_a_session_may_start_with() -> None:
    most = [f"{number:03}".ljust(MAX_SHORT_CHARACTERS, "x") for number in range(MAX_PHRASES)]
    assert SpeechContext(phrases=parse_phrases(write_phrases(most))).phrases == most


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("one\n\n" + "x" * 201, "Line 3 has 201 characters; a phrase may have 200."),
        ("one\ntwo\0", "Line 2 has a control character in it."),
        ("one\x1b[31m", "Line 1 has a control character in it."),
        ("one\n\ud800", "Line 2 has a control character in it."),
        ("\n".join(map(str, range(501))), "Line 501 is one phrase too many; there may be 500."),
        ("", "There is no phrase in it."),
        (" \n\t\n", "There is no phrase in it."),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(PhrasesError) as refused:
        parse_phrases(text)
    assert str(refused.value) == problem


def test_a_file_is_utf_8_with_or_without_a_mark() -> None:
    assert read_file("\ufeffZürich\n".encode()) == "Zürich\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("gut\r\nZürich".encode("latin-1"), "Line 2 is not UTF-8. Save the file as UTF-8."),
        ("Zürich".encode("utf-16"), "The file is UTF-16. Save it as UTF-8."),
        (b"x" * (MAX_FILE_BYTES + 1), f"The file has {MAX_FILE_BYTES + 1} bytes; it may have {MAX_FILE_BYTES}."),
        (b"PK\x03\x04\xff\xfe", "Line 1 is not UTF-8. Save the file as UTF-8."),
    ],
)
def test_another_file_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(PhrasesError) as refused:
        read_file(content)
    assert str(refused.value) == problem
