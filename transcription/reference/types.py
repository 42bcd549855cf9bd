"""What a JSON schema says of a value, in words. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

UNITS = {"_ms": "ms", "_bytes": "bytes", "_hertz": "Hz"}
SCALARS = ("integer", "number", "boolean")
# Of the fields of a list's items, where they are named beside it.
MAX_NAMES = 2


def type_in_words(name: str, schema: Schema, definitions: Schema) -> str:
    """Such as `integer ≥ 0 or null, ms`. name: of the field, whose end may name the unit."""
    unit: str | None = _find(schema, "x-unit") or next(
        (unit for end, unit in UNITS.items() if name.endswith(end)), None
    )
    words = _words(schema, definitions)
    return f"{words}, {unit}" if unit else words


def resolved(schema: Schema, definitions: Schema) -> Schema:
    """The schema itself in place of a reference."""
    reference = schema.get("$ref")
    found: Schema = definitions[reference.rsplit("/", 1)[1]] if reference else schema
    return found


def _words(schema: Schema, definitions: Schema) -> str:
    """Without the unit."""
    schema = {**resolved(schema, definitions), **{key: value for key, value in schema.items() if key != "$ref"}}
    if "anyOf" in schema:
        outer = {key: schema[key] for key in ("minimum", "maximum") if key in schema}
        return " or ".join(_words(outer | one, definitions) for one in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any value"))
    if kind in ("integer", "number"):
        return kind + _range(schema.get("minimum"), schema.get("maximum"))
    if kind == "string":
        if schema.get("format") == "date-time":
            return "moment"
        return kind + (f", up to {schema['maxLength']} characters" if "maxLength" in schema else "")
    if kind == "array":
        return f"list of {_count(schema, 'minItems', 'maxItems')}{_item(schema.get('items', {}), definitions)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        value = schema["additionalProperties"]
        return f"object, {_count(schema, 'minProperties', 'maxProperties')}pairs of {_item(value, definitions)}"
    return str(kind)


def _item(schema: Schema, definitions: Schema) -> str:
    """Of a list or a map, in the plural."""
    item = resolved(schema, definitions)
    if item.get("type") == "object" and "properties" in item:
        names = [f"`{name}`" for name in item["properties"]]
        return "{" + ", ".join(names) + "}" if len(names) <= MAX_NAMES else "objects"
    kind, _comma, bounds = _words(schema, definitions).partition(",")
    return f"{kind}s{bounds}" if kind in ("string", *SCALARS) else kind + bounds


def _range(low: float | None, high: float | None) -> str:
    low_text, high_text = (None if bound is None else _number(bound) for bound in (low, high))
    if low_text is not None and high_text is not None:
        joint = " to " if low is not None and low < 0 else "–"  # noqa: RUF001
        return f", {low_text}{joint}{high_text}"
    if low_text is not None:
        return f" ≥ {low_text}"
    return f" ≤ {high_text}" if high_text is not None else ""


def _number(bound: float) -> str:
    text = str(int(bound)) if bound == int(bound) else str(bound)
    return text.replace("-", "−")  # noqa: RUF001 - the sign as it is set in the text


def _count(schema: Schema, low: str, high: str) -> str:
    if low in schema and high in schema:
        return f"{schema[low]}–{schema[high]} "  # noqa: RUF001
    return f"up to {schema[high]} " if high in schema else ""


def _find(schema: Any, key: str) -> str | None:
    """The first value of a key, at any depth."""
    if isinstance(schema, dict):
        if isinstance(schema.get(key), str):
            return str(schema[key])
        schema = list(schema.values())
    if isinstance(schema, list):
        return next((found for one in schema if (found := _find(one, key))), None)
    return None
