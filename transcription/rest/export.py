"""Many transcripts at once, over the HTTP API: streamed, so that their number costs no memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Literal

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import Field

from transcription.access import exportable_sessions
from transcription.audit.recording import MAX_LISTED, record_exports
from transcription.errors import BadConfig
from transcription.exports import ZIP_CONTENT_TYPE, ExportOptions, streamed, write_transcript, write_zip
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession
from transcription.rest.authentication import principal_of
from transcription.rest.errors import COMMON_ERRORS
from transcription.rest.schemas import ErrorAnswer, SessionAnswer, SessionFilters
from transcription.search.queries import search_sessions
from transcription.search.session_list import with_facts

MAX_EXPORTED_SESSIONS = 10_000
# Rows of sessions read at once.
SESSIONS_PER_READ = 50
LINES_CONTENT_TYPE = "application/jsonl"

router = Router(tags=["sessions"])


class ExportQuery(SessionFilters):
    """Which sessions, and how."""

    format: Literal["jsonl", "json", "txt", "srt", "vtt", "csv", "docx"] = Field(
        default="jsonl", description="A line of JSON for each session, or a ZIP with a file of this format for each."
    )


@router.get(
    "/export",
    operation_id="export_transcripts",
    summary="The transcripts of many sessions, as lines of JSON or as files in a ZIP",
    response={200: None, COMMON_ERRORS: ErrorAnswer},
    openapi_extra={
        "responses": {
            200: {
                "content": {
                    LINES_CONTENT_TYPE: {"schema": {"type": "string"}},
                    ZIP_CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}},
                }
            }
        }
    },
)
def export_transcripts(
    request: HttpRequest, filters: Query[ExportQuery], options: Query[ExportOptions]
) -> StreamingHttpResponse:
    allowed = exportable_sessions(principal_of(request, Scope.SESSIONS_READ))
    keys = choose(allowed, filters)
    _record(keys, filters)
    if filters.format == "jsonl":
        return _download(request, write_lines(_read(keys), options), LINES_CONTENT_TYPE, "transcripts.jsonl")
    files = write_zip(_read(keys), formats=(filters.format,), limit=MAX_EXPORTED_SESSIONS, options=options)
    return _download(request, files, ZIP_CONTENT_TYPE, f"transcripts-{filters.format}.zip")


def choose(
    allowed: QuerySet[TranscriptionSession], filters: SessionFilters, *, limit: int = MAX_EXPORTED_SESSIONS
) -> list[int]:
    """Keys of the sessions, newest first: what comes or goes while they are written moves nothing.

    Raises BadConfig if there are more than limit.
    """
    matching = search_sessions(allowed.filter(filters.conditions()), filters.q, limit=limit + 1, readable=allowed)
    keys = list(matching.values_list("pk", flat=True)[: limit + 1])
    if len(keys) > limit:
        message = _("More than %(limit)d sessions match. Narrow them down, with since and until for instance.")
        raise BadConfig(message % {"limit": limit}, reason="too_many_sessions")
    return keys


def write_lines(sessions: Iterable[TranscriptionSession], options: ExportOptions | None = None) -> Generator[str]:
    """A line of JSON for each session: `{"session": its facts, "transcript": as read_transcript gives it}`."""
    for session in sessions:
        yield f'{{"session": {SessionAnswer.of(session).model_dump_json()}, "transcript": '
        for piece in write_transcript(session, "json", options):
            # Within a text JSON escapes them.
            yield piece.replace("\n", "")
        yield "}\n"


def _read(keys: Sequence[int]) -> Iterator[TranscriptionSession]:
    """Some at a time, in this order; those that were deleted meanwhile are left out."""
    for start in range(0, len(keys), SESSIONS_PER_READ):
        yield from with_facts(TranscriptionSession.objects.filter(pk__in=keys[start : start + SESSIONS_PER_READ]))


def _record(keys: Sequence[int], filters: ExportQuery) -> None:
    """Once for the whole download."""
    first = TranscriptionSession.objects.filter(pk__in=keys[:MAX_LISTED]).order_by("-created_at", "-pk")
    record_exports(len(keys), list(first.values_list("public_id", flat=True)), filters.format)


def _download(
    request: HttpRequest, pieces: Iterable[str | bytes], content_type: str, name: str
) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return streamed(request, pieces, content_type=content_type, headers=headers)
