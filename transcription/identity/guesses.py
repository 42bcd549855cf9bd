"""Wrong keys and tokens, counted by where they come from. Pure.

Nobody guesses 256 bits; this spares the database those who try.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.utils.translation import gettext as _

from transcription.errors import TooFast
from transcription.identity.origins import is_loopback
from transcription.limits.waiting_connections import client_of
from transcription.limits.windows import WindowCounts

MAX_WRONG = 5
# Of one address with any credentials: behind it may be an office, where one program has a wrong key.
MAX_WRONG_OF_ADDRESS = 50
WINDOW_S = 15 * 60.0
# Of a credential, to tell it from others: no more than people are shown of a key anyway.
TOLD_APART_CHARACTERS = 12


class WrongCredentials:
    """Refuses who came with too many wrong ones within WINDOW_S: MAX_WRONG that begin alike, or more of any kind.

    spares_loopback: this machine itself may try as often as it likes.
    """

    def __init__(self, *, spares_loopback: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._spares_loopback = spares_loopback
        self._counts = WindowCounts(WINDOW_S, clock=clock)

    def check(self, address: str | None, credential: str) -> None:
        """Raises TooFast where too many were wrong; this one is then not looked up."""
        for who, most in self._limits(address, credential):
            wait_s = self._counts.wait_s(who, most)
            if wait_s:
                raise TooFast(
                    _("Too many wrong credentials came from this address."),
                    reason="too_many_wrong_credentials",
                    retry_after_ms=round(wait_s * 1000),
                )

    def count(self, address: str | None, credential: str) -> None:
        """Note that this one was wrong."""
        for who, _most in self._limits(address, credential):
            self._counts.add(who)

    def _limits(self, address: str | None, credential: str) -> list[tuple[tuple[str, str], int]]:
        if address is None or (self._spares_loopback and is_loopback(address)):
            return []
        client = client_of(address)
        return [((client, credential[:TOLD_APART_CHARACTERS]), MAX_WRONG), ((client, ""), MAX_WRONG_OF_ADDRESS)]
