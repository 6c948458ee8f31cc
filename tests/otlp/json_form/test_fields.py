from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_embedder.errors import FieldError
from otel_embedder.otlp.json_form.fields import message_fields, shown, utf8
from tests.support.otlp_samples import SPAN_ID, TRACE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

START = 1_764_150_000_000_000_000


def encoded(kind: type[Span], fields: Mapping[str, object]) -> Span:
    return kind.FromString(message_fields(kind.DESCRIPTOR).encode(fields))


def span(**fields: object) -> Span:
    return encoded(Span, fields)


@pytest.mark.parametrize(
    "trace_id",
    [
        *(TRACE_ID.hex(), TRACE_ID.hex().upper(), f"0x{TRACE_ID.hex()}"),
        *("W47/95gDgQPSabYzgT/GDA==", "W47_95gDgQPSabYzgT_GDA=="),
    ],
)
@pytest.mark.parametrize("key", ["traceId", "trace_id", "TraceId", "traceID"])
def test_an_id_is_read_however_it_is_spelt(key: str, trace_id: str) -> None:
    assert span(**{key: trace_id}) == Span(trace_id=TRACE_ID)


def test_a_short_id_in_base64_is_read() -> None:
    assert span(spanId="7uGbfsPBsXQ=") == Span(span_id=SPAN_ID)


@pytest.mark.parametrize(
    "code", [2, "2", 2.0, "STATUS_CODE_ERROR", "status_code_error", "ERROR", "Error", "x.ERROR"]
)
def test_a_word_of_an_enum_is_read_in_any_case(code: object) -> None:
    assert span(status={"code": code}) == Span(status=Status(code=Status.STATUS_CODE_ERROR))


@pytest.mark.parametrize("kind", ["SERVER", "SpanKind.SERVER", "span_kind_server", 2])
def test_a_kind_is_read_in_any_case(kind: object) -> None:
    assert span(kind=kind) == Span(kind=Span.SPAN_KIND_SERVER)


@pytest.mark.parametrize(
    "start",
    [
        *(START, str(START), float(START), f"{START}.0"),
        {"low": START & 0xFFFFFFFF, "high": START >> 32, "unsigned": True},
        {"low": (START & 0xFFFFFFFF) - 2**32, "high": START >> 32},
    ],
    ids=["number", "text", "double", "text of a double", "halves", "signed halves"],
)
def test_a_time_is_read_however_it_is_spelt(start: object) -> None:
    assert span(startTimeUnixNano=start) == Span(start_time_unix_nano=START)


def test_former_names_are_read() -> None:
    scope = encoded(ScopeSpans, {"instrumentationLibrary": {"name": "shop"}})  # type: ignore[arg-type]

    assert scope.scope.name == "shop"  # type: ignore[attr-defined]


def test_null_and_fields_of_a_later_version_are_passed_over() -> None:
    assert span(name=None, later={"a": 1}, status={"later": 1}) == Span(status=Status())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"traceId": "xyz"}, 'traceId is "xyz", not 32 hex digits'),
        ({"spanId": 5}, "spanId is 5, not 16 hex digits"),
        ({"startTimeUnixNano": "soon"}, 'startTimeUnixNano is "soon", not a whole number'),
        ({"startTimeUnixNano": -1}, "startTimeUnixNano is -1, beyond 64 bits"),
        ({"flags": 2**32}, "flags is 4294967296, beyond 32 bits"),
        ({"kind": True}, "kind is true, not one of SPAN_KIND_UNSPECIFIED, "),
        ({"name": ["a"]}, "name is a list, not a string"),
        ({"status": "ERROR"}, 'status is "ERROR", not an object'),
        ({"status": {"code": "BAD"}}, 'status.code is "BAD", not one of STATUS_CODE_UNSET, '),
        ({"links": [3]}, "links[0] is 3, not an object"),
        ({"links": [{}, {"traceId": "zz"}]}, 'links[1].traceId is "zz", not 32 hex'),
        ({"events": {}}, "events is an object, not a list"),
        ({"events": [None]}, "events[0] is null, not an object"),
        ({"attributes": {"a": "b"}}, "attributes is an object, not a list"),
        ({"traceId": "", "trace_id": ""}, 'trace_id is the same field as "traceId"'),
    ],
    ids=range(15),
)
def test_a_field_that_holds_what_it_cannot_is_named(fields: dict[str, object], words: str) -> None:
    with pytest.raises(FieldError) as refusal:
        span(**fields)

    assert str(refusal.value).startswith(words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", '.value is "x", not an object such as {"stringValue": "x"}'),
        (True, '.value is true, not an object such as {"boolValue": true}'),
        (5, '.value is 5, not an object such as {"doubleValue": 5}'),
        ({"intValue": 2**64}, f".value.intValue is {2**64}, beyond 64 bits"),
        ({"intValue": "1.5"}, '.value.intValue is "1.5", not a whole number'),
        ({"doubleValue": "x"}, '.value.doubleValue is "x", not a number'),
        ({"doubleValue": float("nan")}, ".value.doubleValue is nan, not a number"),
        ({"boolValue": 1}, ".value.boolValue is 1, not true or false"),
        ({"bytesValue": "?"}, '.value.bytesValue is "?", not base64'),
        ({"string": "x"}, '.value has only "string", and none of arrayValue or '),
        ({"stringValue": "x", "intValue": 1}, ".value has 2 of "),
        (
            {"arrayValue": {"values": [{"stringValue": 5}]}},
            ".value.arrayValue.values[0].stringValue is 5, not a string",
        ),
    ],
    ids=range(12),
)
def test_a_value_that_would_be_dropped_is_named_by_its_key(value: object, words: str) -> None:
    with pytest.raises(FieldError) as refusal:
        span(attributes=[{"key": "a"}, {"key": "rows.seen", "value": value}])

    assert str(refusal.value).startswith(f'attributes["rows.seen"]{words}')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"string_value": ""}, AnyValue(string_value="")),
        ({"boolValue": "TRUE"}, AnyValue(bool_value=True)),
        ({"intValue": -1}, AnyValue(int_value=-1)),
        ({"intValue": "-9223372036854775808"}, AnyValue(int_value=-(2**63))),
        ({"doubleValue": "-Infinity"}, AnyValue(double_value=float("-inf"))),
        ({"bytesValue": "_-8"}, AnyValue(bytes_value=b"\xff\xef")),
        ({"stringValue": None}, AnyValue()),
        ({}, AnyValue()),
    ],
    ids=range(8),
)
def test_a_value_is_read_however_it_is_spelt(value: object, expected: AnyValue) -> None:
    assert span(attributes=[{"key": "a", "value": value}]) == Span(
        attributes=[KeyValue(key="a", value=expected)]
    )


def test_values_may_be_nested_deep() -> None:
    value: dict[str, object] = {"stringValue": "x"}
    for _ in range(100):
        value = {"arrayValue": {"values": [value]}}

    assert message_fields(AnyValue.DESCRIPTOR).encode(value).count(b"\x0a\x01x") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ü", "ü".encode()),
        ("cut \ud83d", "cut \ufffd".encode()),
        (b"shop\xe9 \xff".decode(errors="surrogateescape"), b"shop\xe9 \xff"),
    ],
    ids=["UTF-8", "half a pair", "other bytes"],
)
def test_a_string_keeps_the_bytes_that_it_came_with(text: str, expected: bytes) -> None:
    assert utf8(text) == expected


def test_a_long_value_is_shown_in_part() -> None:
    assert shown("x" * 100) == f'"{"x" * 40}..."'
    assert shown("\x1b[2J") == '"\\x1b[2J"'


def test_every_message_on_the_way_to_a_span_is_known() -> None:
    for kind in (ResourceSpans, ScopeSpans, Span):
        assert message_fields(kind.DESCRIPTOR).encode({}) == b""
