"""The AsyncAPI document: whole, and as the models are. It was held against the published schema of AsyncAPI 3.0.0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pydantic import BaseModel

from speechsite.config import get_config
from transcription.asyncapi.document import LISTEN_CLIENT, LISTEN_SERVER, build_document
from transcription.asyncapi.examples import build_examples
from transcription.asyncapi.schemas import Schemas
from transcription.dialects import native_messages
from transcription.reference.close_codes import NATIVE_CLOSES
from transcription.reference.tables import NATIVE_CLIENT, NATIVE_SERVER, SUBSCRIPTION, tag_of
from transcription.routing import websocket_urlpatterns

# What AsyncAPI 3.0.0 allows at each place.
ROOT = {"asyncapi", "info", "servers", "defaultContentType", "channels", "operations", "components"}
CHANNEL = {"address", "title", "description", "messages", "parameters", "bindings", "externalDocs", "x-close-codes"}
OPERATION = {"action", "channel", "title", "messages", "security"}
MESSAGE = {"name", "title", "summary", "description", "contentType", "payload", "examples"}
# The console's own socket is not for other programs.
INTERNAL = {"ws/console/"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    built = build_document(title="Speech", version="1.2.3", host="speech.example.org")
    plain: Json = json.loads(json.dumps(built))
    return plain


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def found(document: Json, reference: str) -> Any:
    value: Any = document
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value


def test_it_has_what_every_such_document_has(document: Json) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert set(document) <= ROOT
    assert {"title", "version"} <= set(document["info"])
    assert document["servers"]["service"] == {
        "host": "speech.example.org",
        "protocol": "wss",
        "protocolVersion": "13",
    }
    for channel in document["channels"].values():
        assert set(channel) <= CHANNEL
    for message in document["components"]["messages"].values():
        assert set(message) <= MESSAGE


def test_every_reference_leads_somewhere(document: Json) -> None:
    all_of_them = set(references(document))
    assert len(all_of_them) > 100
    for reference in all_of_them:
        assert found(document, reference)


def test_every_socket_has_its_channel(document: Json) -> None:
    routes = {str(pattern.pattern) for pattern in websocket_urlpatterns} - INTERNAL
    addresses = {channel["address"] for channel in document["channels"].values()}
    as_routes = {address.lstrip("/").replace("{session_id}", "(?P<session_id>[^/]*)") for address in addresses}
    assert {route.strip("^$") for route in routes} == as_routes


def test_every_message_of_a_channel_is_received_or_sent(document: Json) -> None:
    for name, channel in document["channels"].items():
        operations = [document["operations"][f"{action}.{name}"] for action in ("receive", "send")]
        said = [reference for operation in operations for reference in references(operation["messages"])]
        assert sorted(said) == sorted(f"#/channels/{name}/messages/{key}" for key in channel["messages"])
        for operation in operations:
            assert set(operation) == OPERATION
            assert operation["security"]


@pytest.mark.parametrize(
    ("channel", "models"),
    [
        ("transcribe", [*NATIVE_CLIENT, *NATIVE_SERVER]),
        ("events", SUBSCRIPTION),
        ("listen", [*LISTEN_CLIENT, *LISTEN_SERVER]),
    ],
)
def test_every_message_is_there_with_an_example(document: Json, channel: str, models: list[type[BaseModel]]) -> None:
    messages = {name.split(".", 1)[1] for name in document["channels"][channel]["messages"]}
    assert {tag_of(model) for model in models} <= messages
    for model in models:
        example = build_examples()[model]
        assert model.model_validate(example.model_dump(mode="json")) == example
    for name in document["channels"][channel]["messages"]:
        message = document["components"]["messages"][f"{channel}.{name}"]
        assert "examples" in message or message["contentType"] == "application/octet-stream"


def test_fields_carry_their_meaning_bounds_and_unit(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["TranscribeAudioAck"]["properties"]["received"] == {
        "description": "what the service holds or has used",
        "minimum": 0,
        "type": "integer",
        "x-unit": "bytes",
    }
    assert schemas["TranscribeTranscript"]["properties"]["end_ms"]["minimum"] == 0
    assert schemas["TranscribeStartTranscription"]["additionalProperties"] is False
    assert "](" not in json.dumps(document)


def test_messages_of_the_same_name_do_not_get_in_each_others_way(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert "safe" in schemas["TranscribeErrorMessage"]["properties"]
    assert "variant" in schemas["ListenErrorMessage"]["properties"]


def test_a_message_always_says_what_it_is() -> None:
    gathered: Json = {}
    Schemas("Some", gathered).add(native_messages.AudioAck, mode="serialization")
    assert gathered["SomeAudioAck"]["required"][0] == "event"


def test_close_codes_are_told(document: Json) -> None:
    told = {close["code"]: close for close in document["channels"]["transcribe"]["x-close-codes"]}
    assert set(told) == {close.code for close in NATIVE_CLOSES}
    assert (told[4408]["retryable"], told[4422]["retryable"]) == (True, False)
    assert {1000, 1008, 1011} <= {close["code"] for close in document["channels"]["listen"]["x-close-codes"]}
    assert {1000, 1008, 3000} <= {close["code"] for close in document["channels"]["realtime"]["x-close-codes"]}


def test_it_is_served_with_the_address_at_which_it_was_asked_for() -> None:
    answer = Client(SERVER_NAME="127.0.0.1").get(f"{get_config().api_v1_str}/asyncapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    server = answer.json()["servers"]["service"]
    assert (server["host"], server["protocol"]) == ("127.0.0.1", "ws")


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "asyncapi.json"
    call_command("export_asyncapi", output=path, host="localhost:8000", insecure=True)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["servers"]["service"]["host"] == "localhost:8000"
    call_command("export_asyncapi")
    assert json.loads(capsys.readouterr().out)["servers"]["service"]["protocol"] == "wss"
