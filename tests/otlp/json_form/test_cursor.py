from __future__ import annotations

import json
from json import JSONDecodeError
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.otlp.json_form.cursor import JsonCursor

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=10,
)
INDENTS = st.sampled_from([None, 0, 2, "\t", " \r\n "])


def members(text: str) -> dict[str, object]:
    cursor = JsonCursor(text)
    found = {key: cursor.value() for key in cursor.members()}
    cursor.finish()
    return found


def elements(text: str) -> list[object]:
    cursor = JsonCursor(text)
    found = [cursor.value() for _ in cursor.elements()]
    cursor.finish()
    return found


@given(st.dictionaries(TEXTS, VALUES, max_size=4), INDENTS)
def test_an_object_is_moved_over_key_by_key(
    value: dict[str, object], indent: int | str | None
) -> None:
    assert members(f" {json.dumps(value, indent=indent)}\n") == value


@given(st.lists(VALUES, max_size=4), INDENTS)
def test_an_array_is_moved_over_element_by_element(
    value: list[object], indent: int | str | None
) -> None:
    assert elements(f"{json.dumps(value, indent=indent)}\n") == value


def test_null_is_an_array_of_nothing() -> None:
    assert elements("null ") == []


def test_it_is_told_where_a_value_stands() -> None:
    cursor = JsonCursor('{"a": [1, 2] , "b":{} }')
    texts = {}
    for key in cursor.members():
        start = cursor.position
        cursor.value()
        texts[key] = cursor.text[start : cursor.position]

    assert texts == {"a": "[1, 2]", "b": "{}"}


def test_it_stops_straight_behind_a_bracket() -> None:
    cursor = JsonCursor('{"a": [1 ]  }  ')
    for _ in cursor.members():
        for _ in cursor.elements():
            cursor.value()
        assert cursor.text[cursor.position - 1] == "]"

    assert cursor.text[cursor.position - 1] == "}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting an object"),
        ("[]", "Expecting an object"),
        ("null", "Expecting an object"),
        ("{", "Expecting value"),
        ("{1: 2}", "Expecting a string for a key"),
        ("{a: 2}", "Expecting value"),
        ('{"a" 2}', "Expecting ':'"),
        ('{"a": }', "Expecting value"),
        ('{"a": 2', "Expecting ',' or '}'"),
        ('{"a": 2]', "Expecting ',' or '}'"),
        ('{"a": 2,}', "Expecting value"),
        ('{"a": "\n"}', "Invalid control character"),
        ("{} {}", "Extra data"),
    ],
)
def test_what_is_no_object_is_complained_of(text: str, complaint: str) -> None:
    with pytest.raises(JSONDecodeError, match=complaint):
        members(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting an array"),
        ("{}", "Expecting an array"),
        ("[", "Expecting value"),
        ("[1", "Expecting ',' or ']'"),
        ("[1}", "Expecting ',' or ']'"),
        ("[1,]", "Expecting value"),
        ("[]]", "Extra data"),
    ],
)
def test_what_is_no_array_is_complained_of(text: str, complaint: str) -> None:
    with pytest.raises(JSONDecodeError, match=complaint):
        elements(text)


@pytest.mark.parametrize("read", [members, elements])
@given(text=st.text('{}[],:"a1\\ \nnul', max_size=12))
def test_it_takes_what_python_takes(read: Callable[[str], object], text: str) -> None:
    kind = dict if read is members else list
    try:
        value = json.loads(text)
        expected = isinstance(value, kind) or (value is None and kind is list)
    except JSONDecodeError:
        expected = False
    try:
        read(text)
        is_taken = True
    except JSONDecodeError:
        is_taken = False

    # An element stands where the array does: there is no space before it.
    assert is_taken == expected or (text != text.lstrip() and not is_taken)
