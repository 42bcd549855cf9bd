"""The jobs of webhooks: looking for news, sending, tidying up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from speechsite.config import Config
from transcription.jobs.kind import JobKind, Lease, Outcome
from transcription.webhooks.announcing import Announcer
from transcription.webhooks.delivering import DeliveryKind
from transcription.webhooks.models import Chore, WebhookEndpoint
from transcription.webhooks.targets import TargetRules
from transcription.webhooks.tidying import tidy

if TYPE_CHECKING:
    from transcription.webhooks.sender import Sender

# How long segments gather before they are told, at most; a session that somebody listens to is looked at so often.
SEGMENTS_EVERY_S = 3.0
TIDY_EVERY_S = 60.0
CHORE_TIMEOUT_S = 60.0


def webhook_kinds(config: Config) -> list[JobKind]:
    return [AnnouncingKind(), DeliveryKind(lambda: make_sender(config)), TidyingKind(config.webhook_log_days)]


def make_sender(config: Config) -> Sender:
    # Loading what speaks HTTP takes 0.1 s, which no start shall wait for.
    from transcription.webhooks.sender import Sender

    return Sender(TargetRules.of(config), user_agent=f"{config.project_name}-Webhooks/{config.version}")


class AnnouncingKind:
    """Makes deliveries of what is new, in one process at a time."""

    name = "webhook_announcing"
    at_once = 1
    grace_s = 5.0
    look_every_s = 0.0

    def __init__(self) -> None:
        self._announcer = Announcer()

    def rows(self) -> QuerySet[Any]:
        return chore(self.name, self._announcer.has_news)

    async def work(self, row: Chore, lease: Lease) -> Outcome:
        is_all = await lease.threads.run(self._announcer.announce, timeout_s=CHORE_TIMEOUT_S)
        return Outcome(due_in_s=SEGMENTS_EVERY_S if is_all else 0.0)


class TidyingKind:
    """Puts endpoints and their log in order, in one process at a time."""

    name = "webhook_tidying"
    at_once = 1
    grace_s = 5.0
    look_every_s = 30.0

    def __init__(self, log_days: int) -> None:
        self._log_days = log_days

    def rows(self) -> QuerySet[Any]:
        return chore(self.name, WebhookEndpoint.objects.exists)

    async def work(self, row: Chore, lease: Lease) -> Outcome:
        await lease.threads.run(tidy, self._log_days, timeout_s=CHORE_TIMEOUT_S)
        return Outcome(due_in_s=TIDY_EVERY_S)


def chore(name: str, is_needed: Callable[[], bool]) -> QuerySet[Chore]:
    """The chore of this name, if it is due and needed. Its row is made when it is needed first."""
    chores = Chore.objects.filter(name=name)
    if chores.filter(due_at__gt=Now()).exists() or not is_needed():
        return Chore.objects.none()
    if not chores.exists():
        Chore.objects.bulk_create([Chore(name=name, due_at=Now())], ignore_conflicts=True)
    return chores
