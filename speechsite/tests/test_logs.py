"""Every line of a request carries its id; no line carries what was said or what is secret."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.test import Client
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

from speechsite.config import Config
from speechsite.logs import LoggedApplication, logging_config, request_id_of

HTTP_SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/somewhere",
    "query_string": b"token=very-secret",
    "headers": [],
    "client": ("203.0.113.5", 4711),
}
WEBSOCKET_SCOPE: dict[str, Any] = {**HTTP_SCOPE, "type": "websocket"}


class Wire:
    """The server's side of an ASGI exchange: hands out messages, keeps what the application sends."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> Any:
        return self._messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-request-id", b"forged")]})
    await send({"type": "http.response.body", "body": b""})


async def fail(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("broken")


def conversation(*sent: dict[str, Any]) -> Any:
    """A WebSocket application that sends some messages and then reads until it is told of the end."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        for message in sent:
            await send(message)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    return run


async def ends_of(application: Any, scope: dict[str, Any], wire: Wire) -> list[Any]:
    with capture_logs() as lines:
        await LoggedApplication(application)(scope, wire.receive, wire.send)  # type: ignore[arg-type]
    return lines


async def test_one_line_tells_the_end_of_a_request_without_its_query_string() -> None:
    [line] = await ends_of(answer, HTTP_SCOPE, Wire())

    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/somewhere", 201)
    assert line["duration_ms"] >= 0
    assert "secret" not in str(line)


async def test_the_line_comes_also_when_the_application_fails() -> None:
    wire = Wire()
    with capture_logs() as lines, pytest.raises(RuntimeError):
        await LoggedApplication(fail)(HTTP_SCOPE, wire.receive, wire.send)  # type: ignore[arg-type]

    assert [line["status"] for line in lines] == [0]


async def test_probes_are_not_worth_a_line_at_the_usual_level() -> None:
    [line] = await ends_of(answer, {**HTTP_SCOPE, "path": "/readyz"}, Wire())

    assert line["log_level"] == "debug"


async def test_the_request_id_goes_back_and_reaches_the_application_and_every_line() -> None:
    seen: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.update(get_contextvars(), scope_id=scope["request_id"])
        await answer(scope, receive, send)

    wire = Wire()
    await ends_of(application, {**HTTP_SCOPE, "headers": [(b"x-request-id", b"caller.1-A_")]}, wire)

    assert seen == {"request_id": "caller.1-A_", "client": "203.0.113.5", "scope_id": "caller.1-A_"}
    assert wire.sent[0]["headers"] == [(b"x-request-id", b"caller.1-A_")]


@pytest.mark.parametrize("value", [b"", b"x" * 65, b"two words", b"line\nbreak", b"\xff", b"<script>"])
def test_an_unsafe_request_id_is_replaced(value: bytes) -> None:
    chosen = request_id_of([(b"x-request-id", value)])

    assert chosen.encode("latin-1") != value
    assert len(chosen) == 32


async def test_what_an_earlier_request_bound_is_forgotten() -> None:
    bind_contextvars(session_id="of-another")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert "session_id" not in get_contextvars()
        await answer(scope, receive, send)

    assert len(await ends_of(application, HTTP_SCOPE, Wire())) == 1


@pytest.mark.parametrize(
    ("sent", "received", "event", "facts"),
    [
        ([{"type": "websocket.accept"}], [{"type": "websocket.disconnect", "code": 1001}], "connection closed", 1001),
        (
            [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 4503}],
            [{"type": "websocket.disconnect", "code": 1006}],
            "connection closed",
            4503,
        ),
        ([{"type": "websocket.accept"}], [{"type": "websocket.disconnect"}], "connection closed", 1006),
        ([{"type": "websocket.close"}], [{"type": "websocket.disconnect"}], "connection refused", 403),
    ],
    ids=["client closes", "service closes", "no code", "refused"],
)
async def test_one_line_tells_how_a_connection_ended(
    sent: list[dict[str, Any]], received: list[dict[str, Any]], event: str, facts: int
) -> None:
    [line] = await ends_of(conversation(*sent), WEBSOCKET_SCOPE, Wire(*received))

    assert line["event"] == event
    assert facts in (line.get("code"), line.get("status"))


async def test_an_accepted_connection_hears_its_request_id() -> None:
    wire = Wire({"type": "websocket.disconnect", "code": 1000})
    await ends_of(conversation({"type": "websocket.accept", "subprotocol": "speech.v1"}), WEBSOCKET_SCOPE, wire)

    [accept] = wire.sent
    assert accept["subprotocol"] == "speech.v1"
    assert [name for name, _ in accept["headers"]] == [b"x-request-id"]


@pytest.fixture
def json_lines() -> Iterator[io.StringIO]:
    """What the handler of the production profile writes."""
    configuration = logging_config(Config(log_format="json"))
    stream = io.StringIO()
    configuration["handlers"]["stderr"]["stream"] = stream
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    logging.config.dictConfig(configuration)
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_have_one_shape(json_lines: io.StringIO) -> None:
    bind_contextvars(request_id="r1")
    structlog.stdlib.get_logger("ours").info("happened", code=7)
    logging.getLogger("theirs").warning("%s of %s", 1, 2)

    ours, theirs = written(json_lines)

    assert (ours["event"], ours["code"], ours["logger"], ours["level"]) == ("happened", 7, "ours", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("1 of 2", "theirs", "warning")
    assert ours["request_id"] == theirs["request_id"] == "r1"
    assert ours["timestamp"].endswith("Z")


def test_a_library_that_prints_an_address_does_not_print_its_query_string(json_lines: io.StringIO) -> None:
    logging.getLogger("theirs").warning('GET "/api/v1/x?token=very-secret" from http://a.example/b?key=very-secret')

    assert "very-secret" not in json_lines.getvalue()
    assert "/api/v1/x?…" in written(json_lines)[0]["event"]


def test_a_traceback_has_no_values_of_variables(json_lines: io.StringIO) -> None:
    def recognise(text: str) -> None:
        raise ValueError("cannot")

    try:
        recognise(" ".join(("what", "was", "said")))
    except ValueError:
        structlog.stdlib.get_logger("ours").exception("failed")

    [line] = written(json_lines)
    assert "ValueError: cannot" in line["exception"]
    assert "what was said" not in json_lines.getvalue()


def test_debug_lines_are_left_out_unless_asked_for(json_lines: io.StringIO) -> None:
    structlog.stdlib.get_logger("ours").debug("detail")
    logging.getLogger("theirs").debug("detail")

    assert json_lines.getvalue() == ""


def test_a_scanner_that_names_other_hosts_fills_no_log(json_lines: io.StringIO) -> None:
    assert Client(headers={"Host": "evil.example"}).get("/").status_code == 400
    assert "Traceback" not in json_lines.getvalue()
