"""Deepgram's `POST /v1/listen`: the body is a file, the answer its transcript."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from transcription.audio.formats import BYTES_PER_SAMPLE, AudioFormat
from transcription.audio.head import WAV_ENCODINGS, is_recording
from transcription.dialects.listen import ListenDialect
from transcription.dialects.listen_errors import build_denial
from transcription.dialects.listen_options import ListenOptions, parse_options
from transcription.errors import BadMessage, TranscriptionError
from transcription.files.advice import with_advice
from transcription.files.asgi import Endpoint, Reply, Request
from transcription.files.body import Upload
from transcription.files.listen_answers import build_answer
from transcription.identity.origins import socket_headers
from transcription.languages import choose_language
from transcription.options import parse_config
from transcription.rest.errors import request_id

PATH = "/v1/listen"
# As large as it can be: raw audio says nothing of its length.
ENDLESS = 0xFFFFFFFF
DIGEST_BYTES = 1024 * 1024


async def answer(request: Request, reply: Reply) -> None:
    """Raises a TranscriptionError before anything is sent."""
    options = parse_options(request.scope.get("query_string", b"").decode("latin-1"), is_file=True)
    _refuse_address(request.scope)
    created = datetime.now(UTC)
    raw = parse_config(options.config).audio_format if options.has_format else None
    upload = await request.files.uploads.raw(
        request.scope, request.receive, head_of=lambda first: _wav_head(raw, first)
    )
    try:
        found = await _transcript(request, upload, options, created)
    except TranscriptionError as error:
        raise with_advice(error) from None
    finally:
        upload.close()
    response = JsonResponse(found)
    response["dg-request-id"] = found["metadata"]["request_id"]
    await reply.send(response)


async def _transcript(request: Request, upload: Upload, options: ListenOptions, created: datetime) -> dict[str, Any]:
    sha256 = await asyncio.to_thread(_digest, upload)
    language = choose_language(options.language, await request.files.languages())
    config = {**options.config, "language": language}
    async with request.files.heard(upload, config, request.client, dialect=ListenDialect.name) as file:
        finals = [final.result async for final in file.session.finals()]
        return build_answer(
            finals,
            options,
            session_id=file.session.session_id,
            model=file.session.model,
            sha256=sha256,
            created=created,
            audio_ms=file.session.live.audio_ms,
        )


def _refuse_address(scope: Mapping[str, Any]) -> None:
    """Deepgram fetches a file whose address it is sent."""
    if socket_headers(scope).get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        raise BadMessage(
            _("Files are not fetched from an address: send the file itself as the body."),
            reason="unsupported",
            field="url",
        )


def _wav_head(raw: AudioFormat | None, first: bytes) -> bytes:
    """What makes raw audio a file; nothing before one that is a file already."""
    if raw is None or not raw.has_constant_rate or is_recording(first):
        return b""
    tag = next(tag for tag, encoding in WAV_ENCODINGS.items() if encoding is raw.encoding)
    bits = BYTES_PER_SAMPLE[raw.encoding] * 8
    block = raw.bytes_per_sample_set
    fmt = struct.pack("<HHIIHH", tag, raw.channels, raw.sample_rate_hz, raw.sample_rate_hz * block, block, bits)
    sizes = struct.pack("<I", ENDLESS)
    return b"RIFF" + sizes + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + sizes


def _digest(upload: Upload) -> str:
    """SHA-256 of what the client sent; the file stands at its beginning again afterwards."""
    upload.file.seek(upload.head_bytes)
    digest = hashlib.sha256()
    while piece := upload.file.read(DIGEST_BYTES):
        digest.update(piece)
    upload.file.seek(0)
    return digest.hexdigest()


def listen_error(error: TranscriptionError) -> HttpResponse:
    """An error in Deepgram's shape."""
    denial = build_denial(error, request_id())
    response = HttpResponse(denial.body, status=denial.status)
    for name, value in denial.headers:
        response[name.decode()] = value.decode("latin-1")
    return response


LISTEN = Endpoint(answer, listen_error, schemes=("Token", "Bearer"))
