"""The OpenAPI document: complete, and never less than what clients know already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command

from transcription.rest.api import api
from transcription.rest.document import EXAMPLES, TAGS, operations
from transcription.tests.api_contract import FILE, breaks, read_contract


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As it is served."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found


def test_old_fields_stay_as_they_are(document: dict[str, Any]) -> None:
    """What is new is stored with `python -m transcription.tests.api_contract`."""
    assert breaks(json.loads(FILE.read_text()), read_contract(document)) == []


@pytest.mark.parametrize(
    ("old", "new", "is_break"),
    [
        ({"GET /a": "x"}, {}, True),
        ({"GET /a": "x"}, {"GET /a": "x", "GET /b": "y"}, False),
        ({"GET /a 200 json.n": "integer required"}, {"GET /a 200 json.n": "string required"}, True),
        ({"GET /a 200 json.n": "integer required"}, {"GET /a 200 json.n": "integer"}, True),
        ({"GET /a 200 json.s": "(a|b)"}, {"GET /a 200 json.s": "(a|b|c)"}, False),
        ({"GET /a 200 json.s": "(a|b)"}, {"GET /a 200 json.s": "(a)"}, True),
        ({"POST /a": "x", "POST /a body json": "object"}, {"POST /a body json.n": "integer required"}, True),
        (
            {"POST /a": "x", "POST /a body json": "object"},
            {"POST /a": "x", "POST /a body json": "object", "POST /a body json.n": "integer required"},
            True,
        ),
        (
            {"POST /a": "x", "POST /a body json": "object"},
            {"POST /a": "x", "POST /a body json": "object", "POST /a body json.n": "integer"},
            False,
        ),
        ({"GET /a": "x"}, {"GET /a": "x", "GET /a query n": "integer required"}, True),
        ({"GET /a": "x"}, {"GET /a": "x", "GET /a query n": "integer"}, False),
    ],
)
def test_it_knows_what_breaks_a_client(old: dict[str, str], new: dict[str, str], is_break: bool) -> None:
    assert bool(breaks(old, new)) is is_break


def test_everything_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert all(tag["description"] for tag in document["tags"])
    for operation in operations(document):
        assert set(operation["tags"]) <= set(TAGS), operation["operationId"]
        for response in operation["responses"].values():
            assert "X-Request-ID" in response["headers"]
        assert "Retry-After" in operation["responses"].get("429", {"headers": ["Retry-After"]})["headers"]
    for name, scheme in document["components"]["securitySchemes"].items():
        assert scheme["description"], name
    assert set(EXAMPLES) <= set(document["components"]["schemas"])


def test_no_parameter_can_be_null(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert "null" not in json.dumps(parameter["schema"]), parameter["name"]


def test_the_document_can_be_written_to_a_file(tmp_path: Any, document: dict[str, Any]) -> None:
    call_command("export_openapi_schema", output=str(tmp_path / "openapi.json"))
    assert json.loads((tmp_path / "openapi.json").read_text()) == document
