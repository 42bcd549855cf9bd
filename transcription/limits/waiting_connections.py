"""How many connections one address may have open before they have a session. Pure.

A connection that never starts costs little and is ended after START_TIMEOUT_SECONDS, but thousands of them at a time
would take the places and the memory of those that speak.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address

from transcription.errors import TooFast
from transcription.identity.origins import is_loopback

RETRY_AFTER_MS = 1000
# Whoever has an IPv6 address usually has all of its last 64 bits.
IPV6_HOST_BITS = 64


class WaitingConnections:
    """Counts the connections of this process that have no session yet, by client address.

    most: how many an address may have; 0 for any number. spares_loopback: this machine itself may have any number.
    """

    def __init__(self, most: int, *, spares_loopback: bool) -> None:
        self._most = most
        self._spares_loopback = spares_loopback
        self._counts: Counter[str] = Counter()

    def enter(self, address: str | None) -> Waiting:
        """Count a connection until its `leave()`. Raises TooFast where the address has too many already."""
        if not self._most or address is None or (self._spares_loopback and is_loopback(address)):
            return Waiting(self._counts, None)
        client = client_of(address)
        if self._counts[client] >= self._most:
            raise TooFast(
                f"Over {self._most} connections from this address have not started a session.",
                reason="too_many_connections",
                retry_after_ms=RETRY_AFTER_MS,
            )
        self._counts[client] += 1
        return Waiting(self._counts, client)

    def __len__(self) -> int:
        return self._counts.total()


class Waiting:
    """One counted connection."""

    def __init__(self, counts: Counter[str], client: str | None) -> None:
        self._counts = counts
        self._client = client

    def leave(self) -> None:
        """It has a session now, or is gone. Any number of times."""
        if self._client is None:
            return
        self._counts[self._client] -= 1
        if not self._counts[self._client]:
            del self._counts[self._client]
        self._client = None


def client_of(address: str) -> str:
    """What counts as one client: an IPv4 address, an IPv6 network of a host, or whatever else a server says."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS))
