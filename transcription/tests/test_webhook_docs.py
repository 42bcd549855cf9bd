"""docs/webhooks.md: its examples are what is sent, its code verifies, its tables are complete."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from speechsite.config import BASE_DIR
from transcription.tests.rows import make_session
from transcription.tests.test_docs import rows, section
from transcription.webhooks import sender, signing
from transcription.webhooks.event_types import EventType
from transcription.webhooks.models import WebhookEndpoint
from transcription.webhooks.payloads import segments_data, session_data
from transcription.webhooks.schedule import MAX_ATTEMPTS, RETRY_AFTER_S

TEXT = (BASE_DIR / "docs/webhooks.md").read_text(encoding="utf-8")
BODY = '{"type":"endpoint.test","data":{"title":"Öl"}}'.encode()
DURATION = re.compile(r"(\d+) (s|min|h)")
UNIT_S = {"s": 1, "min": 60, "h": 3600}


def example(event: str) -> dict[str, Any]:
    found = re.search(rf"<!-- example: {re.escape(event)} -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    assert found
    value: dict[str, Any] = json.loads(found[1])
    return value


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found[1]


def headers() -> dict[str, str]:
    return signing.signed_headers("msg_1", BODY, salts=["salt"], timestamp_s=int(time.time()))


def same_shape(told: Any, real: Any) -> bool:
    """Whether two values have the same fields, in the same order, down to the last."""
    if isinstance(told, dict) and isinstance(real, dict):
        return list(told) == list(real) and all(same_shape(told[key], real[key]) for key in told)
    if isinstance(told, list) and isinstance(real, list):
        return bool(told) and bool(real) and same_shape(told[0], real[0])
    return True


@pytest.mark.django_db
def test_the_example_of_an_end_has_the_fields_that_are_sent() -> None:
    told = example("session.completed")
    session = make_session("hello", options_applied={"language": "en-US"}, metadata={"customer": "1017"})
    assert told["type"] in list(EventType)
    assert same_shape(told["data"], session_data(session))


@pytest.mark.django_db
def test_the_example_of_segments_has_the_fields_that_are_sent() -> None:
    told = example("segment.final")
    session = make_session("hello", metadata={"customer": "1017"})
    assert told["type"] in list(EventType)
    assert same_shape(told["data"], segments_data(session, list(session.segments.all())))


def test_the_code_for_python_verifies() -> None:
    names: dict[str, Any] = {}
    exec(code("python"), names)  # noqa: S102 - our own document
    assert names["verify"](signing.secret_text("salt"), headers(), BODY)["type"] == "endpoint.test"
    with pytest.raises(WebhookVerificationError):
        names["verify"](signing.secret_text("other"), headers(), BODY)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_code_for_node_verifies(tmp_path: Path) -> None:
    (tmp_path / "verify.mjs").write_text(code("js"), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(
        'import { verify } from "./verify.mjs";\n'
        "const [secret, headers, body] = JSON.parse(process.argv[2]);\n"
        "console.log(verify(secret, headers, body).type);\n",
        encoding="utf-8",
    )

    def run(secret: str, headers: dict[str, str]) -> subprocess.CompletedProcess[str]:
        argument = json.dumps([secret, headers, BODY.decode()])
        command = ["node", str(tmp_path / "run.mjs"), argument]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    right = signing.secret_text("salt")
    assert run(right, headers()).stdout == "endpoint.test\n"
    rotating = signing.signed_headers("msg_1", BODY, salts=["new", "salt"], timestamp_s=int(time.time()))
    assert run(right, rotating).stdout == "endpoint.test\n"
    old = signing.signed_headers("msg_1", BODY, salts=["salt"], timestamp_s=int(time.time()) - 600)
    assert "wrong signature" in run(signing.secret_text("other"), headers()).stderr
    assert "too old" in run(right, old).stderr


def test_every_event_is_described() -> None:
    assert set(rows(section(TEXT, "Events"))) >= {event.value for event in EventType}


def test_the_schedule_is_the_one_that_is_kept() -> None:
    cells = [line.split("|")[1:3] for line in section(TEXT, "When it is sent again").splitlines() if "|" in line]
    pauses = {int(number): pause.strip() for number, pause in cells if number.strip().isdigit()}
    assert list(pauses) == list(range(1, MAX_ATTEMPTS + 1))
    told = [DURATION.fullmatch(pauses[number]) for number in range(2, MAX_ATTEMPTS + 1)]
    assert [int(found[1]) * UNIT_S[found[2]] for found in told if found] == list(RETRY_AFTER_S)


def test_every_error_and_every_reason_is_described() -> None:
    source = (BASE_DIR / "transcription/webhooks").glob("*.py")
    words = {word for path in source for word in re.findall(r'error(?:"\])?(?:=|": )"(\w+)"', path.read_text())}
    words |= {"status", "redirect", "tls", "connection_failed"}
    described = rows(section(TEXT, "When it is sent again"))
    assert words <= set(described)
    reasons = rows(section(TEXT, "Endpoints that are disabled"))
    assert set(reasons) == set(WebhookEndpoint.DisabledReason.values)


def test_the_timeouts_are_the_ones_that_are_kept() -> None:
    text = section(TEXT, "When it is sent again")
    assert f"takes {sender.TOTAL_TIMEOUT_S:g} s at most: {sender.CONNECT_TIMEOUT_S:g} s to connect" in text
    assert f"{sender.READ_TIMEOUT_S:g} s without a byte" in text
    assert f"its first {sender.MAX_RESPONSE_BYTES} bytes" in text
