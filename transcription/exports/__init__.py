"""Transcripts as files: TXT, SubRip, WebVTT, JSON, CSV and DOCX, of the edited text or of the machine's."""

from transcription.exports.files import (
    MAX_ZIPPED_SESSIONS,
    ZIP_CONTENT_TYPE,
    write_file,
    write_json_list,
    write_transcript,
    write_zip,
)
from transcription.exports.formats import CONTENT_TYPES, check_format, file_name, format_time
from transcription.exports.options import ExportOptions
from transcription.exports.responses import streamed, transcript_response

__all__ = [
    "CONTENT_TYPES",
    "MAX_ZIPPED_SESSIONS",
    "ZIP_CONTENT_TYPE",
    "ExportOptions",
    "check_format",
    "file_name",
    "format_time",
    "streamed",
    "transcript_response",
    "write_file",
    "write_json_list",
    "write_transcript",
    "write_zip",
]
