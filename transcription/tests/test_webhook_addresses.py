"""Which addresses and URLs deliveries may go to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.errors import BadConfig
from transcription.webhooks.addresses import AddressRules
from transcription.webhooks.targets import TargetRules

PUBLIC = ["93.184.215.14", "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "64:ff9b::808:808"]
REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "unspecified": ["0.0.0.0", "::", "0.1.2.3"],  # noqa: S104 - refused
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.254"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "documentation and benchmarks": ["192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "2001:db8::1"],
    "protocol assignments": ["192.0.0.1", "192.88.99.1", "2001::1", "2001:10::1"],
    "site-local": ["fec0::1"],
    "IPv4 in IPv6": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1"],
    "6to4 of private": ["2002:a00:1::1", "2002:7f00:1::"],
    "no address": ["", "localhost", "127.1", "2130706433", "0x7f000001", "1.2.3.4.5"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert AddressRules().permit(address)


@pytest.mark.parametrize(("kind", "address"), [(kind, a) for kind, addresses in REFUSED.items() for a in addresses])
def test_what_is_not_public_is_refused(kind: str, address: str) -> None:
    assert not AddressRules().permit(address)


def test_networks_that_the_operator_allows_are_permitted_and_no_more() -> None:
    rules = AddressRules(["10.1.0.0/16", "fd00:1::/32"])
    assert rules.permit("10.1.2.3")
    assert rules.permit("::ffff:10.1.2.3")
    assert rules.permit("fd00:1::5")
    assert not rules.permit("10.2.0.1")
    assert not rules.permit("127.0.0.1")


def test_a_6to4_address_is_judged_by_both_addresses_in_it() -> None:
    assert not AddressRules(["10.0.0.0/8"]).permit("2002:7f00:1::")
    assert AddressRules(["127.0.0.0/8"]).permit("2002:7f00:1::")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_however_it_is_written(address: object) -> None:
    rules = AddressRules()
    assert rules.permit(f"::ffff:{address}") == rules.permit(str(address))


@given(st.ip_addresses())
def test_nothing_is_permitted_that_python_takes_for_private(address: object) -> None:
    if getattr(address, "is_private", False) or getattr(address, "is_multicast", False):
        carried = getattr(address, "sixtofour", None) or getattr(address, "ipv4_mapped", None)
        assert carried is not None or not AddressRules().permit(str(address))


GOOD_URLS = [
    "https://app.example.org/hooks",
    "https://app.example.org",
    "https://app.example.org:8443/a?b=c",
    "https://münchen.example/hooks",
    "https://1.1.1.1/hooks",
    "https://[2606:4700:4700::1111]:8443/hooks",
    "https://service.example.org./",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_ordinary_urls_are_taken(url: str) -> None:
    TargetRules().check(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://app.example.org/hooks", "https"),
        ("ftp://app.example.org/", "not a URL"),
        ("file:///etc/passwd", "not a URL"),
        ("gopher://app.example.org/", "not a URL"),
        ("app.example.org/hooks", "not a URL"),
        ("//app.example.org/hooks", "not a URL"),
        ("https://", "not a URL"),
        ("https:///hooks", "not a URL"),
        ("", "not a URL"),
        ("https://a b.example.org/", "not a URL"),
        ("https://app.example.org\r\nX-Evil: 1/", "not a URL"),
        (" https://app.example.org/", "not a URL"),
        ("https://a..example.org/", "not a URL"),
        ("https://" + "a" * 64 + ".example.org/", "not a URL"),
        ("https://user:password@app.example.org/", "name or password"),
        ("https://user@app.example.org/", "name or password"),
        ("https://app.example.org/#part", "fragment"),
        ("https://app.example.org:25/", "port"),
        ("https://app.example.org:22/", "port"),
        ("https://app.example.org:0/", "port"),
        ("https://app.example.org:99999/", "port"),
        ("https://127.0.0.1/", "not public"),
        ("https://169.254.169.254/latest/meta-data/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://app.example.org/" + "a" * 2000, "characters"),
    ],
)
def test_a_bad_url_is_refused_naming_the_field_and_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(BadConfig, match=words) as refused:
        TargetRules().check(url)
    assert refused.value.field == "url"


def test_http_is_taken_where_it_is_allowed() -> None:
    TargetRules(allows_http=True).check("http://app.example.org:8080/hooks")
    rules = TargetRules(allows_http=True, addresses=AddressRules(["127.0.0.0/8"]))
    rules.check("http://127.0.0.1:8080/hooks")
