"""The jobs of recordings: hearing again, joining, tidying up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from transcription.jobs.kind import JobKind, Lease, Outcome
from transcription.recording.join import JoiningKind
from transcription.recording.models import SessionRecording
from transcription.recording.parts import PartFolder
from transcription.recording.store import tidy
from transcription.webhooks.kinds import CHORE_TIMEOUT_S, chore
from transcription.webhooks.models import Chore

if TYPE_CHECKING:
    from transcription.process import Process

TIDY_EVERY_S = 60.0


def recording_kinds(process: Process) -> list[JobKind]:
    # Here, for it is made from what makes jobs.
    from transcription.recording.repair import RepairKind

    config = process.config
    return [RepairKind(process), JoiningKind(config), TidyingKind(PartFolder.of(config), config.retain_audio_days)]


class TidyingKind:
    """Deletes audio whose session is gone or whose time is over, in one process at a time."""

    name = "recording_tidying"
    at_once = 1
    grace_s = 5.0
    look_every_s = 30.0

    def __init__(self, folder: PartFolder, retain_days: int) -> None:
        self._folder = folder
        self._retain_days = retain_days

    def rows(self) -> QuerySet[Any]:
        return chore(self.name, self._is_needed)

    def _is_needed(self) -> bool:
        return SessionRecording.objects.exists() or any(True for _folder in self._folder.folders())

    async def work(self, row: Chore, lease: Lease) -> Outcome:
        is_all = await lease.threads.run(tidy, self._folder, self._retain_days, time.time(), timeout_s=CHORE_TIMEOUT_S)
        return Outcome(due_in_s=TIDY_EVERY_S if is_all else 0.0)
