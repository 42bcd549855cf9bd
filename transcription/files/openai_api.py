"""`POST /v1/audio/transcriptions`: a file is uploaded and its transcript comes back, as OpenAI's clients expect it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import structlog
from django.http import HttpResponse, JsonResponse

from transcription.errors import TranscriptionError
from transcription.exports import CONTENT_TYPES, write_transcript
from transcription.files.advice import with_advice
from transcription.files.asgi import Endpoint, Reply, Request
from transcription.files.openai_answers import (
    build_delta,
    build_done,
    build_error,
    build_json,
    build_verbose_json,
    join_texts,
    server_sent,
    status_of,
)
from transcription.files.openai_options import OpenAIOptions, parse_options
from transcription.files.service import OpenFile
from transcription.models import TranscriptionSession
from transcription.rest.errors import error_response
from transcription.results import FinalResult

log = structlog.get_logger(__name__)

PATH = "/v1/audio/transcriptions"
DONE = b"data: [DONE]\n\n"


async def answer(request: Request, reply: Reply) -> None:
    """Raises a TranscriptionError before anything is sent."""
    form = await request.files.uploads.form(request.scope, request.receive)
    try:
        options = parse_options(form.fields)
        config = options.config(await request.files.languages(), title=form.upload.file_name)
        async with request.files.heard(form.upload, config, request.client) as file:
            if options.stream:
                await reply.stream(_events(file, options))
                return
            response = await _whole(file, options, request)
    except TranscriptionError as error:
        raise with_advice(error) from None
    finally:
        form.upload.close()
    await reply.send(response)


async def _whole(file: OpenFile, options: OpenAIOptions, request: Request) -> HttpResponse:
    finals = [final.result async for final in file.session.finals()]
    audio_ms = file.session.live.audio_ms
    match options.response_format:
        case "text":
            return HttpResponse(join_texts(finals) + "\n", content_type=CONTENT_TYPES["txt"])
        case "srt" | "vtt" as format:
            # The same cues as a session's download has.
            text = await request.in_database(_written, file.session.session_id, format)
            return HttpResponse(text, content_type=CONTENT_TYPES[format])
        case "verbose_json":
            language = _language(finals, file)
            return JsonResponse(build_verbose_json(finals, options, language=language, audio_ms=audio_ms))
        case _:
            return JsonResponse(build_json(finals, options, audio_ms=audio_ms))


async def _events(file: OpenFile, options: OpenAIOptions) -> AsyncIterator[bytes]:
    """Server-sent events; an error after the first of them is an event too."""
    finals: list[FinalResult] = []
    try:
        async for final in file.session.finals():
            yield server_sent(build_delta(final.result, options, is_first=not finals))
            finals.append(final.result)
        yield server_sent(build_done(finals, options))
    except TranscriptionError as error:
        log.info("stream_of_file_failed", session_id=file.session.session_id, reason=error.reason)
        yield server_sent(build_error(with_advice(error)))
    yield DONE


def _language(finals: Sequence[FinalResult], file: OpenFile) -> str:
    return next((final.language for final in finals if final.language), file.session.live.config.language)


def _written(session_id: str, format: str) -> str:
    return "".join(write_transcript(TranscriptionSession.objects.get(public_id=session_id), format))


def openai_error(error: TranscriptionError) -> HttpResponse:
    """An error in OpenAI's shape, with the headers of ours."""
    answer = JsonResponse(build_error(error), status=status_of(error))
    for name, value in error_response(error).items():
        answer[name] = value
    if error.retry_after_ms is not None:
        # OpenAI's clients look at this one first.
        answer["Retry-After-Ms"] = str(error.retry_after_ms)
    return answer


OPENAI_TRANSCRIPTIONS = Endpoint(answer, openai_error)
