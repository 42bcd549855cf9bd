"""Transcripts as files, written piece by piece so that length costs no memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from transcription.exports.archive import ZipStream
from transcription.exports.data import write_csv, write_json
from transcription.exports.docx import write_docx
from transcription.exports.formats import BINARY, CONTENT_TYPES, check_format, file_name
from transcription.exports.options import ExportOptions
from transcription.exports.prose import write_txt
from transcription.exports.subtitles import write_srt, write_vtt
from transcription.models import TranscriptionSession

ZIP_CONTENT_TYPE = "application/zip"
MAX_ZIPPED_SESSIONS = 500

TEXT_WRITERS: dict[str, Callable[[TranscriptionSession, ExportOptions], Iterator[str]]] = {
    "txt": write_txt,
    "srt": write_srt,
    "vtt": write_vtt,
    "json": write_json,
    "csv": write_csv,
}
AS_USUAL = ExportOptions()


def write_transcript(session: TranscriptionSession, format: str, options: ExportOptions | None = None) -> Iterator[str]:
    """The transcript of a session as pieces of text, in any format but those of BINARY.

    Raises BadConfig for a format that is not in CONTENT_TYPES.
    """
    check_format(format)
    return TEXT_WRITERS[format](session, options or AS_USUAL)


def write_file(session: TranscriptionSession, format: str, options: ExportOptions | None = None) -> Iterator[bytes]:
    """The transcript of a session as pieces of a file. Raises BadConfig for a format that is not in CONTENT_TYPES."""
    if format in BINARY:
        return write_docx(session, options or AS_USUAL)
    return (piece.encode() for piece in write_transcript(session, format, options))


def write_zip(
    sessions: Iterable[TranscriptionSession],
    *,
    formats: Collection[str] = tuple(CONTENT_TYPES),
    limit: int = MAX_ZIPPED_SESSIONS,
    options: ExportOptions | None = None,
) -> Iterator[bytes]:
    """An archive of the transcripts of sessions, at most limit of them, in every format or in those given."""
    archive = ZipStream()
    for session in islice(sessions, limit):
        for format in formats:
            pieces = write_file(session, format, options)
            yield from archive.add(file_name(session, format), pieces, may_be_huge=True)
    yield from archive.end()


def write_json_list(sessions: Iterable[TranscriptionSession]) -> Iterator[str]:
    """The transcripts of sessions as one JSON array, at most MAX_ZIPPED_SESSIONS of them."""
    yield "["
    for number, session in enumerate(islice(sessions, MAX_ZIPPED_SESSIONS)):
        yield ",\n" if number else "\n"
        yield from write_transcript(session, "json")
    yield "]\n"
