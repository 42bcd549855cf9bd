"""JSON from strangers. Python's parser takes NaN, endless nesting and duplicate keys; this one does not."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from transcription.errors import BadMessage
from transcription.options import has_unstorable

MAX_DEPTH = 8
MAX_KEYS = 64


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object. The caller has checked its size.

    Raises BadMessage for anything else: broken JSON, NaN and infinities, numbers that are too long, more than
    MAX_DEPTH levels or MAX_KEYS keys, a key given twice, NUL or lone surrogates.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise BadMessage("The message is nested too deeply.", reason="bad_json") from None
    except ValueError as error:
        raise BadMessage(f"The message is not JSON: {error}", reason="bad_json") from None
    if not isinstance(value, dict):
        raise BadMessage("A message must be a JSON object.", reason="bad_json")
    _check(value, 1)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice")
    if len(value) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise BadMessage("A number is too large.", reason="bad_json")
    if isinstance(value, str) and has_unstorable(value):
        raise BadMessage("A text contains NUL or a lone surrogate.", reason="bad_json")
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise BadMessage("The message is nested too deeply.", reason="bad_json")
        for item in (*value.keys(), *value.values()) if isinstance(value, dict) else value:
            _check(item, depth + 1)
