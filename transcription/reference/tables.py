"""The tables of messages and close codes in the documents, made from the models. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from transcription.dialects import native_messages as native
from transcription.options import Diarization, Endpointing, SpeechContext, TranscriptionConfig
from transcription.reference.close_codes import NATIVE_CLOSES, SUBSCRIPTION_CLOSES, CloseCode
from transcription.reference.types import type_in_words
from transcription.subscriptions import messages as subscriptions
from transcription.subscriptions.options import SubscriptionOptions

BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w.-]+) -->\n).*?(<!-- end of what is generated -->\n)", re.DOTALL)

NATIVE_CLIENT = get_args(get_args(native.ClientMessage)[0])
NATIVE_SERVER = get_args(get_args(native.ServerMessage)[0])
SUBSCRIPTION = get_args(get_args(subscriptions.SubscriptionMessage)[0])


def rewritten(text: str, tables: dict[str, str]) -> str:
    """A document with each block replaced by the table of its name. Raises KeyError for a name that has none."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{tables[found['name']]}\n{found[3]}", text)


def stale(folder: Path) -> dict[Path, str]:
    """The documents of a folder that are not as the models are, with the text they should have."""
    found = {}
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        fresh = rewritten(text, build_tables())
        if fresh != text:
            found[path] = fresh
    return found


def build_tables() -> dict[str, str]:
    """Every table by its name."""
    with_defaults: dict[str, type[BaseModel]] = {
        **{f"native.{tag_of(model)}": model for model in NATIVE_CLIENT},
        "native.config": TranscriptionConfig,
        "native.speech_context": SpeechContext,
        "native.diarization": Diarization,
        "native.endpointing": Endpointing,
        "subscription.query": SubscriptionOptions,
    }
    told: dict[str, type[BaseModel]] = {
        **{f"native.{tag_of(model)}": model for model in NATIVE_SERVER},
        "native.word": native.WordItem,
        "native.alternative": native.AlternativeItem,
        **{f"subscription.{tag_of(model)}": model for model in SUBSCRIPTION},
        "subscription.segment_item": subscriptions.SegmentItem,
    }
    return {
        **{name: _asked(model) for name, model in with_defaults.items()},
        **{name: _told(model) for name, model in told.items()},
        "native.close_codes": _closes(NATIVE_CLOSES),
        "subscription.close_codes": _closes(SUBSCRIPTION_CLOSES),
    }


def tag_of(model: type[BaseModel]) -> str:
    """What a message calls itself."""
    field = model.model_fields.get("type") or model.model_fields["event"]
    return str(get_args(field.annotation)[0])


def _asked(model: type[BaseModel]) -> str:
    return _table(("field", "type, bounds", "default", "meaning"), _rows(model, _default))


def _told(model: type[BaseModel]) -> str:
    return _table(("field", "type", "meaning"), _rows(model))


def _rows(model: type[BaseModel], *columns: Callable[[FieldInfo], str]) -> Iterable[tuple[str, ...]]:
    schema = model.model_json_schema(mode="validation" if columns else "serialization")
    definitions = schema.get("$defs", {})
    for name, value in schema["properties"].items():
        field = model.model_fields[name]
        words = type_in_words(name, value, definitions)
        meaning = field.description or ""
        if _is_tag(name, field):
            words, meaning = "string", words
        yield f"`{name}`", words, *(column(field) for column in columns), meaning


def _is_tag(name: str, field: FieldInfo) -> bool:
    return name in ("type", "event") and getattr(field.annotation, "__origin__", None) is Literal


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value: Any = field.get_default()
    plain = value.model_dump() if isinstance(value, BaseModel) else value
    if isinstance(plain, dict) and plain and not any(item is not None for item in plain.values()):
        return "all null"
    return f"`{json.dumps(plain)}`"


def _closes(closes: Iterable[CloseCode]) -> str:
    rows = (
        (
            str(close.code),
            f"`{close.error.__name__}`" if close.error else "",
            ", ".join(f"`{reason}`" for reason in close.reasons),
            close.when,
            close.then,
        )
        for close in closes
    )
    return _table(("code", "error", "reasons", "when", "retryable"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    text = [re.sub(r"(?<=\|)  (?=\|)", " ", line) for line in text]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]]) + "\n"
