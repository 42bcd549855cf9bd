"""JSON from strangers: an object, or BadMessage and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.errors import BadMessage
from transcription.options import has_unstorable
from transcription.safe_json import MAX_DEPTH, MAX_KEYS, parse_object

DEEP = 10_000
BAD = {
    "nothing": "",
    "no JSON": "hello",
    "base64": "UklGRiQAAABXQVZF",
    "half an object": '{"type": "stop',
    "two objects": "{}{}",
    "a byte order mark": "\ufeff{}",
    "a list": "[]",
    "a string": '"start"',
    "a number": "1",
    "null": "null",
    "NaN": '{"a": NaN}',
    "infinity": '{"a": Infinity}',
    "negative infinity": '{"a": [-Infinity]}',
    "an overflowing float": '{"a": 1e999}',
    "a nested overflowing float": '{"a": [{"b": -1e999}]}',
    "a huge integer": '{"a": ' + "9" * 5000 + "}",
    "a key given twice": '{"a": 1, "a": 2}',
    "a nested key given twice": '{"a": {"b": 1, "b": 1}}',
    "deep lists": '{"a": ' + "[" * DEEP + "]" * DEEP + "}",
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "deep and broken": '{"a": ' + "[" * DEEP,
    "one level too deep": '{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}",
    "too many keys": json.dumps({str(number): 1 for number in range(MAX_KEYS + 1)}),
    "NUL in a text": '{"a": "b\\u0000"}',
    "NUL in a key": '{"a\\u0000": "b"}',
    "a raw NUL": '{"a": "\x00"}',
    "a lone surrogate": '{"a": "\\ud800"}',
    "a lone low surrogate in a list": '{"a": ["\\udc00"]}',
    "a raw lone surrogate": '{"a": "\ud800"}',
    "a control character": '{"a": "\n"}',
    "a comment": '{"a": 1} // one',
    "single quotes": "{'a': 1}",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_it_refuses(text: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_object(text)

    assert caught.value.code == 4400
    assert caught.value.reason == "bad_json"
    assert len(caught.value.message) < 300
    caught.value.message.encode()


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"type": "keepalive"}\n',
        '{"a": {"b": [1, 2.5, -3, true, null, "\\u00e4 \\ud83d\\ude00"]}}',
        '{"a": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}",
        json.dumps({str(number): 1 for number in range(MAX_KEYS)}),
    ],
)
def test_it_takes(text: str) -> None:
    assert parse_object(text) == json.loads(text)


def is_clean(value: Any) -> bool:
    if isinstance(value, str):
        return not has_unstorable(value)
    if isinstance(value, dict):
        return all(is_clean(item) for pair in value.items() for item in pair)
    return all(map(is_clean, value)) if isinstance(value, list) else True


def only_objects_or_bad_messages(text: str) -> None:
    try:
        value = parse_object(text)
    except BadMessage as error:
        error.message.encode()
        return
    assert isinstance(value, dict)
    assert is_clean(value)
    json.dumps(value, allow_nan=False).encode()


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_an_object_or_a_bad_message(text: str) -> None:
    only_objects_or_bad_messages(text)


@given(st.text('{}[]",:0123456789.eE-+ntf\\uaDd8\x00\ud800 ', max_size=60))
def test_anything_that_looks_like_json_is_an_object_or_a_bad_message(text: str) -> None:
    only_objects_or_bad_messages('{"a":' + text + "}")


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=10))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(), max_size=5), values, max_size=5), st.booleans())
def test_any_value_is_taken_as_it_is_or_refused(value: dict[str, Any], ensure_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    only_objects_or_bad_messages(text)
