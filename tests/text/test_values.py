from __future__ import annotations

import pytest
from hypothesis import given, settings
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.values import decode, read_key_value, render_value
from tests.support.otlp_samples import Value, any_value, field, key_value, messages

NO_SECRETS = Secrets((), by_look=False)


def rendered(value: Value) -> str:
    return render_value(any_value(value).SerializeToString(), NO_SECRETS)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("connection timeout", "connection timeout"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (500, "500"),
        (-(2**63), "-9223372036854775808"),
        (0.25, "0.25"),
        (1 / 3, "0.333333"),
        (100.0, "100"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"\x00\xff", "<2 bytes>"),
        ([], "[]"),
        (["a", 1, None, [True]], "[a, 1, null, [true]]"),
        ({}, "{}"),
        ({"b": 1, "a": {"c": "d"}}, "{a={c=d}, b=1}"),
        (None, "null"),
    ],
)
def test_every_kind_of_value_has_words(value: Value, words: str) -> None:
    assert rendered(value) == words


def test_a_kind_of_a_later_version_is_null() -> None:
    assert render_value(field(1000, b"?"), NO_SECRETS) == "null"


def test_a_string_goes_on_one_line() -> None:
    assert rendered(" first\nsecond\r\n\tthird\u2028 fourth ") == "first second third fourth"


def test_what_is_not_utf_8_becomes_a_replacement_character() -> None:
    assert decode(b"K\xf6ln am Rhein", str) == "K\N{REPLACEMENT CHARACTER}ln am Rhein"


def test_a_character_cut_in_two_does_no_harm() -> None:
    assert decode(("x" + "€" * 2_000).encode(), str).startswith("x€€€")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000_000,
        ["x" * 10_000] * 1_000,
        {"x" * 10_000: "y" * 10_000},
        {f"key {number}": number for number in range(10_000)},
        [["x" * 500] * 100] * 100,
    ],
    ids=["string", "array", "long key", "many keys", "nested"],
)
def test_words_stay_short_however_large_the_value(value: Value) -> None:
    assert len(rendered(value)) < 5_000


@pytest.mark.parametrize("kind", ["array", "key-values"])
def test_a_value_nested_a_thousand_deep_is_cut(kind: str) -> None:
    # Built by hand, for the official messages stop at a hundred.
    encoded = any_value("deep").SerializeToString()
    for _ in range(1_000):
        inner = field(2, encoded) if kind == "key-values" else encoded
        number = 6 if kind == "key-values" else 5
        encoded = field(number, field(1, inner))

    assert (
        render_value(encoded, NO_SECRETS)
        == {"array": "[[[[[...]]]]]", "key-values": "{={={={={...}}}}}"}[kind]
    )


def test_a_key_is_read_with_its_value_still_encoded() -> None:
    key, value = read_key_value(key_value("http.status_code", 500).SerializeToString(), NO_SECRETS)

    assert key == "http.status_code"
    assert AnyValue.FromString(value) == any_value(500)


def test_a_key_value_of_nothing_is_read_too() -> None:
    assert read_key_value(KeyValue().SerializeToString(), NO_SECRETS) == ("", b"")


@settings(deadline=None)
@given(messages(AnyValue, depth=5, unknown=True))
def test_any_value_renders_on_one_line_and_always_the_same(value: AnyValue) -> None:
    encoded = value.SerializeToString()

    assert len(render_value(encoded, NO_SECRETS).splitlines()) <= 1
    assert render_value(encoded, NO_SECRETS) == render_value(encoded, NO_SECRETS)
