from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.errors import FieldError
from otel_embedder.otlp.json_form.requests import JsonReader
from otel_embedder.otlp.json_form.zipkin import otlp_of_zipkin

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import TraceRequest

TRACE_ID, SPAN_ID, PARENT_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "a" * 16
START = 1_764_150_000_000_000  # microseconds


def span(**fields: object) -> dict[str, object]:
    """Make a span as exporters write it, with these fields."""
    return {
        "traceId": TRACE_ID,
        "id": SPAN_ID,
        "name": "charge card",
        "timestamp": START,
        "duration": 25_000,
        "localEndpoint": {"serviceName": "shop"},
    } | fields


def read(value: object) -> TraceRequest:
    return JsonReader().read(otlp_of_zipkin(value)).request


def only_span(**fields: object) -> Span:
    [(_, scope)] = read(span(**fields)).scopes()
    [found] = scope.spans
    return Span.FromString(found.encoded)


def attributes(**fields: object) -> dict[str, str]:
    found = MessageToDict(only_span(**fields)).get("attributes", ())
    return {each["key"]: next(iter(each["value"].values())) for each in found}


def test_a_span_has_its_ids_name_kind_and_times() -> None:
    found = only_span(parentId=PARENT_ID, kind="CLIENT", shared=False)

    assert (found.trace_id.hex(), found.span_id.hex(), found.parent_span_id.hex()) == (
        TRACE_ID,
        SPAN_ID,
        PARENT_ID,
    )
    assert (found.name, found.kind) == ("charge card", Span.SPAN_KIND_CLIENT)
    assert found.start_time_unix_nano == START * 1_000
    assert found.end_time_unix_nano == (START + 25_000) * 1_000


def test_times_that_it_does_not_tell_are_not_told() -> None:
    found = only_span(timestamp=None, duration=None)

    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (0, 0)
    assert only_span(duration=None).end_time_unix_nano == 0


def test_spans_of_a_list_stand_by_service_and_scope() -> None:
    spans = [
        span(tags={"otel.scope.name": "http"}),
        span(localEndpoint=None),
        span(tags={"otel.library.name": "http"}),
    ]
    found = [
        (resource.resource, scope.header, len(scope.spans))
        for resource, scope in read(spans).scopes()
    ]

    assert [count for *_, count in found] == [2, 1]
    assert b"shop" in found[0][0]
    assert b"http" in found[0][1]
    assert b"service.name" not in found[1][0]


@pytest.mark.parametrize(
    ("tags", "code", "message", "left"),
    [
        ({"error": "true"}, 2, "", 0),
        ({"error": ""}, 2, "", 0),
        ({"error": "no route"}, 2, "no route", 0),
        ({"error": "false"}, 0, "", 1),
        ({"error": "no route", "otel.status_code": "ERROR"}, 2, "no route", 0),
        (
            {"error": "true", "otel.status_code": "Error", "otel.status_description": "no route"},
            2,
            "no route",
            0,
        ),
        ({"otel.status_code": "OK"}, 1, "", 0),
    ],
)
def test_tags_tell_the_status(tags: dict[str, str], code: int, message: str, left: int) -> None:
    found = only_span(tags=tags)

    assert (found.status.code, found.status.message) == (code, message)
    assert len(found.attributes) == left


def test_other_tags_are_attributes_and_strings() -> None:
    tags = {"http.response.status_code": "200", "span.kind": "internal"}

    assert attributes(tags=tags) == {"http.response.status_code": "200"}
    assert only_span(tags=tags).kind == Span.SPAN_KIND_INTERNAL


def test_endpoints_are_attributes() -> None:
    assert attributes(
        localEndpoint={"serviceName": "shop", "ipv4": "10.0.0.1", "port": 80},
        remoteEndpoint={"serviceName": "bank", "ipv6": "::1", "port": 0},
    ) == {
        "network.local.address": "10.0.0.1",
        "network.local.port": "80",
        "network.peer.address": "::1",
        "peer.service": "bank",
    }


def test_what_a_tag_tells_is_told_once_and_as_it_is_spelt() -> None:
    tags = {"peer.service": "Bank", "network.peer.address": "10.0.0.1"}
    endpoint = {"serviceName": "bank", "ipv4": "10.0.0.1"}

    assert attributes(tags=tags, remoteEndpoint=endpoint) == tags


def test_names_that_sdks_write_twice_are_told_once() -> None:
    tags = {"otel.scope.name": "http", "otel.library.name": "http", "service.name": "shop"}

    assert attributes(tags=tags) == {}
    assert attributes(tags=tags | {"otel.library.name": "h"}) == {"otel.library.name": "h"}


def test_a_span_to_debug_is_one_that_is_sampled() -> None:
    assert only_span(debug=True).flags == 1


@pytest.mark.parametrize(
    ("value", "name", "told"),
    [
        ("retry", "retry", {}),
        ('"retry": {"n": 3, "last": true}', "retry", {"n": "3", "last": True}),
        ('retry: {"n": 3}', "retry", {"n": "3"}),
        ("retry: {now}", "retry: {now}", {}),
        ('retry: {"n": NaN}', 'retry: {"n": NaN}', {}),
        ('retry: {"n": 9223372036854775808}', 'retry: {"n": 9223372036854775808}', {}),
        ('{"retry": {"n": 3}', '{"retry": {"n": 3}', {}),
        (
            json.dumps({"retry": {"wait": 0.5, "why": "busy"}}),
            "retry",
            {"wait": 0.5, "why": "busy"},
        ),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2}', {}),
        ('{"retry": {"n": 3}Z', '{"retry": {"n": 3}Z', {}),
        ('retry: {"n": 3, "n": 4}', 'retry: {"n": 3, "n": 4}', {}),
        ('"retry": {"n": [3]}', '"retry": {"n": [3]}', {}),
    ],
)
def test_annotations_are_events(value: str, name: str, told: dict[str, object]) -> None:
    [event] = only_span(annotations=[{"timestamp": START, "value": value}]).events

    assert (event.name, event.time_unix_nano) == (name, START * 1_000)
    found = MessageToDict(event).get("attributes", ())
    assert {each["key"]: next(iter(each["value"].values())) for each in found} == told


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"data": []}, 'has no "traceId"'),
        ([span(), 5], "[1] is 5, not an object"),
        (
            [span(kind="LOCAL")],
            '[0].kind is "LOCAL", not one of CLIENT, CONSUMER, PRODUCER, SERVER',
        ),
        (span(shared=True), "shared is true, for which OTLP has no place"),
        (span(timestamp=None), "timestamp is missing, and so nobody knows when the span ended"),
        (span(tags=["a"]), "tags is a list, not an object"),
        (span(debug="yes"), 'debug is "yes", not true or false'),
        (span(name=0), "name is 0, not a string"),
        (span(parentId=0), "parentId is 0, not up to 16 hex digits"),
        (span(tags={"a": 5}), "tags.a is 5, not a string"),
        (span(localEndpoint=5), "localEndpoint is 5, not an object"),
        (
            span(remoteEndpoint={"ipv4": "10.0.0.1", "ipv6": "::1"}),
            "remoteEndpoint.ipv6 stands beside ipv4, and OTLP has one address",
        ),
        (span(remoteEndpoint={"port": "x"}), 'remoteEndpoint.port is "x", not a number'),
        (
            span(remoteEndpoint={"serviceName": "bank"}, tags={"peer.service": "post"}),
            'remoteEndpoint.serviceName is "bank", and the tag peer.service another',
        ),
        (span(annotations=[{"value": "a"}]), "annotations[0].timestamp is null"),
        (span(parentId="x"), 'parentId is "x", not up to 16 hex digits'),
    ],
)
def test_what_can_not_be_told_in_otlp_is_an_error_that_names_the_field(
    value: object, said: str
) -> None:
    with pytest.raises(FieldError) as raised:
        otlp_of_zipkin(value)

    assert said in str(raised.value)
