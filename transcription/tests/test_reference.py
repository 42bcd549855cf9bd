"""Tables of messages and close codes: they are as the models are, and name what the code says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pydantic import BaseModel, Field

from speechsite.config import BASE_DIR
from transcription import errors
from transcription.reference.close_codes import NATIVE_CLOSES, SUBSCRIPTION_CLOSES
from transcription.reference.tables import NATIVE_CLIENT, NATIVE_SERVER, SUBSCRIPTION, build_tables, rewritten, stale
from transcription.reference.types import type_in_words

DOCS = BASE_DIR / "docs"
HTTP_ONLY = {("NotAllowed", "csrf")}
SOCKET_FILES = (
    "console/viewer_sockets", "consumers", "dialects/native", "engine/acks", "engine/end", "engine/intake",
    "engine/listener", "engine/live", "engine/outbox", "engine/recogniser_watch", "engine/replay",
    "engine/resuming", "identity/auth", "identity/guesses", "identity/keys", "identity/tokens", "inbox",
    "limits/admission", "limits/connection_limits", "limits/waiting_connections", "process", "riva/errors",
    "safe_json", "storage/holding", "storage/store", "storage/takeover", "subscriptions/consumer",
    "subscriptions/options", "subscriptions/places",
)  # fmt: skip


def test_the_tables_are_as_the_models_are() -> None:
    """`manage.py write_reference` makes them so."""
    assert sorted(path.name for path in stale(DOCS)) == []


def test_every_message_has_its_table_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    assert [name for name in build_tables() if f"<!-- generated: {name} -->" not in text] == []


@pytest.mark.parametrize("model", [*NATIVE_CLIENT, *NATIVE_SERVER, *SUBSCRIPTION], ids=lambda model: model.__name__)
def test_every_message_says_what_it_and_its_fields_mean(model: type[BaseModel]) -> None:
    assert model.__doc__
    tags = {"type", "event"}
    assert [name for name, field in model.model_fields.items() if not field.description and name not in tags] == []


def test_a_table_that_is_out_of_date_is_found_and_mended(tmp_path: Path) -> None:
    document = tmp_path / "some.md"
    document.write_text(
        "before\n<!-- generated: native.finalize -->\nold\n<!-- end of what is generated -->\nafter\n", encoding="utf-8"
    )
    [(path, fresh)] = stale(tmp_path).items()
    assert path == document
    assert fresh.startswith("before\n<!-- generated: native.finalize -->\n\n| field |")
    assert fresh.endswith("|\n\n<!-- end of what is generated -->\nafter\n")
    assert "old" not in fresh
    assert rewritten(fresh, build_tables()) == fresh


def test_the_command_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("write_reference", "--check")
    assert "all are as the models are" in capsys.readouterr().out


def test_a_block_that_no_model_is_for_is_an_error() -> None:
    with pytest.raises((KeyError, CommandError)):
        rewritten("<!-- generated: nothing -->\n<!-- end of what is generated -->\n", build_tables())


class Sample(BaseModel):
    plain: int
    wait_ms: int | None = Field(json_schema_extra={"minimum": 0})
    share: float = Field(ge=0, le=1)
    boost: float = Field(ge=-100, le=100.5)
    names: list[str] = Field(min_length=1, max_length=3)
    pairs: dict[str, str] = Field(max_length=2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain", "integer"),
        ("wait_ms", "integer ≥ 0 or null, ms"),
        ("share", "number, 0–1"),  # noqa: RUF001
        ("boost", "number, −100 to 100.5"),  # noqa: RUF001
        ("names", "list of 1–3 strings"),  # noqa: RUF001
        ("pairs", "object, up to 2 pairs of strings"),
    ],
)
def test_types_are_told_in_words(name: str, words: str) -> None:
    assert type_in_words(name, Sample.model_json_schema()["properties"][name], {}) == words


def test_every_error_of_a_socket_has_its_close_code() -> None:
    classes = {value for value in vars(errors).values() if isinstance(value, type) and _is_error(value)}
    assert {close.error for close in NATIVE_CLOSES} - {None} == classes - {errors.NotFound}
    assert all(close.code == close.error.code for close in (*NATIVE_CLOSES, *SUBSCRIPTION_CLOSES) if close.error)


def _is_error(value: type) -> bool:
    return issubclass(value, errors.TranscriptionError) and value is not errors.TranscriptionError


def reasons_in(path: Path) -> set[tuple[str, str]]:
    """(error, reason) of each call such as BadMessage("…", reason="bad_field") in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in vars(errors):
            found |= {(node.func.id, reason) for keyword in node.keywords for reason in _words(keyword)}
    return found


def _words(keyword: ast.keyword) -> list[Any]:
    is_word = keyword.arg == "reason" and isinstance(keyword.value, ast.Constant)
    return [keyword.value.value] if is_word and isinstance(keyword.value, ast.Constant) else []


def test_every_reason_that_a_socket_gives_is_in_the_tables() -> None:
    known = {
        (close.error.__name__, reason)
        for close in (*NATIVE_CLOSES, *SUBSCRIPTION_CLOSES)
        if close.error
        for reason in close.reasons
    }
    given = {pair for name in SOCKET_FILES for pair in reasons_in(BASE_DIR / "transcription" / f"{name}.py")}
    assert sorted(given - known - HTTP_ONLY) == []
