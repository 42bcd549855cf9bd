"""The HTTP API as clients know it: names and types, a line for each. What stands in the stored file stays.

`python -m transcription.tests.api_contract` adds to it what is new.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "golden" / "api_contract.json"
REQUIRED_MARK = " required"


def read_contract(document: dict[str, Any]) -> dict[str, str]:
    """`{place: type}` of all that clients send and get, in order. References are followed: their names may change."""
    lines: dict[str, str] = {}
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method.upper()} {path}"
            lines[where] = operation["operationId"]
            for parameter in operation.get("parameters", ()):
                place = f"{where} {parameter['in']} {parameter['name']}"
                lines[place] = _type(parameter["schema"], schemas) + _mark(parameter.get("required", False))
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                lines |= _fields(f"{where} body {kind}", body["schema"], schemas, seen=())
            for status, response in operation["responses"].items():
                is_error = int(status) >= 400
                lines[f"{where} {status}"] = "an error" if is_error else ""
                for kind, content in response.get("content", {}).items():
                    place = "an error" if is_error else f"{where} {status} {kind}"
                    lines |= _fields(place, content["schema"], schemas, seen=())
    return dict(sorted(lines.items()))


def breaks(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What a client that knows the old one would stumble over; nothing if it may go on as it is."""
    found = [f"{place} is gone" for place in old if place not in new]
    for place, kind in old.items():
        if not _still(kind, new.get(place, kind)):
            found.append(f"{place} was {kind} and is {new[place]}")
    for place, kind in new.items():
        if place not in old and kind.endswith(REQUIRED_MARK) and _owner(place) in old:
            found.append(f"{place} is new and required")
    return found


def _owner(place: str) -> str:
    """What a value that clients send is part of; of one that is new itself all parts may be required."""
    for where in (" query ", " header ", " cookie "):
        if where in place:
            return place.partition(where)[0]
    return place.rpartition(".")[0] if " body " in place else ""


def _still(old: str, new: str) -> bool:
    """Whether a type is what it was, values of a list that came since left aside."""
    return old == new or (old.startswith("(") and new.startswith("(") and set(_values(old)) <= set(_values(new)))


def _values(kind: str) -> list[str]:
    return kind.strip("()").split("|")


def _mark(is_required: bool) -> str:
    return REQUIRED_MARK if is_required else ""


def _type(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    schema = _resolved(schema, schemas)
    if "anyOf" in schema:
        return " or ".join(sorted(_type(kind, schemas) for kind in schema["anyOf"]))
    if "const" in schema:
        return f"({schema['const']})"
    if "enum" in schema:
        return f"({'|'.join(map(str, schema['enum']))})"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), schemas)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'], schemas)}"
    kind = str(schema.get("type", "anything"))
    return f"{kind} {schema['format']}" if "format" in schema else kind


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _fields(
    place: str, schema: dict[str, Any], schemas: dict[str, Any], *, seen: tuple[str, ...], mark: str = ""
) -> dict[str, str]:
    """A schema and, for an object or a list of them, all that is in it."""
    lines = {place: _type(schema, schemas) + mark}
    for name, part in _parts(schema, schemas):
        if name in seen:
            continue
        for field, inner in part.get("properties", {}).items():
            required = _mark(field in part.get("required", ()))
            lines |= _fields(f"{place}.{field}", inner, schemas, seen=(*seen, name), mark=required)
    return lines


def _parts(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects that a schema may stand for, through references, lists and alternatives, with a name of each."""
    name = schema.get("$ref", str(id(schema)))
    schema = _resolved(schema, schemas)
    for kind in schema.get("anyOf", ()):
        yield from _parts(kind, schemas)
    if schema.get("type") == "array":
        yield from _parts(schema.get("items", {}), schemas)
    if "properties" in schema:
        yield name, schema


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "speechsite.settings")
    import django

    django.setup()
    from transcription.rest.api import api

    old = json.loads(FILE.read_text()) if FILE.exists() else {}
    new = read_contract(json.loads(json.dumps(api.get_openapi_schema())))
    if problems := breaks(old, new):
        sys.exit("\n".join(problems))
    FILE.write_text(json.dumps(dict(sorted((old | new).items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
