"""Running a recording again, over the HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from asgiref.sync import async_to_sync
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field

from speechsite.config import get_config
from transcription.access import audible_sessions, get_session, visible_sessions
from transcription.audit.recording import record_watching
from transcription.errors import NotFound
from transcription.files.api import JobError, JobState
from transcription.files.models import FileJob
from transcription.identity.scopes import Scope
from transcription.options import MAX_SPEECH_CONTEXTS, Endpointing, LanguageCode, ShortText, SpeechContext
from transcription.reruns.asking import ask_rerun, get_rerun, reruns_of
from transcription.reruns.offering import offered_models
from transcription.reruns.reading import compare_sessions
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.idempotency_key import idempotent
from transcription.rest.schemas import ErrorAnswer

router = Router(tags=["sessions"])


class RerunRequest(Schema):
    """What shall be another way; what is left out is as the session was asked for first."""

    model_config = ConfigDict(extra="forbid")

    language: LanguageCode | None = None
    model: ShortText | None = None
    speech_contexts: Annotated[list[SpeechContext], Field(max_length=MAX_SPEECH_CONTEXTS)] | None = None
    endpointing: Endpointing | None = None
    title: ShortText | None = None


class RerunAnswer(Schema):
    """A recording that is heard once more. rerun_id is also the id of its file job, and of its session once begun."""

    rerun_id: str
    rerun_of: str
    state: JobState
    progress: float
    session_id: str | None
    options: dict[str, Any]
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: FileJob, original_id: str) -> RerunAnswer:
        error = None
        if job.error_code is not None:
            error = JobError(code=job.error_code, reason=job.error_reason, message=job.error_message)
        return cls(
            rerun_id=job.public_id,
            rerun_of=original_id,
            state=job.state,  # type: ignore[arg-type]  # one of the choices
            progress=round(job.progress, 3),
            session_id=job.session.public_id if job.session is not None else None,
            options=job.options,
            error=error,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )


class RerunList(Schema):
    """The newest first, at most 50."""

    reruns: list[RerunAnswer]


class ComparedStretch(Schema):
    kind: Literal["same", "removed", "added"]
    text: str


class ComparedRow(Schema):
    """A stretch of time. changes: from the text of the original to that of the rerun."""

    start_ms: int
    end_ms: int
    original: str
    rerun: str
    changes: list[ComparedStretch]


class ComparisonAnswer(Schema):
    """Word error rates (0.06 is 6 %) against the original's corrected text; null where nobody has corrected it."""

    session_id: str
    rerun_id: str
    original_word_error_rate: float | None
    rerun_word_error_rate: float | None
    rows: list[ComparedRow]


@router.post(
    "/sessions/{session_id}/reruns",
    operation_id="create_rerun",
    summary="Have a kept recording heard once more, another way",
    response={202: RerunAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS | {409, 429}: ErrorAnswer},
)
@idempotent(in_transaction=False)
def create_rerun(request: HttpRequest, session_id: str, body: RerunRequest) -> Status[RerunAnswer]:
    principal = principal_of(request, Scope.TRANSCRIBE)
    session = get_session(session_id, principal, audible_sessions(principal))
    changes = body.model_dump(mode="json", exclude_none=True)
    # Back on the loop of the server, where the recogniser is known.
    offered = async_to_sync(offered_models)()
    max_jobs = get_config().max_file_jobs_per_owner
    job = ask_rerun(session, principal, changes, max_jobs=max_jobs, offered=offered)
    return Status(202, RerunAnswer.of(job, session.public_id))


@router.get(
    "/sessions/{session_id}/reruns",
    operation_id="list_reruns",
    summary="How a recording was heard once more",
    response={200: RerunList, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def list_reruns(request: HttpRequest, session_id: str) -> RerunList:
    principal = principal_of(request, Scope.SESSIONS_READ)
    session = get_session(session_id, principal, visible_sessions(principal))
    return RerunList(reruns=[RerunAnswer.of(job, session.public_id) for job in reruns_of(session)])


@router.get(
    "/sessions/{session_id}/reruns/{rerun_id}",
    operation_id="compare_rerun",
    summary="A rerun beside the original, word by word",
    response={200: ComparisonAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def compare_rerun(request: HttpRequest, session_id: str, rerun_id: str) -> ComparisonAnswer:
    principal = principal_of(request, Scope.SESSIONS_READ)
    session = get_session(session_id, principal, visible_sessions(principal))
    job = get_rerun(session, rerun_id, principal)
    if job.session is None:
        raise NotFound(_("This rerun has no transcript yet."), reason="not_started")
    rerun = get_session(job.session.public_id, principal, visible_sessions(principal))
    record_watching(session)
    record_watching(rerun)
    found = compare_sessions(session, rerun)
    return ComparisonAnswer(
        session_id=session.public_id,
        rerun_id=job.public_id,
        original_word_error_rate=found.rates.first,
        rerun_word_error_rate=found.rates.second,
        rows=[
            ComparedRow(
                start_ms=row.start_ms,
                end_ms=row.end_ms,
                original=row.first,
                rerun=row.second,
                changes=[ComparedStretch(kind=kind, text=text) for kind, text in row.changes],
            )
            for row in found.rows
        ],
    )
