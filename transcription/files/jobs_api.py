"""`POST /api/v1/jobs`: a file of any length is uploaded and transcribed while nobody waits."""

from __future__ import annotations

import hashlib

from django.db import IntegrityError
from django.http import JsonResponse
from ninja.responses import NinjaJSONEncoder

from speechsite.config import get_config
from transcription.files import job_store
from transcription.files.api import JobAnswer
from transcription.files.asgi import Endpoint, Reply, Request
from transcription.files.body import Form
from transcription.files.decoding import Decoding
from transcription.files.job_options import parse_job_options
from transcription.files.job_store import NewJob
from transcription.files.models import FileJob
from transcription.files.service import new_session_id
from transcription.identity.origins import socket_headers
from transcription.identity.principals import Principal
from transcription.jobs.in_process import jobs
from transcription.rest.errors import error_response
from transcription.rest.idempotency import HEADER, check_key
from transcription.rest.idempotency_key import REPLAYED_HEADER

PATH = f"{get_config().api_v1_str}/jobs"


async def answer(request: Request, reply: Reply) -> None:
    key = socket_headers(request.scope).get(HEADER.lower())
    principal = request.client.principal
    job, is_replayed = None, False
    if key is not None:
        check_key(key)
        job = await request.in_database(_find, _id_of(principal, key))
        is_replayed = job is not None
    if job is None:
        await request.in_database(job_store.check_room, principal, request.files.max_jobs_per_owner)
        job = await _make(request, _id_of(principal, key) if key is not None else new_session_id())
        jobs.wake()
    response = JsonResponse(JobAnswer.of(job).model_dump(), encoder=NinjaJSONEncoder, status=202)
    response["Location"] = f"{PATH}/{job.public_id}"
    if is_replayed:
        response[REPLAYED_HEADER] = "true"
    await reply.send(response)


async def _make(request: Request, public_id: str) -> FileJob:
    files, is_kept = request.files, False
    form: Form = await files.uploads.form(request.scope, request.receive, stored=True)
    try:
        options = parse_job_options(form.fields, await files.languages(), file_name=form.upload.file_name)
        # What is no audio, or too long, is refused at once.
        async with Decoding(form.upload.file, files.job_limits) as decoded:
            duration_ms = decoded.info.duration_ms
        new = NewJob(
            public_id=public_id,
            principal=request.client.principal,
            file_name=form.upload.file_name,
            size_bytes=form.upload.size_bytes,
            stored_name=form.upload.stored_name,
            storage_id=files.folder.storage_id(),
            options=options,
            duration_ms=duration_ms,
            client_address=request.client.address,
            user_agent=request.client.user_agent,
        )
        try:
            job = await request.in_database(job_store.queue, new, files.max_jobs_per_owner)
        except IntegrityError:
            # The same request, made at the same moment.
            return await request.in_database(FileJob.objects.select_related("session").get, public_id=public_id)
        is_kept = True
        return job
    finally:
        if is_kept:
            form.upload.close()
        else:
            files.uploads.discard(form.upload)


def _id_of(principal: Principal, key: str) -> str:
    """The job that a client means by an Idempotency-Key: asked again, it is found."""
    owner = f"{principal.user_id}/{principal.key_id}/{key}"
    return f"job-{hashlib.sha256(owner.encode()).hexdigest()[:40]}"


def _find(public_id: str) -> FileJob | None:
    return FileJob.objects.select_related("session").filter(public_id=public_id).first()


CREATE_JOB = Endpoint(answer, error_response)
