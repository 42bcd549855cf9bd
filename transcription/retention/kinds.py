"""The job of retention, in one process at a time."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from speechsite.config import Config
from transcription.audit.actors import NOBODY, acting
from transcription.audit.models import AuditEvent
from transcription.jobs.kind import Lease, Outcome
from transcription.retention.models import OwnTerm, RetentionRule, Tombstone
from transcription.retention.purging import Deadline, finish_cut_short, forget_events, purge
from transcription.retention.rules import standing_rules
from transcription.retention.scrubbing import scrub
from transcription.webhooks.kinds import CHORE_TIMEOUT_S, chore
from transcription.webhooks.models import Chore

LOOK_EVERY_S = 600.0
# Of one round, so that a thread of the jobs is not held for long; the next goes on.
ROUND_S = 5.0
PAUSE_S = 1.0
# Merging the search index writes all of it anew.
SCRUB_EVERY_S = 6 * 3600.0


class RetentionKind:
    """Deletes what the rules take, finishes deletions that were cut short, shortens the audit log."""

    name = "retention"
    at_once = 1
    grace_s = 5.0
    look_every_s = 30.0

    def __init__(self, config: Config) -> None:
        self._config = config

    def rows(self) -> QuerySet[Any]:
        return chore(self.name, self._is_needed)

    def _is_needed(self) -> bool:
        return (
            bool(self._config.retain_sessions_days)
            or RetentionRule.objects.filter(enabled=True).exists()
            or OwnTerm.objects.exists()
            or Tombstone.objects.filter(scrubbed_at=None).exists()
            or AuditEvent.objects.exists()
        )

    async def work(self, row: Chore, lease: Lease) -> Outcome:
        is_all = await lease.threads.run(self._round, timeout_s=CHORE_TIMEOUT_S)
        return Outcome(due_in_s=LOOK_EVERY_S if is_all else PAUSE_S)

    def _round(self) -> bool:
        deadline = Deadline.after(ROUND_S)
        with acting(NOBODY):
            finish_cut_short()
            _taken, is_all = purge(standing_rules(self._config), self._config, deadline)
            is_all = forget_events(self._config.audit_log_days) and is_all
            # Not between two parts of one purge: each time costs as much.
            return is_all and (not _is_time_to_scrub() or scrub(time.monotonic() + ROUND_S))


def _is_time_to_scrub() -> bool:
    recently = Now() - timedelta(seconds=SCRUB_EVERY_S)
    return not Tombstone.objects.filter(scrubbed_at__gt=recently).exists()
