"""The documents describe everything that is there: messages, fields, close codes, operations, metrics, commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from speechsite.config import BASE_DIR, Config
from transcription import errors, events, metrics
from transcription.dialects import native_messages
from transcription.models import TranscriptionSession
from transcription.options import Diarization, Endpointing, SpeechContext, TranscriptionConfig
from transcription.rest.api import api
from transcription.rest.export import ExportQuery
from transcription.rest.idempotency import HEADER
from transcription.rest.recognisers import ModelItem, ModelsAnswer
from transcription.rest.schemas import (
    ErrorAnswer,
    HealthAnswer,
    SessionAnswer,
    SessionChanges,
    SessionListQuery,
    StartAnswer,
    StopAnswer,
    StopRequest,
    TranscriptAnswer,
)
from transcription.rest.usage import UsageAnswer, UsageQuery

DOCS = BASE_DIR / "docs"
DOCUMENTS = [BASE_DIR / "README.md", BASE_DIR / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
CLIENT_MESSAGES = get_args(get_args(native_messages.ClientMessage)[0])
SERVER_MESSAGES = get_args(get_args(native_messages.ServerMessage)[0])
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text below a heading up to the next one of the same depth or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row of the tables, by each name in backticks that its first cell has."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found.setdefault(name, cells)
    return found


def tag_of(model: type[BaseModel], name: str) -> str:
    return str(get_args(model.model_fields[name].annotation)[0])


def anchors(text: str) -> set[str]:
    """As the repository host makes them: lower case, no punctuation, dashes for spaces."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("model", CLIENT_MESSAGES, ids=lambda model: model.__name__)
def test_every_client_message_and_its_fields_are_described(model: type[BaseModel]) -> None:
    described = rows(section(read("websocket-api.md"), f"`{tag_of(model, 'type')}`"))
    assert set(described) >= set(model.model_fields)


@pytest.mark.parametrize("model", SERVER_MESSAGES, ids=lambda model: model.__name__)
def test_every_server_message_and_its_fields_are_described(model: type[BaseModel]) -> None:
    described = rows(section(read("websocket-api.md"), f"`{tag_of(model, 'event')}`"))
    assert set(described) >= set(model.model_fields)


@pytest.mark.parametrize("model", [native_messages.WordItem, native_messages.AlternativeItem])
def test_every_field_inside_a_transcript_is_described(model: type[BaseModel]) -> None:
    assert set(rows(section(read("websocket-api.md"), "`transcript`"))) >= set(model.model_fields)


def test_no_field_is_described_that_no_message_has() -> None:
    known = {
        "start_transcription": {"type", "config"},
        **{tag_of(model, "type"): set(model.model_fields) for model in CLIENT_MESSAGES},
        **{tag_of(model, "event"): set(model.model_fields) for model in SERVER_MESSAGES},
    }
    known["transcript"] |= {*native_messages.WordItem.model_fields, *native_messages.AlternativeItem.model_fields}
    known["audio_warning"] |= set(get_args(events.WarningCode))
    text = read("websocket-api.md")
    for name, fields in known.items():
        assert set(rows(section(text, f"`{name}`"))) <= fields


@pytest.mark.parametrize("model", [TranscriptionConfig, SpeechContext, Diarization, Endpointing])
def test_every_option_is_described_with_its_default(model: type[BaseModel]) -> None:
    described = rows(section(read("websocket-api.md"), "`config`"))
    for name, field in model.model_fields.items():
        assert name in described
        if field.is_required() or name == "endpointing":
            continue
        default = field.get_default()
        value = default.model_dump() if isinstance(default, BaseModel) else default
        assert described[name][2] == f"`{json.dumps(value)}`", name


def bounds_of(schema: Any) -> Iterator[str]:
    """Every number that bounds a field, as the JSON schema of the options says it."""
    if isinstance(schema, dict):
        for key in ("minimum", "maximum", "maxItems", "maxLength", "maxProperties"):
            if isinstance(schema.get(key), int | float):
                yield f"{schema[key]:g}"
        for key, value in schema.items():
            if key != "$defs":
                yield from bounds_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from bounds_of(value)


@pytest.mark.parametrize("model", [TranscriptionConfig, SpeechContext, Diarization, Endpointing])
def test_every_option_is_described_with_its_bounds(model: type[BaseModel]) -> None:
    described = rows(section(read("websocket-api.md"), "`config`"))
    for name, schema in model.model_json_schema()["properties"].items():
        row = " ".join(described[name]).replace("−", "-")  # noqa: RUF001 - the sign as it is set in the text
        assert set(bounds_of(schema)) <= set(re.findall(r"-?\d+", row)), name


def test_every_limit_is_described_with_its_default() -> None:
    described = rows(section(read("websocket-api.md"), "Limits"))
    assert set(described) == set(native_messages.Limits.model_fields)
    config = Config.model_construct()
    assert described["max_audio_bytes"][2] == str(config.max_audio_message_bytes)
    assert described["max_text_bytes"][2] == str(config.max_text_message_bytes)
    assert described["start_timeout_ms"][2] == f"{config.start_timeout_seconds * 1000:g}"
    assert described["idle_timeout_ms"][2] == f"{config.idle_timeout_seconds * 1000:g}"
    assert described["session_timeout_ms"][2] == str(config.session_timeout_minutes * 60_000)
    assert described["max_sessions"][2] == str(config.max_concurrent_sessions)


@pytest.mark.parametrize("names", [events.WarningCode, events.StopReason], ids=["warnings", "stop reasons"])
def test_every_word_of_a_list_is_described(names: Any) -> None:
    text = read("websocket-api.md")
    assert [name for name in get_args(names) if f"`{name}`" not in text] == []


def error_classes() -> list[type[errors.TranscriptionError]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and value.__doc__ and _is_error(value)]


def _is_error(value: type) -> bool:
    return issubclass(value, errors.TranscriptionError) and value is not errors.TranscriptionError


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_is_described_with_its_close_code(error: type[errors.TranscriptionError]) -> None:
    text = section(read("websocket-api.md"), "Close codes")
    assert f"`{error.__name__}`" in text
    assert re.search(rf"^\| {error.code} \|", text, re.MULTILINE)


def test_every_state_of_a_session_is_described() -> None:
    text = read("http-api.md")
    assert [state for state in TranscriptionSession.State.values if f"`{state}`" not in text] == []


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = api.get_openapi_schema()["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


@pytest.mark.parametrize(("method", "path", "operation"), operations(), ids=lambda value: str(value)[:20])
def test_every_http_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    document = "review-api.md" if operation["tags"] == ["review"] else "http-api.md"
    text = section(read(document), f"`{operation['operationId']}`")
    assert f"`{method.upper()} {path}`" in text
    parameters = {p["name"] for p in operation.get("parameters", []) if p["in"] != "path"}
    # This one is the same for all, and described once.
    if HEADER in parameters:
        assert "#doing-nothing-twice" in text
    assert set(re.findall(r"`([a-z_]+)`", text)) >= parameters - {HEADER}


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Errors", ErrorAnswer),
        ("`get_health`", HealthAnswer),
        ("`start_transcription`", StartAnswer),
        ("`list_sessions`", SessionListQuery),
        ("`change_session`", SessionChanges),
        ("`stop_session`", StopRequest),
        ("`stop_session`", StopAnswer),
        ("`export_transcripts`", ExportQuery),
        ("`list_models`", ModelsAnswer),
        ("`list_models`", ModelItem),
        ("`read_usage`", UsageQuery),
        ("`read_usage`", UsageAnswer),
        ("`read_transcript`", TranscriptAnswer),
        ("`read_session`", SessionAnswer),
    ],
)
def test_every_field_of_http_answers_is_described(heading: str, schema: type[BaseModel]) -> None:
    assert set(re.findall(r"`([a-z0-9_]+)`", section(read("http-api.md"), heading))) >= set(schema.model_fields)


def test_every_status_that_an_operation_may_answer_is_described() -> None:
    statuses = {int(status) for _, _, operation in operations() for status in operation["responses"]}
    text = section(read("http-api.md"), "Errors")
    assert [status for status in sorted(statuses) if status >= 400 and f"| {status} |" not in text] == []


def metric_names(module: ModuleType) -> dict[str, tuple[str, ...]]:
    """Names as Prometheus shows them, with their labels."""
    found = {}
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            suffix = "_total" if family.type == "counter" else ""
            found[family.name + suffix] = metric._labelnames
    return found


def test_every_metric_is_described_with_its_labels_and_no_other() -> None:
    described = rows(section(read("operations.md"), "Metrics"))
    names = metric_names(metrics)
    assert set(described) == set(names)
    for name, labels in names.items():
        assert described[name][2] == ", ".join(f"`{label}`" for label in labels)


def test_every_management_command_is_described_and_no_other() -> None:
    files = (BASE_DIR / "transcription/management/commands").glob("[!_]*.py")
    described = rows(section(read("operations.md"), "Management commands"))
    assert set(described) == {file.stem for file in files}


MATRIX_ROWS = [*range(1, 75)]
NOT_TESTED: set[int] = set()
ROW_TEST = re.compile(r"^(?:async )?def (test_rows?_((?:\d+_)+)\w+)\(", re.MULTILINE)


def tests_by_row() -> dict[int, set[str]]:
    """The tests that are named after rows of the fault matrix."""
    found: dict[int, set[str]] = {}
    for path in BASE_DIR.glob("*/tests/**/test_*.py"):
        for name, numbers in ROW_TEST.findall(path.read_text(encoding="utf-8")):
            for number in numbers.strip("_").split("_"):
                found.setdefault(int(number), set()).add(name)
    return found


def test_the_fault_matrix_names_the_tests_of_every_row() -> None:
    text = section(read("reliability.md"), "The fault matrix")
    described = {
        int(number): set(re.findall(r"`(test_\w+)`", rest))
        for number, rest in re.findall(r"^\| (\d+) \|(.*)$", text, re.MULTILINE)
    }
    tests = tests_by_row()
    assert described == {number: tests.get(number, set()) for number in MATRIX_ROWS}
    assert {number for number, names in described.items() if not names} == NOT_TESTED


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def test_the_readme_names_every_file_of_the_examples() -> None:
    readme = (BASE_DIR / "README.md").read_text(encoding="utf-8")
    files = [path.name for path in (BASE_DIR / "examples").iterdir() if path.is_file()]
    assert [name for name in files if name not in readme] == []


def test_the_readme_shows_the_shortest_client_as_it_is() -> None:
    readme = (BASE_DIR / "README.md").read_text(encoding="utf-8")
    assert (BASE_DIR / "examples/shortest_client.py").read_text(encoding="utf-8") in readme
