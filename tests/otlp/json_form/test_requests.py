from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_embedder.errors import ForeignContentError, MalformedRequestError
from otel_embedder.otlp.json_form.requests import JsonReader
from tests.support.otlp_json import otlp_json, spans_of
from tests.support.otlp_samples import Value, event, messages, request, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.otlp.json_form.requests import JsonRequest

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


def spans_in(content: bytes) -> list[Span]:
    read = JsonReader().read(content)
    return [
        Span.FromString(span.encoded) for _, scope in read.request.scopes() for span in scope.spans
    ]


SPAN_TEXT = b'{"traceId":"5b8efff798038103d269b633813fc60c","name":"pay"}'
SCOPES = b'[{"spans":[%b]}]' % SPAN_TEXT
RESOURCES = b'[{"resource":{},"scopeSpans":%b}]' % SCOPES


@pytest.mark.parametrize(
    "content",
    [
        b'{"resource_spans":%b}' % RESOURCES.replace(b"scopeSpans", b"scope_spans"),
        b'{"ResourceSpans":%b}' % RESOURCES.replace(b"spans", b"Spans"),
        b'{"resourceSpans":[{"instrumentationLibrarySpans":%b}]}' % SCOPES,
        b'{"batches":%b}' % RESOURCES,
        b'{"trace":{"resourceSpans":%b}}' % RESOURCES,
        b'{"metrics":{"inspectedBytes":"7"},"trace":{"resourceSpans":%b},"status":"PARTIAL"}'
        % RESOURCES,
        b'{"result":{"resourceSpans":%b}}' % RESOURCES,
        b'{"resource":{},"scopeSpans":%b}' % SCOPES,
        b'{"later":[1],"resourceSpans":%b,"more":{}}' % RESOURCES,
    ],
    ids=[
        *("protobuf", "capitals", "former", "Tempo", "Tempo 2", "Tempo 2 with metrics", "Jaeger 3"),
        *("a resource", "later"),
    ],
)
def test_traces_are_found_by_other_names(content: bytes) -> None:
    [found] = spans_in(content)

    assert found.name == "pay"
    read = JsonReader().read(content)
    for _, scope in read.request.scopes():
        read.request.add(scope.spans[0], APPENDED)
    assert written(read).replace(f',"attributes":[{APPENDED.decode()}]', "") == content.decode()


def test_several_requests_behind_each_other_are_read_as_one() -> None:
    content = b'{"resourceSpans":%b}' % RESOURCES

    assert len(spans_in(content + b" \0 " + content)) == 2


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"resourceLogs":[]}', "it holds OTLP logs; wanted is OTLP/JSON of traces"),
        (b'{"resource_metrics":[]}', "it holds OTLP metrics"),
        (b'{"resource":{},"scopeLogs":[]}', "it holds OTLP logs"),
        (b'{"data":[{"traceID":"1","spans":[]}]}', "seems to be Jaeger's JSON"),
        (b'{"traceID":"1","spanID":"2","operationName":"pay"}', "seems to be Jaeger's JSON"),
        (b'{"traceId":"1","id":"2","name":"pay"}', "seems to be Zipkin's JSON"),
        (b'{"name":"pay","context":{"trace_id":"0x1"}}', "console exporter"),
        (SPAN_TEXT[:-1] + b',"spanId":"eee19b7ec3c1b174"}', "a span of OTLP/JSON without"),
        (b'{"b":1,"a":2}', 'an object with "a", "b" and without resourceSpans'),
        (b'{"trace":{"a":1}}', 'an object with "trace"'),
        (b'{"metrics":{},"status":"x"}', 'an object with "metrics", "status"'),
        (b'{"trace":{"resourceSpans":[]},"result":{}}', 'an object with "result", "trace"'),
    ],
    ids=range(12),
)
def test_other_json_is_told_by_what_it_seems_to_be(content: bytes, what: str) -> None:
    with pytest.raises(ForeignContentError, match=what):
        JsonReader().read(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b'{"resourceSpans":%b,"batches":%b}' % (RESOURCES, RESOURCES),
            'batches is the same as "resourceSpans"',
        ),
        (
            b'{"resourceSpans":[{},{"scopeSpans":[{"spans":[{},{"status":{"code":"bad"}}]}]}]}',
            r'^resourceSpans\[1\].scopeSpans\[0\].spans\[1\].status.code is "bad", not one of',
        ),
        (
            b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":"b"}]}}]}',
            r'^resourceSpans\[0\].resource.attributes\["a"\].value is "b", not an object',
        ),
        (b'{"resourceSpans":[{"schemaUrl":1%b}]}' % (b"0" * 5000), "too many digits"),
        (
            line_of_spans('{"attributes":{"a":"b"}}').encode(),
            r"spans\[0\].attributes is an object, not a list",
        ),
        (b'{"resourceSpans":{"scopeSpans":[]}}', "^resourceSpans is an object, not a list"),
        (
            b'{"resourceSpans":[{},{"scopeSpans":[{"spans":[{}, "pay"]}]}]}',
            r'^resourceSpans\[1\].scopeSpans\[0\].spans\[1\] is "pay", not an object',
        ),
    ],
    ids=["twice", "span", "resource", "digits", "attributes", "no list", "no object"],
)
def test_what_is_wrong_is_told_with_its_place(content: bytes, words: str) -> None:
    with pytest.raises(MalformedRequestError, match=words):
        JsonReader().read(content)


def test_bytes_that_are_not_utf_8_come_through_as_they_are() -> None:
    content = line_of_spans('{"name":"shop?","attributes":[{"key":"?","value":{}}]}').encode()
    content = content.replace(b"?", b"\xe9\xff")
    read = JsonReader(OURS).read(content)
    [(_, scope)] = read.request.scopes()

    assert b"shop\xe9\xff" in scope.spans[0].encoded
    assert b"".join(read.pieces()) == content
    read.request.add(scope.spans[0], APPENDED)
    assert b"".join(read.pieces()) == content.replace(b"{}}]", b"{}},%b]" % APPENDED)


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    line = line_of_spans('{"name":"a \\ud83d","later":"\\udc00","\\ud800":1}')

    assert [each.name for each in spans_in(line.encode())] == ["a \ufffd"]


def test_attributes_are_found_in_capitals() -> None:
    text = line_of_spans('{"Attributes":[{"Key":"a","Value":{"StringValue":"b"}}]}')

    assert [pair.key for pair in spans_in(text.encode())[0].attributes] == ["a"]
    assert annotated(text, 0) == text.replace("}}]}", f"}}}},{APPENDED.decode()}]}}", 1)
