"""Who wants to hear of a session: an index of the endpoints that are usable now. No I/O but read()."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from transcription.access import hearing_endpoints
from transcription.webhooks.event_types import EventType
from transcription.webhooks.models import WebhookEndpoint


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a session is: its owner's, that of the key it was made with, and that of the key's owner."""

    owner_id: int | None = None
    key_id: int | None = None
    key_owner_id: int | None = None


class Subscriptions:
    """Endpoints by whose sessions they hear of, as access/ has it for those who made them."""

    def __init__(self, endpoints: Iterable[WebhookEndpoint]) -> None:
        self._of_owner: dict[int, list[WebhookEndpoint]] = defaultdict(list)
        self._of_key: dict[int, list[WebhookEndpoint]] = defaultdict(list)
        self._of_nobody: list[WebhookEndpoint] = []
        self._of_all: list[WebhookEndpoint] = []
        for endpoint in endpoints:
            if endpoint.reach == WebhookEndpoint.Reach.ALL:
                self._of_all.append(endpoint)
            elif endpoint.owner_id is not None:
                self._of_owner[endpoint.owner_id].append(endpoint)
            elif endpoint.api_key_id is not None:
                self._of_key[endpoint.api_key_id].append(endpoint)
            else:
                self._of_nobody.append(endpoint)

    @classmethod
    def read(cls) -> Subscriptions:
        return cls(hearing_endpoints())

    def to(self, event_type: EventType) -> Subscriptions:
        """Those that want this event."""
        return Subscriptions(endpoint for endpoint in self._all() if event_type in endpoint.events)

    def of(self, session: Ownership) -> list[WebhookEndpoint]:
        """Those that may hear of a session."""
        found = list(self._of_all)
        for owner_id in {session.owner_id, session.key_owner_id} - {None}:
            found += self._of_owner.get(owner_id, ())  # type: ignore[arg-type]
        if session.key_id is not None:
            found += self._of_key.get(session.key_id, ())
        elif session.owner_id is None:
            found += self._of_nobody
        return found

    def conditions(self) -> Q:
        """Sessions that any of them may hear of, for a query that joins the key."""
        if self._of_all:
            return Q()
        heard = Q(pk__in=())
        if self._of_owner:
            owners = list(self._of_owner)
            heard |= Q(owner__in=owners) | Q(api_key__owner__in=owners)
        if self._of_key:
            heard |= Q(api_key__in=list(self._of_key))
        if self._of_nobody:
            heard |= Q(owner=None, api_key=None)
        return heard

    def __bool__(self) -> bool:
        return bool(self._of_owner or self._of_key or self._of_nobody or self._of_all)

    def _all(self) -> Iterable[WebhookEndpoint]:
        yield from self._of_all
        yield from self._of_nobody
        for index in (self._of_owner, self._of_key):
            for endpoints in index.values():
                yield from endpoints
