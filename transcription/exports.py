"""Transcripts as files: TXT, SubRip, WebVTT and JSON, written piece by piece so that length costs no memory."""

from __future__ import annotations

import io
import json
import zipfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext as _

from transcription.coverage import Span
from transcription.cues import Cue, make_cues
from transcription.errors import BadConfig
from transcription.ledger import build_ledger, read_ledger
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.page_words import seconds_in_words

WORD_KEYS = ("word", "start_ms", "end_ms", "confidence", "speaker")
CONTENT_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}
ZIP_CONTENT_TYPE = "application/zip"
# Segments read from the database at once; with the times of their words each takes some 10 kB.
ROWS_PER_READ = 200
# Pieces handed to the event loop at once: each visit to the database's thread costs about 0.1 ms.
PIECES_PER_SEND = 200
MAX_ZIPPED_SESSIONS = 500


def write_transcript(session: TranscriptionSession, format: str) -> Iterator[str]:
    """The transcript of a session as pieces of a file.

    Raises BadConfig for a format that is not in CONTENT_TYPES.
    """
    check_format(format)
    return WRITERS[format](session)


def check_format(format: str) -> None:
    """Raises BadConfig naming `format` if there is no such file format."""
    if format not in CONTENT_TYPES:
        formats = ", ".join(CONTENT_TYPES)
        raise BadConfig(_("format must be one of: %(formats)s.") % {"formats": formats}, field="format")


def file_name(session: TranscriptionSession, format: str) -> str:
    """A public id has letters, digits, `_` and `-` alone, so it is safe in a header and in any file system."""
    return f"{session.public_id}.{format}"


def transcript_response(
    request: HttpRequest, session: TranscriptionSession, format: str, *, as_attachment: bool = True
) -> StreamingHttpResponse:
    """The transcript as a streamed answer. Raises BadConfig for an unknown format."""
    pieces = write_transcript(session, format)
    disposition = "attachment" if as_attachment else "inline"
    return streamed(
        request,
        pieces,
        content_type=CONTENT_TYPES[format],
        headers={"Content-Disposition": f'{disposition}; filename="{file_name(session, format)}"'},
    )


def streamed(
    request: HttpRequest, pieces: Iterable[str | bytes], *, content_type: str, headers: dict[str, str]
) -> StreamingHttpResponse:
    """A streamed answer. Under ASGI Django would gather a synchronous iterator whole before sending it."""
    content: Any = _in_batches(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=content_type, headers=headers)
    response["Cache-Control"] = "private, no-store"
    return response


async def _in_batches(pieces: Iterable[str | bytes]) -> AsyncIterator[bytes]:
    iterator = iter(pieces)

    def read() -> bytes:
        try:
            batch = islice(iterator, PIECES_PER_SEND)
            return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in batch)
        finally:
            # Back to the pool: a few clients that read slowly would otherwise hold all of its connections.
            close_old_connections()

    # thread_sensitive: the request's own thread, which holds its database connection.
    while batch := await sync_to_async(read, thread_sensitive=True)():
        yield batch


def write_zip(
    sessions: Iterable[TranscriptionSession],
    *,
    formats: Collection[str] = tuple(CONTENT_TYPES),
    limit: int = MAX_ZIPPED_SESSIONS,
) -> Iterator[bytes]:
    """An archive of the transcripts of sessions, at most limit of them, in every format or in those given."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for session in islice(sessions, limit):
            for format in formats:
                with archive.open(file_name(session, format), "w", force_zip64=True) as file:
                    for piece in write_transcript(session, format):
                        file.write(piece.encode())
                        yield from sink.take()
                yield from sink.take()
    yield from sink.take()


def write_json_list(sessions: Iterable[TranscriptionSession]) -> Iterator[str]:
    """The transcripts of sessions as one JSON array, at most MAX_ZIPPED_SESSIONS of them."""
    yield "["
    for number, session in enumerate(islice(sessions, MAX_ZIPPED_SESSIONS)):
        yield ",\n" if number else "\n"
        yield from write_transcript(session, "json")
    yield "]\n"


class _Sink(io.RawIOBase):
    """Takes what the archive writes and gives it away; it cannot seek, so the archive never goes back."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> Iterator[bytes]:
        if self._written:
            yield bytes(self._written)
            self._written.clear()


def _segments(session: TranscriptionSession) -> Iterator[TranscriptSegment]:
    """In order, some at a time: no cursor and no transaction stays open while a slow client reads."""
    segments = session.segments.order_by("index").defer("alternatives")
    rows = list(segments[:ROWS_PER_READ])
    while rows:
        last = rows[-1].index
        yield from rows
        rows = list(segments.filter(index__gt=last)[:ROWS_PER_READ])


def _write_txt(session: TranscriptionSession) -> Iterator[str]:
    """A line for each segment, and where audio was lost a line that says so."""
    gaps = deque(read_ledger(session).lost)
    for segment in _segments(session):
        while gaps and gaps[0].start_ms <= segment.start_ms:
            yield _lost_line(gaps.popleft())
        text = " ".join(segment.text.split())
        if text:
            yield f"{segment.speaker}: {text}\n" if segment.speaker else f"{text}\n"
    for gap in gaps:
        yield _lost_line(gap)


def _lost_line(gap: Span) -> str:
    length = seconds_in_words(gap.end_ms - gap.start_ms)
    return _("[%(length)s of audio lost]") % {"length": length} + "\n"


def _write_srt(session: TranscriptionSession) -> Iterator[str]:
    number = 0
    for segment in _segments(session):
        for cue in _cues(segment):
            number += 1
            # SubRip has no escapes: an arrow in the text would be read as a line of times.
            lines = "\n".join(line.replace("-->", "→") for line in cue.lines)
            begin, end = format_time(cue.start_ms, ","), format_time(cue.end_ms, ",")
            yield f"{number}\n{begin} --> {end}\n{lines}\n\n"


def _write_vtt(session: TranscriptionSession) -> Iterator[str]:
    yield "WEBVTT\n\n"
    for segment in _segments(session):
        voice = f"<v {escape_vtt(' '.join(segment.speaker.split()))}>" if segment.speaker else ""
        for part, cue in enumerate(_cues(segment)):
            identifier = f"{segment.index}-{part}"
            lines = "\n".join(map(escape_vtt, cue.lines))
            yield f"{identifier}\n{format_time(cue.start_ms)} --> {format_time(cue.end_ms)}\n{voice}{lines}\n\n"


def _write_json(session: TranscriptionSession) -> Iterator[str]:
    spans: list[Span] = []
    head = {"session_id": session.public_id, "language": session.language}
    yield _dump(head)[:-1] + ', "segments": ['
    for segment in _segments(session):
        yield (",\n" if spans else "\n") + _dump(_segment_json(segment))
        spans.append(Span(segment.start_ms, segment.end_ms))
    ledger = build_ledger(session, spans)
    yield '\n], "audio_ms": ' + str(ledger.audio_ms)
    yield ', "gaps": ' + json.dumps([gap._asdict() for gap in ledger.lost])
    yield ', "coverage": ['
    for number, interval in enumerate(ledger.intervals):
        yield (", " if number else "") + _dump(interval._asdict())
    yield "]}\n"


def _segment_json(segment: TranscriptSegment) -> dict[str, Any]:
    return {
        "segment": segment.index,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "text": segment.text,
        "asr_text": segment.asr_text,
        "confidence": segment.confidence,
        "speaker": segment.speaker or None,
        # In one order: PostgreSQL keeps JSON objects by the length of their keys.
        "words": [{key: word.get(key) for key in WORD_KEYS} for word in segment.words],
    }


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _cues(segment: TranscriptSegment) -> Iterator[Cue]:
    return make_cues(segment.text, segment.start_ms, segment.end_ms, segment.words)


def escape_vtt(text: str) -> str:
    """Text as the text of a cue: with `>` escaped no line can hold the arrow that begins a cue."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_time(time_ms: int, separator: str = ".") -> str:
    """`00:01:02.345`; hours take as many digits as they need."""
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{milliseconds:03}"


WRITERS: dict[str, Callable[[TranscriptionSession], Iterator[str]]] = {
    "txt": _write_txt,
    "srt": _write_srt,
    "vtt": _write_vtt,
    "json": _write_json,
}
