"""Transcripts as streamed answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse

from transcription.audit.recording import record_export
from transcription.exports.files import write_file
from transcription.exports.formats import CONTENT_TYPES, check_format, file_name
from transcription.exports.options import ExportOptions
from transcription.models import TranscriptionSession

# Pieces handed to the event loop at once: each visit to the database's thread costs about 0.1 ms.
PIECES_PER_SEND = 200
# The same of what is compressed, whose pieces are few and large: enough has come to be sent.
BYTES_PER_SEND = 64 * 1024


def transcript_response(
    request: HttpRequest,
    session: TranscriptionSession,
    format: str,
    options: ExportOptions | None = None,
    *,
    as_attachment: bool = True,
) -> StreamingHttpResponse:
    """The transcript as a streamed answer. Raises BadConfig for an unknown format."""
    check_format(format)
    record_export(session, format)
    disposition = "attachment" if as_attachment else "inline"
    return streamed(
        request,
        write_file(session, format, options),
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
            batch = bytearray()
            for piece in islice(iterator, PIECES_PER_SEND):
                batch += piece.encode() if isinstance(piece, str) else piece
                if len(batch) >= BYTES_PER_SEND:
                    break
            return bytes(batch)
        finally:
            # Back to the pool: a few clients that read slowly would otherwise hold all of its connections.
            close_old_connections()

    # thread_sensitive: the request's own thread, which holds its database connection.
    while batch := await sync_to_async(read, thread_sensitive=True)():
        yield batch
