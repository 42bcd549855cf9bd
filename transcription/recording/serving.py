"""A finished recording over HTTP, whole or in parts, read from its storage as it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core.files.base import File
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _

from transcription.errors import NotFound, StorageUnavailable
from transcription.recording.models import SessionRecording
from transcription.recording.ranges import Unsatisfiable, has_tag, parse_range
from transcription.recording.storage import CONTENT_TYPES, recordings

BLOCK_BYTES = 128 * 1024
READ_TIMEOUT_S = 60.0


def audio_response(
    request: HttpRequest, recording: SessionRecording, file_name: str, *, as_attachment: bool
) -> HttpResponse | StreamingHttpResponse:
    """The file, or what of it is asked for. Raises NotFound where it is gone, StorageUnavailable."""
    size_bytes, tag = recording.size_bytes, f'"{recording.sha256[:32]}"'
    disposition = "attachment" if as_attachment else "inline"
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'{disposition}; filename="{file_name}.{recording.format}"',
    }
    content_type = CONTENT_TYPES.get(recording.format, "application/octet-stream")
    if has_tag(request.headers.get("If-None-Match"), tag):
        return HttpResponse(status=304, headers=headers)
    asked = request.headers.get("Range")
    if request.headers.get("If-Range", tag) != tag:
        asked = None
    try:
        part = parse_range(asked, size_bytes)
    except Unsatisfiable:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size_bytes}"})
    start, end = part or (0, size_bytes)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=content_type)
    file = _open(recording.name, start)
    is_async = isinstance(request, ASGIRequest)
    content: Any = _blocks_async(file, end - start) if is_async else _blocks(file, end - start)
    response = StreamingHttpResponse(content, status=status, headers=headers, content_type=content_type)
    # However it ends, and also if nothing of it was ever read.
    response._resource_closers.append(file.close)  # type: ignore[attr-defined]
    return response


def _open(name: str, start: int) -> File:
    try:
        file: File = recordings().open(name, "rb")
        file.seek(start)
    except FileNotFoundError:
        raise NotFound(_("The audio of this session is gone."), reason="audio_lost") from None
    except Exception as error:
        # Each backend has errors of its own; to whoever asks they are one.
        raise StorageUnavailable(_("The audio cannot be read right now."), reason="storage_unavailable") from error
    return file


def _blocks(file: File, size_bytes: int) -> Iterator[bytes]:
    while size_bytes and (block := file.read(min(BLOCK_BYTES, size_bytes))):
        yield block
        size_bytes -= len(block)


async def _blocks_async(file: File, size_bytes: int) -> AsyncIterator[bytes]:
    blocks = _blocks(file, size_bytes)
    while True:
        async with asyncio.timeout(READ_TIMEOUT_S):
            block = await asyncio.to_thread(next, blocks, b"")
        if not block:
            return
        yield block
