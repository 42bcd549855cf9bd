"""From what the database has to deliveries: the ends of sessions, and segments that nobody was told of yet.

Nothing can be missed, and nothing told under two ids. An end is noted with the end itself (outbox.py) and taken off
in the transaction that stores its deliveries. Of segments the deliveries themselves say how far they were told:
next_segment of the last one. A session's segments get their indexes in order, so all below its next_seq are there;
comparing keys of rows instead would miss those of a transaction that committed late. What came after the last look
is told with the session's end. So a process may be killed anywhere here: the next look finds the same news.

Plain functions for a database thread. Only one process looks at a time (see Chore); should two, a constraint lets
the first one's deliveries stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.webhooks.event_types import TYPE_OF_END, EventType
from transcription.webhooks.models import SessionEnd, WebhookDelivery, WebhookEndpoint
from transcription.webhooks.payloads import build_body, in_batches, segments_data, session_data
from transcription.webhooks.subscriptions import Ownership, Subscriptions

# Of one look; the rest comes with the next, so that a heap of them holds up nobody else.
MAX_ENDS_AT_ONCE = 100
MAX_SESSIONS_AT_ONCE = 500

State = TranscriptionSession.State


class Announcer:
    """What one process has seen of live sessions, so that those without news cost a row read. Forgetting is safe."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def has_news(self) -> bool:
        """Whether announce() would find anything. Writes nothing, and where nobody listens reads two small tables."""
        return SessionEnd.objects.exists() or bool(self._with_news(Subscriptions.read().to(EventType.SEGMENT_FINAL)))

    def announce(self) -> bool:
        """Store the deliveries of what is new. False: there is more than one look takes."""
        subscriptions = Subscriptions.read()
        ends = list(SessionEnd.objects.order_by("pk").values_list("pk", flat=True)[:MAX_ENDS_AT_ONCE])
        for pk in ends:
            _announce_end(pk, subscriptions)
        listeners = subscriptions.to(EventType.SEGMENT_FINAL)
        news = self._with_news(listeners)
        for session in TranscriptionSession.objects.filter(pk__in=news).select_related("api_key").order_by("pk"):
            segments = session.segments.filter(index__lt=session.next_seq)
            for endpoint in listeners.of(_ownership(session)):
                _store(_segment_deliveries(endpoint, session, segments))
            self._seen[session.pk] = session.next_seq
        return len(ends) < MAX_ENDS_AT_ONCE and len(news) < MAX_SESSIONS_AT_ONCE

    def _with_news(self, listeners: Subscriptions) -> list[int]:
        """Sessions that are not over, that somebody listens to, and that have new segments."""
        if not listeners:
            self._seen.clear()
            return []
        going_on = TranscriptionSession.objects.filter(state__in=(State.LIVE, State.DETACHED), next_seq__gt=0)
        now = dict(going_on.filter(listeners.conditions()).values_list("pk", "next_seq"))
        self._seen = {pk: seen for pk, seen in self._seen.items() if pk in now}
        return [pk for pk, next_seq in now.items() if self._seen.get(pk) != next_seq][:MAX_SESSIONS_AT_ONCE]


def _announce_end(pk: int, subscriptions: Subscriptions) -> None:
    with transaction.atomic():
        end = SessionEnd.objects.select_for_update().filter(pk=pk).first()
        if end is None:
            return
        session = TranscriptionSession.objects.select_related("owner", "api_key__owner").get(pk=end.session_id)
        # One that failed before any audio may have been started again: then there will be another end.
        if (session.epoch, session.state) == (end.epoch, end.state):
            for endpoint in subscriptions.of(_ownership(session)):
                _store(_end_deliveries(endpoint, session))
        end.delete()


def _end_deliveries(endpoint: WebhookEndpoint, session: TranscriptionSession) -> Iterator[WebhookDelivery]:
    """What the endpoint was not told yet of a session that is over: its last segments, then its end."""
    if EventType.SEGMENT_FINAL in endpoint.events:
        yield from _segment_deliveries(endpoint, session, session.segments.all())
    event_type = TYPE_OF_END[State(session.state)]
    if event_type in endpoint.events:
        body = build_body(event_type, session_data(session), now=timezone.now())
        yield WebhookDelivery(endpoint=endpoint, session=session, event_type=event_type, body=body)


def _segment_deliveries(
    endpoint: WebhookEndpoint, session: TranscriptionSession, segments: QuerySet[TranscriptSegment]
) -> Iterator[WebhookDelivery]:
    told = (
        WebhookDelivery.objects.filter(endpoint=endpoint, session=session, first_segment__isnull=False)
        .order_by("-first_segment")
        .values_list("next_segment", flat=True)
        .first()
    )
    new = segments.filter(index__gte=told or 0).order_by("index").defer("words", "alternatives", "asr_text")
    for batch in in_batches(new):
        yield WebhookDelivery(
            endpoint=endpoint,
            session=session,
            event_type=EventType.SEGMENT_FINAL,
            body=build_body(EventType.SEGMENT_FINAL, segments_data(session, batch), now=timezone.now()),
            first_segment=batch[0].index,
            next_segment=batch[-1].index + 1,
        )


def _store(deliveries: Iterable[WebhookDelivery]) -> None:
    new = list(deliveries)
    for delivery in new:
        delivery.due_at = delivery.created_at = Now()
    WebhookDelivery.objects.bulk_create(new, ignore_conflicts=True)


def _ownership(session: TranscriptionSession) -> Ownership:
    key_owner_id = session.api_key.owner_id if session.api_key is not None else None
    return Ownership(session.owner_id, session.api_key_id, key_owner_id)
