"""JSON schemas of messages as components of an AsyncAPI document. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel

Schema = dict[str, Any]
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


class Schemas:
    """Gathers the schemas of a channel's messages. prefix: before each name, since channels have names in common."""

    def __init__(self, prefix: str, found: dict[str, Schema]) -> None:
        self._prefix = prefix
        self._found = found

    def add(self, model: type[BaseModel], *, mode: Literal["validation", "serialization"]) -> str:
        """Add a model and all that it refers to. Returns the reference to it."""
        template = f"#/components/schemas/{self._prefix}{{model}}"
        schema = model.model_json_schema(mode=mode, ref_template=template)
        for name, part in schema.pop("$defs", {}).items():
            self._found[self._prefix + name] = plain(part)
        for tag in ("type", "event"):
            if "const" in schema["properties"].get(tag, {}):
                # It has a default where the message is made, and always comes.
                schema["required"] = [tag, *(name for name in schema.get("required", ()) if name != tag)]
        self._found[self._prefix + model.__name__] = plain(schema)
        return f"#/components/schemas/{self._prefix}{model.__name__}"


def plain(value: Any) -> Any:
    """Without titles, which repeat the names, and without links, which lead nowhere from there."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if not (key == "title" and isinstance(one, str))}
        return {key: without_links(one) if _is_text(key, one) else plain(one) for key, one in kept.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def without_links(text: str) -> str:
    return LINK.sub(r"\1", text)


def _is_text(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)
