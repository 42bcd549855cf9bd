"""The formats of files, and what each is called on the wire."""

from __future__ import annotations

from django.utils.translation import gettext as _

from transcription.errors import BadConfig
from transcription.models import TranscriptionSession

CONTENT_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
BINARY = frozenset({"docx"})


def check_format(format: str) -> None:
    """Raises BadConfig naming `format` if there is no such file format."""
    if format not in CONTENT_TYPES:
        formats = ", ".join(CONTENT_TYPES)
        raise BadConfig(_("format must be one of: %(formats)s.") % {"formats": formats}, field="format")


def file_name(session: TranscriptionSession, format: str) -> str:
    """A public id has letters, digits, `_` and `-` alone, so it is safe in a header and in any file system."""
    return f"{session.public_id}.{format}"


def format_time(time_ms: int, separator: str = ".") -> str:
    """`00:01:02.345`; hours take as many digits as they need."""
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{milliseconds:03}"


def format_clock(time_ms: int) -> str:
    """`00:01:02`, for people."""
    return format_time(time_ms)[:-4]
