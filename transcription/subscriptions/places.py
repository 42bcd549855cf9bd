"""How many subscriptions an owner and a session may have at a time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from transcription.errors import TooFast
from transcription.identity.principals import Principal

RETRY_AFTER_MS = 5000


class SubscriptionPlaces:
    """Counts the subscriptions of this process. most_of_owner, most_of_session: 0 for any number."""

    def __init__(self, *, most_of_owner: int, most_of_session: int) -> None:
        self._most_of_owner = most_of_owner
        self._most_of_session = most_of_session
        self._owners: Counter[Hashable] = Counter()
        self._sessions: Counter[Hashable] = Counter()

    @contextmanager
    def taken(self, principal: Principal, session_id: str) -> Iterator[None]:
        """Count a subscription. Raises TooFast where its owner or its session has as many as they may."""
        owner = ("key", principal.key_id) if principal.key_id is not None else ("user", principal.user_id)
        if self._most_of_owner and self._owners[owner] >= self._most_of_owner:
            raise _too_many(_("You have as many subscriptions as you may have at a time."))
        if self._most_of_session and self._sessions[session_id] >= self._most_of_session:
            raise _too_many(_("This session has as many subscribers as it may have."))
        self._owners[owner] += 1
        self._sessions[session_id] += 1
        try:
            yield
        finally:
            _leave(self._owners, owner)
            _leave(self._sessions, session_id)

    def __len__(self) -> int:
        return self._owners.total()


def _leave(counts: Counter[Hashable], name: Hashable) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _too_many(message: str) -> TooFast:
    return TooFast(message, reason="too_many_subscriptions", retry_after_ms=RETRY_AFTER_MS)
