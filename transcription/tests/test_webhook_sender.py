"""One attempt to deliver, over real sockets: what is sent, what is understood, and where it never goes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from transcription.tests.certificates import Authority
from transcription.tests.webhook_receiver import Receiver, Reply
from transcription.webhooks.addresses import AddressRules
from transcription.webhooks.sender import MAX_RESPONSE_BYTES, Answer, Sender, Timeouts
from transcription.webhooks.targets import TargetRules

LOCAL = AddressRules(["127.0.0.0/8"])
SHORT = Timeouts(connect_s=5.0, read_s=0.3, total_s=0.6)


class Names:
    """A resolver with its answers in turn; the last one stays. asked: every name it was asked for."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._answers = list(answers)

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise OSError("no such name")
        return list(answer)


def sender(names: Names | None = None, *, rules: AddressRules = LOCAL, timeouts: Timeouts | None = None) -> Sender:
    return Sender(
        TargetRules(allows_http=True, addresses=rules),
        user_agent="Speechsite-Webhooks/test",
        resolve=(names or Names(["127.0.0.1"])).resolve,
        timeouts=timeouts,
    )


async def send(sender: Sender, url: str) -> Answer:
    return await sender.send(url, b'{"type":"x"}', {"webhook-id": "msg_1"})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


async def test_it_posts_the_body_as_it_is_with_the_headers(receiver: Receiver) -> None:
    answer = await send(sender(), f"http://app.example:{receiver.port}/hooks?a=b")
    assert (answer.status, answer.error, answer.is_delivered) == (204, "", True)
    (received,) = receiver.received
    assert (received.path, received.body) == ("/hooks?a=b", b'{"type":"x"}')
    assert received.headers["host"] == f"app.example:{receiver.port}"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "msg_1"
    assert received.headers["user-agent"] == "Speechsite-Webhooks/test"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_is_a_delivery(receiver: Receiver, status: int) -> None:
    receiver.replies.append(Reply(status))
    assert (await send(sender(), receiver.url)).is_delivered


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_any_other_status_is_a_failure_with_the_beginning_of_the_answer(receiver: Receiver, status: int) -> None:
    receiver.replies.append(Reply(status, b"what went wrong\0", {"retry-after": "77"}))
    answer = await send(sender(), receiver.url)
    assert (answer.status, answer.error, answer.retry_after_s) == (status, "status", 77.0)
    assert answer.excerpt == "what went wrong\ufffd"


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    with Receiver() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            receiver.replies.append(Reply(status, headers={"location": elsewhere.url}))
            assert (await send(sender(), receiver.url)).error == "redirect"
        assert elsewhere.received == []
    assert len(receiver.received) == 5


async def test_of_a_long_answer_only_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, b"x" * 5_000_000))
    answer = await send(sender(), receiver.url)
    assert answer.is_delivered
    assert len(answer.excerpt) == MAX_RESPONSE_BYTES


async def test_a_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, b"\x1f\x8b no gzip at all", {"content-encoding": "gzip"}))
    assert (await send(sender(), receiver.url)).is_delivered
    assert receiver.received[0].headers["accept-encoding"] == "identity"


async def test_cookies_of_an_answer_are_forgotten(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, headers={"set-cookie": "a=b; Path=/"}))
    one = sender()
    await send(one, receiver.url)
    await send(one, receiver.url)
    assert "cookie" not in receiver.received[1].headers


async def test_an_endpoint_that_does_not_answer_is_given_up(receiver: Receiver) -> None:
    for_ever = threading.Event()
    receiver.replies.append(Reply(hold=for_ever))
    answer = await send(sender(timeouts=SHORT), receiver.url)
    for_ever.set()
    assert (answer.error, answer.status) == ("timeout", None)


async def test_an_endpoint_that_sends_a_byte_now_and_then_meets_the_total_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await send(sender(timeouts=SHORT), f"http://app.example:{port}/")
    assert answer.error == "timeout"


async def test_a_connection_that_breaks_is_told_from_one_that_never_was() -> None:
    with Receiver(Reply(break_off=True)) as receiver:
        assert (await send(sender(), receiver.url)).error == "connection_broken"
    assert (await send(sender(), receiver.url)).error == "connection_failed"


async def test_rubbish_in_place_of_http_is_a_failure() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 3)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await send(sender(), f"http://app.example:{port}/")).error == "connection_broken"


async def test_a_name_that_leads_nowhere_is_a_failure() -> None:
    assert (await send(sender(Names([])), "http://app.example/")).error == "connection_failed"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.5", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_to_a_private_address_is_refused(receiver: Receiver, address: str) -> None:
    answer = await send(sender(Names([address]), rules=AddressRules()), f"http://app.example:{receiver.port}/")
    assert answer.error == "address_refused"
    assert receiver.received == []


async def test_of_several_addresses_only_a_permitted_one_is_connected_to(receiver: Receiver) -> None:
    names = Names(["10.0.0.5", "127.0.0.1"])
    assert (await send(sender(names), f"http://app.example:{receiver.port}/")).is_delivered
    assert names.asked == [("app.example", receiver.port)]


async def test_a_name_that_is_rebound_after_it_was_judged_gains_nothing(receiver: Receiver) -> None:
    """The name is looked up once, and the connection made to the very address that was judged."""
    rules = AddressRules(["127.0.0.2/32"])
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    # Nothing listens at 127.0.0.2 on this port; looked up again, the name would lead to the receiver.
    answer = await send(sender(names, rules=rules), f"http://app.example:{receiver.port}/")
    assert answer.error == "connection_failed"
    assert len(names.asked) == 1
    assert (await send(sender(names, rules=rules), f"http://app.example:{receiver.port}/")).error == "address_refused"
    assert receiver.received == []


async def test_addresses_in_the_url_itself_are_judged_as_names_are(receiver: Receiver) -> None:
    strict = Sender(TargetRules(allows_http=True), user_agent="test")
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"):
        answer = await send(strict, f"http://{host}:{receiver.port}/")
        assert answer.error in ("address_refused", "url_refused", "connection_failed"), host
    assert receiver.received == []


async def test_a_url_that_the_rules_do_not_allow_any_more_is_not_sent_to(receiver: Receiver) -> None:
    strict = Sender(TargetRules(addresses=LOCAL), user_agent="test")
    assert (await send(strict, receiver.url)).error == "url_refused"
    assert receiver.received == []


async def test_certificates_are_verified_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue("app.example")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pair.certificate + pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    with Receiver(tls=tls) as receiver:
        rules, names = TargetRules(addresses=LOCAL), Names(["127.0.0.1"])
        doubting = Sender(rules, user_agent="test", resolve=names.resolve)
        sure = Sender(rules, user_agent="test", resolve=names.resolve, ssl_context=trusting)
        assert (await send(sure, f"https://app.example:{receiver.port}/")).is_delivered
        assert (await send(sure, f"https://other.example:{receiver.port}/")).error == "tls"
        assert (await send(doubting, f"https://app.example:{receiver.port}/")).error == "tls"
        assert len(receiver.received) == 1


async def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await send(sender(), f"http://app.example:{receiver.port}/")).is_delivered
        assert proxy.received == []
    assert len(receiver.received) == 1
