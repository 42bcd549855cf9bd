"""Every address to which files are sent."""

from __future__ import annotations

from collections.abc import Mapping

from transcription.files import jobs_api, listen_api, openai_api
from transcription.files.asgi import Endpoint

file_endpoints: Mapping[str, Endpoint] = {
    listen_api.PATH: listen_api.LISTEN,
    openai_api.PATH: openai_api.OPENAI_TRANSCRIPTIONS,
    jobs_api.PATH: jobs_api.CREATE_JOB,
}
