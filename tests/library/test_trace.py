from __future__ import annotations

import math
import uuid
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

from otel_embedder.annotation.names import Names
from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID
from otel_embedder.errors import MalformedTraceError
from otel_embedder.library.trace import (
    for_text,
    from_otlp,
    from_readable_span,
    to_otlp,
    trace_id_of,
)
from otel_embedder.library.values import decode_value, encode_value
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import NANOSECONDS, START, event, messages, resource, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_embedder.library.trace import Trace
    from tests.support.otlp_samples import Value


NAMES = Names.with_prefix("embedding.")


def text_of(trace: Mapping[str, object]) -> str:
    resource, span = for_text(trace, NAMES)
    return text_of_encoded(resource, span)


def text_of_encoded(resource: bytes, span: bytes) -> str:
    renderer = new_renderer(RenderOptions(profile="template"))
    return renderer.render(span, renderer.service(resource)).content


class Color(Enum):
    RED = 1


def test_a_dict_reads_as_the_span_that_it_describes(sample_trace_dict: Trace) -> None:
    attributes: Mapping[str, Value] = {
        "http.status_code": 500,
        "error.message": "connection timeout",
        "repo": "fastblocks",
    }
    as_otlp = span("process_repository", attributes, code=Status.STATUS_CODE_ERROR)

    assert text_of(sample_trace_dict) == text_of_encoded(
        resource().SerializeToString(), as_otlp.SerializeToString()
    )


def test_of_a_dict_without_anything_the_text_says_so() -> None:
    assert text_of({}) == "unknown_service unknown_operation UNSET in ?ms attributes:"


@pytest.mark.parametrize(
    ("fields", "operation"),
    [
        ({"name": "a", "operation": "b"}, "b"),
        ({"name": "a"}, "a"),
        ({"name": "a", "operation": ""}, "a"),
        ({"name": "a", "operation": ["b"]}, "a"),
        ({"operation": 42}, "42"),
        ({"operation": {"a": 1}}, "unknown_operation"),
        ({"operation": b"bytes"}, "unknown_operation"),
    ],
)
def test_the_operation_goes_before_the_name(fields: Mapping[str, object], operation: str) -> None:
    assert text_of(fields).split()[1] == operation


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ERROR", "ERROR"),
        ("error", "ERROR"),
        ("STATUS_CODE_ERROR", "ERROR"),
        (StatusCode.ERROR, "ERROR"),
        (2, "ERROR"),
        ("OK", "OK"),
        (1, "OK"),
        ("UNSET", "UNSET"),
        ("", "UNSET"),
        (0, "UNSET"),
        (None, "UNSET"),
        ({"code": 2}, "UNSET"),
        ("cancelled by user", "UNSET cancelled by user"),
        (17, "UNSET 17"),
    ],
)
def test_a_status_may_be_spelt_in_many_ways(status: object, words: str) -> None:
    assert text_of({"status": status}).startswith(f"unknown_service unknown_operation {words} in")


def test_what_the_program_said_stands_behind_the_status() -> None:
    trace = {"status": "ERROR", "status_message": "no route to host"}
    said_twice = {"status": "refused", "status_message": "no route to host"}

    assert " ERROR no route to host in " in text_of(trace)
    assert " UNSET refused no route to host in " in text_of(said_twice)


def test_an_exception_event_is_part_of_the_text() -> None:
    attributes = {"exception.type": "OSError", "exception.message": "disk full"}
    events = [{"name": "exception", "attributes": attributes, "time_unix_nano": START}, "no event"]

    assert " UNSET OSError disk full in " in text_of({"events": events})
    assert to_otlp({"events": events}).scope_spans[0].spans[0].events[0].time_unix_nano == START


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (2500.0, "2500ms"),
        (2500, "2500ms"),
        ("2500", "2500ms"),
        (np.float32(2500), "2500ms"),
        (0, "0ms"),
        (0.02, "0.025ms"),
        (1e300, "630000000ms"),
        *((wrong, "?ms") for wrong in (None, -1, math.nan, math.inf, True, "long", [1], 10**400)),
    ],
)
def test_a_duration_is_a_number_of_milliseconds(duration: object, words: str) -> None:
    assert text_of({"duration_ms": duration}).split()[4] == words


def test_a_duration_begins_when_the_trace_does() -> None:
    [scope] = to_otlp({"duration_ms": 1.5, "start_time_unix_nano": START}).scope_spans

    assert scope.spans[0].start_time_unix_nano == START
    assert scope.spans[0].end_time_unix_nano == START + 1_500_000


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "text"),
        (True, "true"),
        (np.bool_(False), "false"),
        (-3, "-3"),
        (np.int64(7), "7"),
        (2**64, "<id>"),
        (10**5000, "<id>"),
        (0.5, "0.5"),
        (np.float32(0.5), "0.5"),
        (math.nan, "nan"),
        (None, "null"),
        (b"abc", "<3 bytes>"),
        (bytearray(b"abc"), "<3 bytes>"),
        (memoryview(b"abc"), "<3 bytes>"),
        ([1, "a", None], "[1, a, null]"),
        ((1, 2), "[1, 2]"),
        (deque([1]), "[1]"),
        (np.array([1.5, 2]), "[1.5, 2]"),
        (range(10**12), f"[{', '.join(map(str, range(64)))}]"),
        ({"b": 1, "a": {"c": 2}}, "{a={c=2}, b=1}"),
        ({1: 2}, "{1=2}"),
        ({"b", "a", "c"}, "[a, b, c]"),
        ([[[[[[1]]]]]], "[[[[[...]]]]]"),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "<time>"),
        (uuid.UUID(int=5), "<uuid>"),
        (Color.RED, "Color.RED"),
        ("\ud800", "?"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_a_value_of_any_kind_can_be_read(value: object, words: str) -> None:
    assert text_of({"attributes": {"a": value}}).partition(" a=")[2] == words


@pytest.mark.parametrize("attributes", [None, 3, "text", ["a", 1], b""])
def test_attributes_that_are_no_mapping_are_none(attributes: object) -> None:
    assert text_of({"attributes": attributes}) == text_of({})


def test_a_key_of_any_kind_can_be_read() -> None:
    assert text_of({"attributes": {None: 1, ("a", 2): 3}}).endswith("('a', 2)=3 None=1")


def test_a_value_that_holds_itself_can_be_read() -> None:
    endless: list[object] = []
    endless.append(endless)

    assert text_of({"attributes": {"a": endless}}).endswith("a=[[[[[...]]]]]")


def test_a_value_too_deep_for_protobuf_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(MalformedTraceError, match="nested more than 32 deep"):
        to_otlp({"attributes": {"a": endless}})


def test_the_deepest_value_can_be_parsed() -> None:
    value: object = 1
    for _ in range(32):
        value = {"a": value}
    encoded = to_otlp({"attributes": {"a": value}}).SerializeToString()
    [made] = ResourceSpans.FromString(encoded).scope_spans[0].spans

    assert from_otlp(made)["attributes"] == {"a": value}


def test_whatever_objects_raise_is_one_error() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise ZeroDivisionError("a secret")

    with pytest.raises(MalformedTraceError) as raised:
        for_text({"name": Hostile()}, NAMES)
    assert str(raised.value) == "the trace can't be read: ZeroDivisionError"


@pytest.mark.parametrize(
    ("given_id", "trace_id"),
    [
        ("5B8EFFF798038103D269B633813FC60C", "5b8efff798038103d269b633813fc60c"),
        (bytes(range(16)), "000102030405060708090a0b0c0d0e0f"),
        ("Order 66", "Order 66"),
        *((nothing, UNKNOWN_TRACE_ID) for nothing in ("", b"", None, 5, ["a"])),
    ],
)
def test_a_trace_id_in_hex_is_that_of_otlp_and_any_other_text_is_itself(
    given_id: object, trace_id: str
) -> None:
    assert trace_id_of({"trace_id": given_id}) == trace_id


def test_ids_in_otlp_are_bytes() -> None:
    made = to_otlp({"trace_id": "00" * 15 + "Ff", "span_id": b"12345678"}).scope_spans[0].spans[0]

    assert (made.trace_id, made.span_id) == (bytes(15) + b"\xff", b"12345678")


@pytest.mark.parametrize("field", ["trace_id", "span_id"])
@pytest.mark.parametrize("wrong", ["abc", "g" * 32, 5, b"x"])
def test_an_id_that_is_none_can_not_be_in_otlp(field: str, wrong: object) -> None:
    with pytest.raises(MalformedTraceError, match=rf"{field} must be (32|16) hex digits"):
        to_otlp({field: wrong})


def test_what_the_sidecar_attached_is_no_part_of_the_text() -> None:
    ours = {"embedding.vector": [0.5], "embedding.text_version": "1", "embedding.source": "model"}
    foreign = {"embedding.vector": [0.5]}

    assert text_of({"attributes": {**ours, "a": 1}}) == text_of({"attributes": {"a": 1}})
    assert "embedding.vector" in text_of({"attributes": foreign})


@given(made=messages(Span), of=messages(Resource))
def test_a_dict_of_a_span_has_the_same_text(made: Span, of: Resource) -> None:
    for pairs in (made.attributes, of.attributes, *(one.attributes for one in made.events)):
        _make_distinct(pairs)
    encoded = of.SerializeToString(), made.SerializeToString()

    assert text_of(from_otlp(made, of)) == text_of_encoded(*encoded)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 100_000,
        b"x" * 100_000,
        list(range(100_000)),
        {str(number): [number] * 9 for number in range(10_000)},
        [[[["x"] * 64] * 64] * 9] * 2,
        [[[[[[["x" * 10_000]]]]]]] * 9,
        {"a": {"b": {"c": {"d": {"e": "x" * 10_000}}}}, "f": "g"},
        ["x" * 3_000, {"a": "y" * 3_000}, "z" * 3_000],
    ],
    ids=["text", "bytes", "numbers", "pairs", "wide", "deep", "deep pairs", "long items"],
)
def test_a_dict_of_a_large_span_has_the_same_text(value: Value) -> None:
    made = span("pay", {"before": 1, "large": value, **dict.fromkeys("abcdef", "x" * 4_000)})
    encoded = resource("shop").SerializeToString(), made.SerializeToString()

    text = text_of(from_otlp(made, resource("shop")))
    assert text == text_of_encoded(*encoded)
    assert "before=1" in text


def test_a_dict_of_very_many_values_is_not_read_to_its_end() -> None:
    many: list[object] = ["x"]
    for _ in range(12):
        many = [many] * 64

    assert "large=[[[[[...]" in text_of({"attributes": {"large": many}})


def _make_distinct(pairs: Iterable[KeyValue]) -> None:
    """Let no key come twice, which OTLP forbids and a dict can't have."""
    for number, pair in enumerate(pairs):
        pair.key += str(number)
        _make_distinct(pair.value.kvlist_value.values)
        for item in pair.value.array_value.values:
            _make_distinct(item.kvlist_value.values)


def test_a_dict_of_a_span_tells_all_of_it() -> None:
    made = span(
        "charge",
        {"a": [1, "b", {"c": True}], "n": None, "f": 0.5, "x": b"y"},
        code=Status.STATUS_CODE_ERROR,
        message="no",
        milliseconds=1.5,
        events=[event(attributes={"exception.type": "OSError"})],
    )
    trace = from_otlp(made, resource("payment"))

    assert trace == {
        "trace_id": made.trace_id.hex(),
        "span_id": made.span_id.hex(),
        "name": "charge",
        "operation": "charge",
        "service": "payment",
        "kind": "SERVER",
        "status": "ERROR",
        "status_message": "no",
        "duration_ms": 1.5,
        "start_time_unix_nano": START,
        "attributes": {"a": [1, "b", {"c": True}], "n": None, "f": 0.5, "x": b"y"},
        "events": [
            {
                "name": "exception",
                "time_unix_nano": START,
                "attributes": {"exception.type": "OSError"},
            }
        ],
    }


def test_a_dict_of_a_span_without_a_resource_has_no_service() -> None:
    assert from_otlp(Span(name="a"))["service"] is None


PLAIN = st.none() | st.booleans() | st.floats(allow_nan=False) | st.binary() | st.text()


@given(
    value=st.recursive(
        PLAIN, lambda values: st.lists(values) | st.dictionaries(st.text(), values), max_leaves=8
    )
)
def test_values_come_back_from_otlp(value: object) -> None:
    try:
        encoded = encode_value(value)
    except MalformedTraceError:
        return

    assert decode_value(encoded) == value


def sdk_span() -> ReadableSpan:
    provider = TracerProvider(resource=SdkResource.create({"service.name": "payment"}))
    span = provider.get_tracer("tests").start_span("charge card", start_time=START)
    span.set_attributes({"a": [1, 2], "b": "text", "c": 0.5, "d": True})
    span.record_exception(OSError("disk full"), timestamp=START + 5)
    span.set_status(StatusCode.ERROR, "no")
    span.end(START + 2500 * NANOSECONDS)
    return span  # type: ignore[return-value]  # the SDK's own spans are readable


def test_a_span_of_the_sdk_reads_as_its_exporter_sends_it() -> None:
    made = sdk_span()
    [sent] = encode_spans([made]).resource_spans

    assert text_of(from_readable_span(made)) == text_of_encoded(
        sent.resource.SerializeToString(), sent.scope_spans[0].spans[0].SerializeToString()
    )
    assert text_of(from_readable_span(made)).startswith(
        "payment charge card ERROR no OSError disk full in 2500ms attributes: a=[1, 2] b=text"
    )


def test_a_span_of_the_sdk_keeps_its_ids() -> None:
    made = sdk_span()
    trace = from_readable_span(made)
    [sent] = encode_spans([made]).resource_spans

    assert bytes.fromhex(trace["trace_id"]) == sent.scope_spans[0].spans[0].trace_id
    assert bytes.fromhex(trace["span_id"]) == sent.scope_spans[0].spans[0].span_id


def test_what_is_neither_dict_nor_span_is_refused() -> None:
    with pytest.raises(MalformedTraceError, match="a dict or a ReadableSpan, not int"):
        from_readable_span(3)  # type: ignore[arg-type]
