"""Strangers, wrong and withdrawn credentials, other origins, forged addresses: rows 58, 63 to 67, 74 of the matrix.

Over real sockets to a whole server behind a trusted proxy, which is this test: what it says of clients is believed.
"""

from __future__ import annotations

import hashlib
import http.cookiejar
import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from speechsite.tests.served import manage, wait_for
from transcription.fake_riva.audio import spoken, word_texts
from transcription.identity.guesses import MAX_WRONG
from transcription.tests.servers import Client, Server, running_server

pytestmark = pytest.mark.timeout(120)

OUTSIDE = "203.0.113.9"
LONG_AGO = "2001-01-01 00:00:00"
FAR_OFF = "2999-01-01 00:00:00"
WITHDRAWN_WITHIN_S = 65.0
AUDIO = spoken(5)
WORDS = " ".join(word_texts(5))


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path]) -> Iterator[Server]:
    """It logs everything it can; at its end no secret may stand there."""
    settings = {"FORWARDED_ALLOW_IPS": "127.0.0.1", "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}
    with running_server(new_data_dir(), **settings) as running:
        yield running


@dataclass
class Key:
    pk: int
    text: str

    @property
    def secret(self) -> str:
        return self.text.split("_", 2)[2]


def make_key(server: Server, **columns: Any) -> Key:
    text = f"spk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    row = {
        "name": "of the test",
        "prefix": text.split("_")[1],
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "scopes": '["transcribe", "sessions:read", "sessions:write"]',
        "created_at": LONG_AGO,
        "max_sessions": 0,
        "rate_limit": 0,
        "monthly_minutes": 0,
        **columns,
    }
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    server.rows(f"INSERT INTO transcription_apikey ({names}) VALUES ({marks})", *row.values())  # noqa: S608
    [found] = server.rows("SELECT id FROM transcription_apikey WHERE prefix = ?", row["prefix"])
    return Key(found["id"], text)


def with_key(server: Server, session_id: str, key: str, *, address: str = OUTSIDE, **headers: str) -> Client:
    given = {"Authorization": f"Bearer {key}", "X-Forwarded-For": address, **headers}
    return server.client(session_id, additional_headers=given)


def ask(server: Server, path: str, *, method: str = "GET", address: str = OUTSIDE, **headers: str) -> tuple[int, Any]:
    """Status and body of an answer of the HTTP API, and the header Retry-After in it, if there is one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{server.served.url}/api/v1{path}", method=method, headers={"X-Forwarded-For": address} | named
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()) | {"retry_after": error.headers.get("Retry-After")}


def nameless(event: dict[str, Any]) -> str:
    """An answer as it came, but for what differs between any two."""
    return json.dumps(event).replace(event["request_id"], "-" * len(event["request_id"]))


def owner_of(server: Server, session_id: str) -> list[dict[str, Any]]:
    owner = "SELECT owner_id, api_key_id FROM transcription_transcriptionsession WHERE public_id = ?"
    return server.rows(owner, session_id)


async def refusal(client: Client) -> tuple[int, str]:
    async with client:
        code = await client.closed()
        assert client.error["code"] == code
        return code, client.error["reason"]


async def test_row_58_somebody_elses_unknown_and_wrongly_claimed_sessions_get_the_same_answer(server: Server) -> None:
    mine, theirs = make_key(server), make_key(server)
    tokens = {}
    for session_id, key in (("row-58-mine", mine), ("row-58-theirs", theirs)):
        async with with_key(server, session_id, key.text) as client:
            tokens[session_id] = (await client.start())["resume_token"]
            client.socket.transport.abort()
        server.ended(session_id)

    answers = set()
    claims = [
        ("row-58-theirs", tokens["row-58-theirs"]),
        ("row-58-theirs", "wrong"),
        ("row-58-none-", tokens["row-58-mine"]),
        ("row-58-mine", "wrong"),
        ("row-58-mine", tokens["row-58-theirs"]),
    ]
    for session_id, token in claims:
        async with with_key(server, session_id, mine.text) as client:
            await client.send({"type": "resume_transcription", "resume_token": token})
            assert await client.closed() == 4404
            answers.add(nameless(client.error))
    assert len(answers) == 1

    for path in ("", "/transcript"):
        found = [
            ask(server, f"/sessions/{session_id}{path}", Authorization=f"Bearer {mine.text}")
            for session_id in ("row-58-theirs", "row-58-none-", "%00", "x" * 65)
        ]
        assert {(status, nameless(body)) for status, body in found} == {(404, nameless(found[0][1]))}
    before = server.session("row-58-theirs")
    assert ask(server, "/sessions/row-58-theirs", method="DELETE", Authorization=f"Bearer {mine.text}")[0] == 404
    assert server.session("row-58-theirs") == before


@pytest.fixture(scope="module")
def login(server: Server) -> str:
    """The cookie of an operator who has logged in."""
    told = manage("ensure_operator", data_dir=server.served.data_dir, DATABASE_URL="sqlite://").stdout
    password = told.split("password")[1].strip()
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    address = f"{server.served.url}/login/"
    page = opener.open(address, timeout=20).read().decode()
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert csrf is not None
    form = {"username": "operator", "password": password, "csrfmiddlewaretoken": csrf[1]}
    opener.open(address, urllib.parse.urlencode(form).encode(), timeout=20)
    [cookie] = [cookie for cookie in jar if cookie.name == "sessionid"]
    return str(cookie.value)


def origins(server: Server) -> dict[str, str]:
    own = urllib.parse.urlsplit(server.served.url)
    return {
        "evil": "https://evil.example",
        "null": "null",
        "scheme": f"https://{own.netloc}",
        "port": f"http://{own.hostname}:{(own.port or 0) + 1}",
        "subdomain": f"http://sub.{own.netloc}",
        "longer": f"http://{own.netloc}.evil.example",
        "path": f"{server.served.url}/",
    }


@pytest.mark.parametrize("path", ["/api/v1/transcribe/row-63", "/ws/console/", "/ws/sessions/row-63/"])
@pytest.mark.parametrize("origin", ["evil", "null", "scheme", "port", "subdomain", "longer", "path"])
async def test_row_63_a_page_of_another_origin_gets_nothing_for_its_visitors_cookie(
    server: Server, login: str, path: str, origin: str
) -> None:
    headers = {"Cookie": f"sessionid={login}", "Origin": origins(server)[origin], "X-Forwarded-For": OUTSIDE}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.socket_url(path), additional_headers=headers, compression=None):
            pass
    assert refused.value.response.status_code == 403


async def test_row_63_the_cookie_speaks_from_the_sites_own_pages_alone(server: Server, login: str) -> None:
    headers = {"Cookie": f"sessionid={login}", "X-Forwarded-For": OUTSIDE}
    own = {"Origin": server.served.url}
    async with server.client("row-63-own", additional_headers=headers | own) as client:
        assert (await client.receive())["event"] == "session_created"
    # No browser: it could have sent the cookie's like by itself, but a cookie alone opens nothing.
    assert await refusal(server.client("row-63-none", additional_headers=headers)) == (4401, "not_authenticated")


async def test_row_63_with_a_key_any_origin_may_come_and_the_cookie_does_not_count(server: Server, login: str) -> None:
    key = make_key(server)
    foreign = {"Origin": "https://evil.example", "Cookie": f"sessionid={login}"}
    async with with_key(server, "row-63-key", key.text, **foreign) as client:
        await client.start()
        await client.stop()
    assert owner_of(server, "row-63-key") == [{"owner_id": None, "api_key_id": key.pk}]
    spoilt = with_key(server, "row-63-spoilt", key.text[:-1], address="192.0.2.63", Cookie=f"sessionid={login}")
    assert await refusal(spoilt) == (4401, "wrong_key")


async def test_row_64_bad_expired_and_revoked_keys_are_refused_by_their_reason_and_stand_in_no_log(
    server: Server,
) -> None:
    wrong = f"spk_00000000_{secrets.token_urlsafe(32)}"
    keys = {
        "wrong_key": Key(0, wrong),
        "key_expired": make_key(server, expires_at=LONG_AGO),
        "key_revoked": make_key(server, revoked_at=LONG_AGO),
    }
    good = make_key(server, expires_at=FAR_OFF)
    for reason, key in keys.items():
        assert await refusal(with_key(server, "row-64", key.text)) == (4401, reason)
        offered = {"subprotocols": ["speech.v1", f"speech.token.{key.text}"]}
        headers = {"X-Forwarded-For": OUTSIDE}
        assert await refusal(server.client("row-64", additional_headers=headers, **offered)) == (4401, reason)
        for header, value in (("Authorization", f"Bearer {key.text}"), ("X-API-Key", key.text)):
            status, body = ask(server, "/sessions", **{header: value})
            assert (status, body["reason"]) == (401, reason)
        # Where no key belongs, and people put them all the same.
        for path in (f"/sessions?api_key={key.text}", f"/sessions?token={key.text}&x=%00"):
            assert ask(server, path)[0] == 401
    async with with_key(server, "row-64-good", good.text) as client:
        await client.start()
        await client.speak(AUDIO)
        await client.stop()
    assert ask(server, "/sessions", X_API_Key=good.text)[0] == 200
    assert client.finals == [WORDS]
    token = ask(server, "/tokens", method="POST", Authorization=f"Bearer {good.text}")[1]["token"]

    wait_for(lambda: "row-64-good" in server.served.output, "the connection's line")
    logged = server.served.output
    told = [*(key.secret for key in keys.values()), good.secret, token]
    assert [secret for secret in told if secret in logged] == []
    assert server.session("row-64") is None


async def test_a_key_without_the_scope_transcribes_nothing(server: Server) -> None:
    reader = make_key(server, scopes='["sessions:read"]')
    async with with_key(server, "reader", reader.text) as client:
        await client.send({"type": "start_transcription"})
        assert await client.closed() == 4403
        assert client.error["reason"] == "scope_missing"
    assert server.session("reader") is None
    assert ask(server, "/sessions", X_API_Key=reader.text)[0] == 200


@pytest.mark.long
async def test_row_65_a_session_whose_key_is_revoked_ends_within_a_minute(server: Server) -> None:
    key = make_key(server)
    async with with_key(server, "row-65", key.text) as client:
        await client.start()
        await client.speak(AUDIO)
        server.rows("UPDATE transcription_apikey SET revoked_at = ? WHERE id = ?", LONG_AGO, key.pk)
        wait_for(lambda: server.session("row-65")["state"] == "completed", "it has ended", WITHDRAWN_WITHIN_S)  # type: ignore[index]
        assert await client.closed() == 4401
    assert client.error["reason"] == "key_revoked"
    assert client.of("transcription_stopped")[0]["reason"] == "revoked"
    assert client.finals == [WORDS]
    assert server.ended("row-65")["end_reason"] == "revoked"


async def test_row_66_a_token_opens_one_socket_within_its_time(server: Server) -> None:
    key = make_key(server)

    def issue() -> str:
        return str(ask(server, "/tokens", method="POST", Authorization=f"Bearer {key.text}")[1]["token"])

    def client(session_id: str, token: str) -> Client:
        headers = {"X-Forwarded-For": OUTSIDE, "Origin": "https://app.example"}
        offered = ["speech.v1", f"speech.token.{token}"]
        return server.client(session_id, additional_headers=headers, subprotocols=offered)

    token = issue()
    async with client("row-66", token) as first:
        assert first.socket.subprotocol == "speech.v1"
        await first.start()
        assert await first.stop() == 1000
    assert await refusal(client("row-66-again", token)) == (4401, "token_used")
    late = issue()
    server.rows("UPDATE transcription_sockettoken SET expires_at = ? WHERE used_at IS NULL", LONG_AGO)
    assert await refusal(client("row-66-late", late)) == (4401, "token_expired")
    assert await refusal(client("row-66-made-up", f"spt_{secrets.token_urlsafe(32)}")) == (4401, "wrong_token")


async def test_row_67_who_guesses_keys_is_refused_and_the_right_key_goes_on(server: Server) -> None:
    key = make_key(server)
    guesses, office = "192.0.2.67", "198.51.100.67"
    good = {"Authorization": f"Bearer {key.text}"}
    assert ask(server, "/sessions", address=guesses, **good)[0] == 200
    prefix = key.text.removesuffix(f"_{key.secret}")
    for _try in range(MAX_WRONG):
        wrong = f"Bearer {prefix}_{secrets.token_urlsafe(32)}"
        assert ask(server, "/sessions", address=guesses, Authorization=wrong)[0] == 401
    status, body = ask(server, "/sessions", address=guesses, Authorization=f"Bearer {prefix}_x")
    assert (status, body["reason"]) == (429, "too_many_wrong_credentials")
    assert 0 < int(body["retry_after"]) <= 15 * 60
    assert await refusal(with_key(server, "row-67", f"{prefix}_x", address=guesses)) == (
        4429,
        "too_many_wrong_credentials",
    )
    # What was just in use is known to be right; from elsewhere it is looked up.
    assert ask(server, "/sessions", address=guesses, **good)[0] == 200
    assert ask(server, "/sessions", address=office, **good)[0] == 200


async def test_row_74_what_a_client_says_of_its_own_address_changes_nothing(server: Server) -> None:
    key = make_key(server)
    real = "192.0.2.74"
    for number in range(MAX_WRONG):
        forged = f"198.51.100.{number}, {real}"
        assert ask(server, "/sessions", address=forged, X_API_Key="spk_74747474_wrong")[0] == 401
    assert ask(server, "/sessions", address=f"198.51.100.99, {real}", X_API_Key="spk_74747474_wrong")[0] == 429
    async with with_key(server, "row-74", key.text, address=f"10.0.0.1, {real}", Forwarded="for=10.0.0.1") as client:
        await client.start()
        await client.stop()
    row = server.session("row-74")
    assert row is not None
    assert row["client_address"] == real
    wait_for(lambda: "transcribe/row-74" in server.served.output, "the connection's line")
    lines = [json.loads(line) for line in server.served.output.splitlines() if "transcribe/row-74" in line]
    assert {line["client"] for line in lines} == {real}
