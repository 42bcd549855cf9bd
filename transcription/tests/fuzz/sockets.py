"""Conversations full of mistakes on every socket route, beside one that makes none."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from transcription.fake_riva.audio import spoken, word_texts
from transcription.routing import websocket_urlpatterns
from transcription.tests.fuzz.messages import GOOD_SHARE, make_message, make_query
from transcription.tests.fuzz.stage import Stage

AT_ONCE = 8
MAX_MESSAGES = 12
# How long answers are waited for: to a message, to the first one, before the end.
LISTEN_S = 0.02
START_S = 0.2
END_S = 0.2
OPEN_TIMEOUT_S = 20.0
BYSTANDER_WORDS = 4
BYSTANDER_TIMEOUT_S = 60.0
BAD_IDS = ["%00", "..%2f..", "x" * 65, "%C3%A4", "a%20b", "%2e%2e", "nothing"]
FAULTS = (b'"code":4500', b'"code": 4500', b"internal_error")


@dataclass
class Report:
    """What was tried, how it closed, and what must not have been."""

    conversations: int = 0
    messages: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.conversations += other.conversations
        self.messages += other.messages
        self.closes += other.closes
        self.failures += other.failures


def socket_routes() -> list[str]:
    """The addresses of all socket routes, with `{id}` where a session's id stands."""
    return [_address(route.pattern) for route in websocket_urlpatterns]


def _address(pattern: Any) -> str:
    text = str(pattern)
    text = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", "{id}", text)
    return "/" + text.removeprefix("^").removesuffix("$")


async def throw_messages(stage: Stage, *, seed: int, conversations: int) -> Report:
    """That many conversations, AT_ONCE at a time, while others speak and must not notice."""
    report, routes = Report(), socket_routes()
    numbers = iter(range(conversations))

    watched = f"watched-{seed}"

    async def go_on() -> None:
        for number in numbers:
            random, route = Random(f"{seed}/{number}"), routes[number % len(routes)]  # noqa: S311 - repeatable
            await _converse(stage, random, route, number, watched, report)

    await _speak_without_mistakes(stage, watched, report)
    speaking = asyncio.create_task(_speak_without_mistakes(stage, f"beside-{seed}", report))
    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    await speaking
    await _speak_without_mistakes(stage, f"after-{seed}", report)
    return report


async def _converse(stage: Stage, random: Random, route: str, number: int, watched: str, report: Report) -> None:
    report.conversations += 1
    session = watched if "/sessions/" in route else f"{watched}-{number}"
    if random.random() > GOOD_SHARE:
        session = random.choice([f"{watched}-{random.randrange(20)}", *BAD_IDS])
    where = f"{route} ({number})"
    url = stage.server.socket_url(route.replace("{id}", session))
    query = make_query(random, route)
    try:
        async with connect(
            f"{url}?{query}" if query else url,
            additional_headers=_credentials(random, stage.key, route),
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            max_size=None,
        ) as socket:
            for step in range(random.randrange(1, MAX_MESSAGES)):
                message = make_message(random, route, step)
                # Text that is no UTF-8 now and then.
                as_text = isinstance(message, str) or random.random() < 0.05
                await socket.send(message, text=as_text)
                report.messages += 1
                await _listen(socket, LISTEN_S if step else START_S, where, report)
            if random.random() < 0.3:
                socket.transport.abort()
                return
            await _listen(socket, END_S, where, report)
            await socket.close()
        code, reason = socket.close_code, socket.close_reason or ""
        report.closes[f"{route} {code}"] += 1
        if code == 1011 and not reason.startswith("NET-"):
            report.failures.append(f"{where} closed {code} {reason}")
    except InvalidStatus as error:
        report.closes[f"{route} HTTP {error.response.status_code}"] += 1
        if error.response.status_code >= 500:
            report.failures.append(f"{where}: HTTP {error.response.status_code}")
    except ConnectionClosed as error:
        code = error.rcvd.code if error.rcvd else 1006
        report.closes[f"{route} {code}"] += 1
        if code in (1006, 4500) or (code == 1011 and error.rcvd and not error.rcvd.reason.startswith("NET-")):
            report.failures.append(f"{where} closed {code}")


def _credentials(random: Random, key: str, route: str) -> dict[str, str]:
    scheme = "Token" if "listen" in route else "Bearer"
    good = {"Authorization": f"{scheme} {key}"}
    bad = [{"Authorization": f"{scheme} spk_{'0' * 8}_x"}, {"Authorization": "Basic eDp4"}, {"Authorization": ""}]
    return good if random.random() < 0.95 else random.choice(bad)


async def _listen(socket: Any, for_s: float, where: str, report: Report) -> None:
    """Read what comes within that time."""
    try:
        async with asyncio.timeout(for_s):
            while True:
                answer = await socket.recv(decode=False)
                if any(fault in answer for fault in FAULTS):
                    report.failures.append(f"{where} was told {answer[:300]!r}")
    except TimeoutError:
        pass


async def _speak_without_mistakes(stage: Stage, session_id: str, report: Report) -> None:
    headers = {"Authorization": f"Bearer {stage.key}"}
    client = stage.server.client(session_id, additional_headers=headers)
    try:
        async with asyncio.timeout(BYSTANDER_TIMEOUT_S), client:
            await client.start()
            await client.speak(spoken(BYSTANDER_WORDS))
            code = await client.stop()
    except (TimeoutError, OSError, ConnectionClosed) as error:
        report.failures.append(f"{session_id} was disturbed: {error!r}")
        return
    words = " ".join(client.finals).split()
    if code != 1000 or words != word_texts(BYSTANDER_WORDS):
        report.failures.append(f"{session_id} was disturbed: closed {code} with {words}")
