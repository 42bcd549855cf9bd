"""Operations of the HTTP API on file jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from transcription.access import get_job, may_cancel_job, visible_jobs
from transcription.errors import NotAllowed
from transcription.files import job_store
from transcription.files.models import FileJob
from transcription.identity.scopes import Scope
from transcription.jobs.in_process import jobs
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, COMMON_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.schemas import CURSOR_PATTERN, DEFAULT_PAGE, MAX_PAGE, Cursor, ErrorAnswer

router = Router(tags=["file jobs"])

JobState = Literal["queued", "running", "completed", "failed", "cancelled"]


class JobError(Schema):
    """Why a job failed, or why its last attempt did."""

    code: int
    reason: str
    message: str


class JobAnswer(Schema):
    """A file job. progress: 0.0-1.0 of the audio; audio_ms: how long it is, null until that is known.

    session_id: of the session that holds the transcript; null before it has started, and once it is deleted.
    """

    job_id: str
    state: JobState
    progress: float
    audio_ms: int | None
    heard_ms: int
    session_id: str | None
    file_name: str
    size_bytes: int
    attempts: int
    cancel_requested: bool
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: FileJob) -> JobAnswer:
        """job: with its session at hand."""
        error = None
        if job.error_code is not None:
            error = JobError(code=job.error_code, reason=job.error_reason, message=job.error_message)
        return cls(
            job_id=job.public_id,
            state=job.state,  # type: ignore[arg-type]  # one of the choices
            progress=round(job.progress, 3),
            audio_ms=job.duration_ms,
            heard_ms=job.heard_ms,
            session_id=job.session.public_id if job.session is not None else None,
            file_name=job.file_name,
            size_bytes=job.size_bytes,
            attempts=job.attempts,
            cancel_requested=job.cancel_requested_at is not None,
            error=error,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )


class JobPage(Schema):
    """next: the cursor of the following page, null on the last one."""

    jobs: list[JobAnswer]
    next: str | None


class JobListQuery(Schema):
    """What `list_jobs` takes."""

    model_config = ConfigDict(extra="forbid")

    state: JobState | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[str, Field(pattern=CURSOR_PATTERN)] = ""


UPLOAD_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "language": {"type": "string"},
                        "model": {"type": "string"},
                        "title": {"type": "string", "maxLength": 200},
                        "keywords": {"type": "array", "items": {"type": "string", "maxLength": 200}},
                        "config": {"type": "string", "description": "A JSON object, as in `start_transcription`."},
                    },
                }
            }
        },
    }
}


@router.post(
    "/jobs",
    operation_id="create_job",
    summary="Upload a file of any length, to be transcribed while nobody waits",
    response={202: JobAnswer, COMMON_ERRORS | BODY_ERRORS | {408, 429, 503}: ErrorAnswer},
    openapi_extra=UPLOAD_SCHEMA,
)
def create_job(request: HttpRequest) -> None:
    """Never called: files.asgi answers before Django would read the file. It stands here for the documents."""
    raise NotImplementedError


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="File jobs, newest first",
    response={200: JobPage, COMMON_ERRORS: ErrorAnswer},
)
def list_jobs(request: HttpRequest, query: Query[JobListQuery]) -> JobPage:
    found = visible_jobs(principal_of(request, Scope.SESSIONS_READ)).select_related("session")
    if query.state is not None:
        found = found.filter(state=query.state)
    if query.cursor:
        found = found.filter(Cursor.parse(query.cursor).conditions())
    rows = list(found.order_by("-created_at", "-pk")[: query.limit + 1])
    page = rows[: query.limit]
    return JobPage(
        jobs=[JobAnswer.of(job) for job in page],
        next=str(Cursor(page[-1].created_at, page[-1].pk)) if len(rows) > len(page) else None,
    )


@router.get(
    "/jobs/{job_id}",
    operation_id="read_job",
    summary="One file job, with its progress",
    response={200: JobAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_job(request: HttpRequest, job_id: str) -> JobAnswer:
    return JobAnswer.of(get_job(job_id, principal_of(request, Scope.SESSIONS_READ)))


@router.delete(
    "/jobs/{job_id}",
    operation_id="cancel_job",
    summary="Cancel a file job; one that has ended stays as it is",
    response={200: JobAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def cancel_job(request: HttpRequest, job_id: str) -> JobAnswer:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    job = get_job(job_id, principal)
    if not may_cancel_job(principal, job):
        raise NotAllowed(_("You may see this file job, but not cancel it."))
    job = job_store.cancel(job)
    jobs.wake()
    return JobAnswer.of(job)
