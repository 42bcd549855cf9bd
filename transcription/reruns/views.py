"""Running a recording again, and what came of it beside the original."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from speechsite.config import get_config
from transcription import access
from transcription.audit.recording import record_watching
from transcription.errors import NotFound, SessionTaken, TooFast
from transcription.files.models import FileJob
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.pages.views import page
from transcription.recording.models import SessionRecording
from transcription.reruns.asking import ask_rerun, get_rerun, reruns_of
from transcription.reruns.forms import RerunForm
from transcription.reruns.offering import offered_models
from transcription.reruns.reading import compare_rates, compare_sessions
from transcription.riva.offer import RivaModel

# Reading two whole transcripts for each; of older ones the page of the comparison says it.
MAX_RATED = 10


@require_http_methods(["GET", "POST"])
async def session_again(request: HttpRequest, public_id: str) -> HttpResponseBase:
    offered = await offered_models()
    return await sync_to_async(_session_again)(request, public_id, offered)


@page
def _session_again(
    request: HttpRequest, principal: Principal, public_id: str, offered: list[RivaModel]
) -> HttpResponse:
    session = access.get_session(public_id, principal, access.visible_sessions(principal))
    recording = SessionRecording.objects.filter(session=session).first()
    may_run = recording is not None and recording.is_kept and access.may_listen(principal, session)
    sets = access.usable_phrase_sets(principal)
    form = RerunForm(session, offered, sets, request.POST if request.method == "POST" else None)
    if form.is_bound:
        access.get_session(public_id, principal, access.audible_sessions(principal))
        if form.is_valid():
            try:
                max_jobs = get_config().max_file_jobs_per_owner
                ask_rerun(session, principal, form.changes(), max_jobs=max_jobs, offered=offered)
            except (NotFound, SessionTaken, TooFast) as error:
                messages.error(request, error.message)
            else:
                messages.success(request, _("The recording is being heard once more. Its transcript appears below."))
            return redirect("session_again", public_id=public_id)
    jobs = reruns_of(session)
    context = {
        "session": session,
        "rerun_form": form,
        "may_run": may_run,
        "reruns": [_shown(session, job, is_rated=number < MAX_RATED) for number, job in enumerate(jobs)],
        "is_working": any(not job.has_ended for job in jobs),
    }
    return render(request, "console/again.html", context, status=400 if form.is_bound else 200)


def _shown(session: TranscriptionSession, job: FileJob, *, is_rated: bool) -> dict[str, Any]:
    is_done = job.state == FileJob.State.COMPLETED and job.session is not None
    contexts = job.options.get("speech_contexts") or []
    return {
        "job": job,
        "percent": round(job.progress * 100),
        "phrases": sum(len(context.get("phrases", [])) for context in contexts),
        "stop_history": (job.options.get("endpointing") or {}).get("stop_history"),
        "is_done": is_done,
        "rates": compare_rates(session, job.session) if is_done and is_rated and job.session is not None else None,
    }


@require_GET
@page
def session_rerun(request: HttpRequest, principal: Principal, public_id: str, rerun_id: str) -> HttpResponse:
    session = access.get_session(public_id, principal, access.visible_sessions(principal))
    job = get_rerun(session, rerun_id, principal)
    if job.session is None:
        raise NotFound(_("This rerun has no transcript yet."))
    rerun = access.get_session(job.session.public_id, principal, access.visible_sessions(principal))
    record_watching(session)
    record_watching(rerun)
    found = compare_sessions(session, rerun)
    context = {
        "session": session,
        "rerun": rerun,
        "job": job,
        "rows": found.rows,
        "rates": found.rates,
        "different": sum(not row.is_same for row in found.rows),
    }
    return render(request, "console/rerun.html", context)
