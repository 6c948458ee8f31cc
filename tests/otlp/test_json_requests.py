from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.json_requests import JsonReader
from tests.support.otlp_json import otlp_json, spans_of
from tests.support.otlp_samples import Value, event, messages, request, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.otlp.json_requests import JsonRequest

OURS = frozenset((b"embedding.vector", b"embedding.source"))
APPENDED = b'{"key":"embedding.vector","value":{"stringValue":"\xc3\xbc"}}'
NEW = json.loads(APPENDED)


def official(read: JsonRequest) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(read.request.encode())


def written(read: JsonRequest) -> str:
    return b"".join(read.pieces()).decode()


def annotated(text: str, *positions: int, ours: frozenset[bytes] = OURS) -> str:
    """Give a line with one more attribute on the spans at these positions of its only scope."""
    read = JsonReader(ours).read(text.encode())
    [(_, scope)] = read.request.scopes()
    for position in positions:
        read.request.add(scope.spans[position], APPENDED)
    return written(read)


def line_of_spans(*spans: str) -> str:
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}]}}'


@given(messages(ExportTraceServiceRequest, depth=6), st.sampled_from([None, 1]))
def test_whatever_otlp_can_say_is_read(made: ExportTraceServiceRequest, indent: int | None) -> None:
    text = json.dumps(otlp_json(made), indent=indent)

    # In words, for a message with NaN in it is not equal even to itself.
    assert str(official(JsonReader().read(text.encode()))) == str(made)


KEYS = [
    *("resourceSpans", "resource", "scopeSpans", "scope", "spans", "schemaUrl", "attributes"),
    *("key", "value", "stringValue", "doubleValue", "arrayValue", "values", "bytesValue"),
    *("traceId", "name", "kind", "startTimeUnixNano", "status", "code", "events", "links"),
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES, st.integers(0, 4))
def test_whatever_else_json_can_say_is_read_or_refused(value: object, start: int) -> None:
    for key in ("attributes", "spans", "scopeSpans", "resourceSpans")[start:]:
        value = {key: [value]}
    try:
        read = JsonReader().read(json.dumps(value).encode())
    except MalformedRequestError:
        return

    assert json.dumps(json.loads(written(read))) == json.dumps(value)


def test_resource_scope_and_spans_are_found() -> None:
    made = request(span("one", {"a": 1}), span("two", events=[event()]), service="shop")
    made.MergeFrom(request(span("three"), service="bank"))
    read = JsonReader().read(json.dumps(otlp_json(made)).encode())
    services = [
        (ResourceSpans.FromString(resource.header).resource, len(scope.spans))
        for resource, scope in read.request.scopes()
    ]

    assert services == [
        (each.resource, count) for each, count in zip(made.resource_spans, (2, 1), strict=True)
    ]
    assert read.request.resources[0].resource == made.resource_spans[0].resource.SerializeToString()


@pytest.mark.parametrize(
    "fields",
    [
        {"startTimeUnixNano": 5, "endTimeUnixNano": "6"},
        {"startTimeUnixNano": "5", "endTimeUnixNano": None},
        {"traceId": None, "spanId": "", "name": None},
        {"traceId": "AB" * 16, "parentSpanId": "cd" * 8},
        {"kind": "SPAN_KIND_CLIENT"},
        {"start_time_unix_nano": "5"},
        {"attributes": None},
    ],
    ids=range(7),
)
def test_every_spelling_that_protobuf_takes_is_read(fields: Mapping[str, Any]) -> None:
    line = line_of_spans(json.dumps(fields))
    [made] = official(JsonReader().read(line.encode())).resource_spans[0].scope_spans[0].spans
    expected = Span(
        start_time_unix_nano=int(
            fields.get("startTimeUnixNano") or fields.get("start_time_unix_nano") or 0
        ),
        end_time_unix_nano=int(fields.get("endTimeUnixNano") or 0),
        trace_id=bytes.fromhex(fields.get("traceId") or ""),
        parent_span_id=bytes.fromhex(fields.get("parentSpanId") or ""),
        kind=Span.SPAN_KIND_CLIENT if "kind" in fields else Span.SPAN_KIND_UNSPECIFIED,
    )

    assert made == expected


@pytest.mark.parametrize(
    "values",
    [
        [{"doubleValue": 0.5}, {"doubleValue": -1e300}],
        [{"doubleValue": 0.5}, {"doubleValue": 1}],
        [{"doubleValue": 0.5}, {"doubleValue": "NaN"}],
        [{"doubleValue": 0.5}, {"stringValue": "a"}],
        [{"doubleValue": 0.5}, {}],
        [],
    ],
    ids=["doubles", "a whole number", "no number", "a string", "nothing", "no values"],
)
def test_an_array_is_read_whatever_it_holds(values: list[dict[str, Any]]) -> None:
    array = {"key": "ä", "value": {"arrayValue": {"values": values}}}
    line = line_of_spans(json.dumps({"attributes": [array]}))
    [made] = official(JsonReader().read(line.encode())).resource_spans[0].scope_spans[0].spans
    [attribute] = made.attributes
    expected = [value.get("doubleValue", 0) for value in values]

    assert attribute.key == "ä"
    assert str([value.double_value for value in attribute.value.array_value.values]) == str(
        [*map(float, expected)]
    )


@pytest.mark.parametrize(
    "member",
    ['"attributes":["key"]', '"attributes":[["key"]]', '"kind":Infinity', '"flags":1e400'],
)
def test_what_protobuf_would_overlook_or_stumble_over_is_refused(member: str) -> None:
    line = line_of_spans(f"{{{member}}}")

    with pytest.raises(MalformedRequestError):
        JsonReader().read(line.encode())


@pytest.mark.parametrize("number", ["NaN", "1e400"])
def test_an_array_of_what_json_has_not_is_refused(number: str) -> None:
    array = (
        f'{{"key": "a", "value": {{"arrayValue": {{"values": [{{"doubleValue": {number}}}]}}}}}}'
    )

    with pytest.raises(MalformedRequestError):
        JsonReader().read(line_of_spans(f'{{"attributes": [{array}]}}').encode())


def test_what_nobody_appends_to_stays_as_it_is() -> None:
    text = line_of_spans('{"name":"a", "zebra" : 1.50, "attributes" : [ ] }').replace(",", " ,")

    assert annotated(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"attributes":[{"key":"a"}],"x":1}', '{"attributes":[{"key":"a"},NEW],"x":1}'),
        ('{"attributes":[ {"key":"a"} ] }', '{"attributes":[ {"key":"a"} ,NEW] }'),
        ('{"attributes":[],"x":1}', '{"attributes":[NEW],"x":1}'),
        ('{"attributes":null,"x":1}', '{"attributes":[NEW],"x":1}'),
        ('{"x":1.0e5 }', '{"x":1.0e5 ,"attributes":[NEW]}'),
        ("{ }", '{ "attributes":[NEW]}'),
        ('{"name":"a"}', '{"name":"a","attributes":[NEW]}'),
        (
            '{"attributes":[{"key":"a"}, {"key":"embedding.source"}, {"key":"b"}]}',
            '{"attributes":[{"key":"a"},{"key":"b"},NEW]}',
        ),
        ('{"attributes":[{"key":"embedding\\u002evector"}]}', '{"attributes":[NEW]}'),
        ('{"name":"ä😀","attributes":[]}', '{"name":"ä😀","attributes":[NEW]}'),
        (
            '{"name":"\\u00e4\\ud83d\\ude00","x":-0}',
            '{"name":"\\u00e4\\ud83d\\ude00","x":-0,"attributes":[NEW]}',
        ),
    ],
    ids=range(11),
)
def test_all_else_of_a_span_stays_when_attributes_are_appended(before: str, after: str) -> None:
    expected = line_of_spans(after.replace("NEW", APPENDED.decode()))

    assert annotated(line_of_spans(before), 0) == expected


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    spans = '{"attributes":[{"key":"a"}],"attributes":[]}'
    expected = spans.replace("[]", f"[{APPENDED.decode()}]")

    assert annotated(line_of_spans(spans), 0) == line_of_spans(expected)


def test_ours_stay_on_a_span_that_nothing_is_appended_to() -> None:
    ours = '{"attributes":[{"key":"embedding.source"}]}'

    assert annotated(line_of_spans(ours, "{}"), 1).startswith(line_of_spans(ours)[:-9])


@given(st.data(), st.sampled_from([None, " "]))
def test_what_is_appended_is_all_that_is_new(data: st.DataObject, indent: str | None) -> None:
    made = data.draw(messages(ExportTraceServiceRequest, depth=5))
    fields = otlp_json(made)
    text = json.dumps(fields, ensure_ascii=data.draw(st.booleans()), indent=indent)
    read = JsonReader(OURS).read(text.replace("\n", " ").encode())
    chosen = []
    for _, scope in read.request.scopes():
        for each in scope.spans:
            chosen.append(data.draw(st.booleans()))
            read.request.add(each, APPENDED if chosen[-1] else b"")
    for one, is_chosen in zip(spans_of(fields), chosen, strict=True):
        if is_chosen:
            one["attributes"] = [*one.get("attributes", []), NEW]

    assert json.loads(written(read)) == fields


class NoKeys:
    """Holds no key; keeps those that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def __contains__(self, key: object) -> bool:
        self.asked.append(key)
        return False


def test_what_recurs_is_read_once() -> None:
    """What was read once is the same object wherever it recurs."""
    keys = NoKeys()
    reader = JsonReader(keys)
    attributes: Mapping[str, Value] = {"one": 1, "two": "x"}
    text = json.dumps(otlp_json(request(span("a", attributes), span("b", attributes)))).encode()
    first, second = reader.read(text), reader.read(text)
    [(resource, scope)] = first.request.scopes()
    [(resource_again, scope_again)] = second.request.scopes()

    assert official(first) == official(second)
    assert resource.header is resource_again.header
    assert scope.header is scope_again.header
    assert keys.asked == [b"one", b"two"] * 4
    assert len(set(map(id, keys.asked))) == 2


def test_the_header_of_a_scope_is_kept_apart() -> None:
    made = request(span("one"))
    read = JsonReader().read(json.dumps(otlp_json(made)).encode())
    [(_, scope)] = read.request.scopes()

    assert ScopeSpans.FromString(scope.header).scope.name == "tests"
    [one] = scope.spans
    assert one.encoded == made.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
