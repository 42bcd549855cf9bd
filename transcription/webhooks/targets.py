"""What a URL of an endpoint must look like. No I/O: where its name leads is judged when it is connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

from django.utils.translation import gettext as _

from speechsite.config import Config
from transcription.errors import BadConfig
from transcription.webhooks.addresses import AddressRules

MAX_URL_CHARACTERS = 2000
# Web servers listen on these or above; below are mail, name and login services, which should never hear from us.
LOW_PORTS = (80, 443)
FIRST_HIGH_PORT, LAST_PORT = 1024, 65535
DEFAULT_PORTS = {"http": 80, "https": 443}
HOST_NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_-]{1,63}\.?")


@dataclass(frozen=True, slots=True)
class TargetRules:
    """allows_http: whether deliveries may go unencrypted. addresses: see AddressRules."""

    allows_http: bool = False
    addresses: AddressRules = field(default_factory=AddressRules)

    @classmethod
    def of(cls, config: Config) -> TargetRules:
        return cls(config.webhooks_may_use_http, AddressRules(config.webhook_networks))

    def check(self, url: str) -> None:
        """Raises BadConfig naming `url`, with a sentence that says what is wrong with it."""
        problem = self.problem(url)
        if problem:
            raise BadConfig(problem, field="url", reason="bad_url")

    def problem(self, url: str) -> str:
        """What is wrong with a URL, a sentence; "" if nothing is."""
        # What will send it must understand it the same way. Loading it takes 0.1 s, which no start shall wait for.
        import httpx2

        if len(url) > MAX_URL_CHARACTERS:
            return _("url: longer than %(limit)d characters.") % {"limit": MAX_URL_CHARACTERS}
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):
            return _("url: not a URL such as https://app.example.org/webhooks.")
        host = parsed.raw_host.decode("ascii", "replace")
        if parsed.scheme not in DEFAULT_PORTS or not (HOST_NAME.fullmatch(host) or _is_address(host)):
            return _("url: not a URL such as https://app.example.org/webhooks.")
        if parsed.scheme == "http" and not self.allows_http:
            return _("url: must begin with https://.")
        if parsed.userinfo:
            return _("url: must not carry a name or password; verify the signature instead.")
        if parsed.fragment:
            return _("url: must not have a fragment (#…).")
        port = DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
        if port not in LOW_PORTS and not FIRST_HIGH_PORT <= port <= LAST_PORT:
            return _("url: the port must be 80, 443, or 1024 to 65535.")
        if _is_address(host) and not self.addresses.permit(host):
            return _("url: this address is not public, and not among those allowed here.")
        return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
