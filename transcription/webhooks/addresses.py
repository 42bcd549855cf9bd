"""Which addresses deliveries may go to: the public internet, and networks that the operator allows. No I/O.

An endpoint's URL is a stranger's wish of what this server shall connect to. Whatever only this server can reach
(its own loopback services, the metadata service of a cloud, the neighbours in its network) must stay out of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Of the registry of special-purpose addresses: written out, because what `is_global` says changed with Python's
# releases, and it takes some multicast for global.
# https://www.iana.org/assignments/iana-ipv4-special-registry
REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# Loopback, private, link-local, multicast and everything else that is special lies outside the one range of global
# unicast addresses, but for these.
# https://www.iana.org/assignments/iana-ipv6-special-registry
GLOBAL_IPV6 = IPv6Network("2000::/3")
REFUSED_IPV6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20"))
NAT64 = IPv6Network("64:ff9b::/96")


class AddressRules:
    """allowed: networks that deliveries may go to although they are not public."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = tuple(ip_network(network) for network in allowed)

    def permit(self, text: str) -> bool:
        """Whether a connection to this address may be made. False for what is no address."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return all(self._permit(each) for each in _meant(address))

    def _permit(self, address: Address) -> bool:
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        if isinstance(address, IPv4Address):
            return not any(address in network for network in REFUSED_IPV4)
        return address in GLOBAL_IPV6 and not any(address in network for network in REFUSED_IPV6)


def _meant(address: Address) -> list[Address]:
    """The addresses at which a packet may end: of IPv6 addresses that carry an IPv4 address, that one too."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    return [address]
