"""Which kinds of work there are."""

from __future__ import annotations

from transcription.daily.kinds import CountingKind
from transcription.files.jobs import FileJobs
from transcription.jobs.kind import JobKind
from transcription.process import Process
from transcription.recording.kinds import recording_kinds
from transcription.retention.kinds import RetentionKind
from transcription.webhooks.kinds import webhook_kinds


def job_kinds(process: Process) -> list[JobKind]:
    """Every kind that a runner works at."""
    config = process.config
    return [FileJobs(process), *recording_kinds(process), RetentionKind(config), *webhook_kinds(config), CountingKind()]
