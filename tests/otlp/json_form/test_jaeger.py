from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.errors import FieldError
from otel_embedder.otlp.json_form.jaeger import otlp_of_jaeger
from otel_embedder.otlp.json_form.requests import JsonReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_embedder.otlp.wire import TraceRequest

TRACE_ID, SPAN_ID, PARENT_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "a" * 16
START = 1_764_150_000_000_000  # microseconds


def span(**fields: object) -> dict[str, object]:
    """Make a span with what Jaeger's query API always writes, and these fields."""
    return {
        "traceID": TRACE_ID,
        "spanID": SPAN_ID,
        "operationName": "charge card",
        "references": [],
        "startTime": START,
        "duration": 25_000,
        "tags": [],
        "logs": [],
        "processID": "p1",
        "warnings": None,
    } | fields


def trace(*spans: object, **fields: object) -> dict[str, object]:
    return {
        "traceID": TRACE_ID,
        "spans": [*spans],
        "processes": {"p1": {"serviceName": "shop", "tags": [tag("host.name", "a1")]}},
        "warnings": None,
    } | fields


def answer(*spans: object, **fields: object) -> dict[str, object]:
    """Make an answer of Jaeger's query API with one trace."""
    paging = {"total": 0, "limit": 0, "offset": 0, "errors": None}
    return {"data": [trace(*spans, **fields)], **paging}


def tag(key: str, value: object, type_: str = "string") -> dict[str, object]:
    return {"key": key, "type": type_, "value": value}


def read(value: object) -> TraceRequest:
    return JsonReader().read(otlp_of_jaeger(json.loads(json.dumps(value)))).request


def only_span(**fields: object) -> Span:
    """Read an answer with one span that has these fields."""
    [(_, scope)] = read(answer(span(**fields))).scopes()
    [found] = scope.spans
    return Span.FromString(found.encoded)


def attributes(tags: object) -> Mapping[str, object]:
    """Give what is left of tags as a span's attributes."""
    found = MessageToDict(only_span(tags=tags))
    return {each["key"]: each["value"] for each in found.get("attributes", ())}


def test_a_span_has_its_ids_name_and_times() -> None:
    found = only_span(flags=1)

    assert (found.trace_id.hex(), found.span_id.hex(), found.parent_span_id) == (
        TRACE_ID,
        SPAN_ID,
        b"",
    )
    assert (found.name, found.flags) == ("charge card", 1)
    assert found.start_time_unix_nano == START * 1_000
    assert found.end_time_unix_nano == (START + 25_000) * 1_000


def test_ids_without_leading_zeros_have_them_again() -> None:
    found = only_span(traceID="8efff798038103", spanID="b")

    assert found.trace_id.hex() == "0" * 18 + "8efff798038103"
    assert found.span_id.hex() == "000000000000000b"


def test_a_process_is_a_resource_and_the_scope_is_told_by_tags() -> None:
    library = [tag("otel.scope.name", "http"), tag("otel.scope.version", "1.2")]
    request = read(answer(span(tags=library), span(), span(tags=library)))

    found = [
        (resource.resource, scope.header, len(scope.spans)) for resource, scope in request.scopes()
    ]
    assert [count for *_, count in found] == [2, 1]
    assert b"http" in found[0][1]
    assert b"1.2" in found[0][1]
    assert all(b"service.name" in resource and b"host.name" in resource for resource, *_ in found)


def test_the_service_that_stands_for_none_is_none() -> None:
    processes = {"p1": {"serviceName": "OTLPResourceNoServiceName"}}
    [(resource, _)] = read(answer(span(), processes=processes)).scopes()

    assert b"service.name" not in resource.resource


def test_tags_keep_their_types() -> None:
    assert attributes(
        [
            tag("text", "a"),
            tag("flag", False, "bool"),
            tag("count", 7, "int64"),
            tag("large", "9007199254740993", "int64"),
            tag("share", 0.5, "float64"),
            tag("bytes", "AQI=", "binary"),
        ]
    ) == {
        "text": {"stringValue": "a"},
        "flag": {"boolValue": False},
        "count": {"intValue": "7"},
        "large": {"intValue": "9007199254740993"},
        "share": {"doubleValue": 0.5},
        "bytes": {"bytesValue": "AQI="},
    }


def test_tags_that_stand_for_fields_become_these() -> None:
    found = only_span(
        tags=[
            tag("span.kind", "client"),
            tag("w3c.tracestate", "a=b"),
            tag("otel.dropped_links_count", 3, "int64"),
        ]
    )

    assert (found.kind, found.trace_state, found.dropped_links_count) == (
        Span.SPAN_KIND_CLIENT,
        "a=b",
        3,
    )
    assert not found.attributes


def test_a_kind_that_otlp_has_not_stays_a_tag() -> None:
    assert attributes([tag("span.kind", "local")]) == {"span.kind": {"stringValue": "local"}}


@pytest.mark.parametrize(
    ("tags", "code", "message", "left"),
    [
        ([tag("error", True, "bool")], 2, "", 0),
        ([tag("error", "true")], 2, "", 0),
        ([tag("error", False, "bool")], 0, "", 1),
        ([tag("error", "no route")], 0, "", 1),
        (
            [
                tag("error", True, "bool"),
                tag("otel.status_code", "ERROR"),
                tag("otel.status_description", "no route"),
            ],
            2,
            "no route",
            0,
        ),
        ([tag("otel.status_code", "OK")], 1, "", 0),
        # They contradict each other, and neither is left out.
        ([tag("otel.status_code", "OK"), tag("error", True, "bool")], 1, "", 1),
        ([tag("otel.status_description", "no route")], 0, "", 1),
    ],
)
def test_tags_tell_the_status(
    tags: list[dict[str, object]], code: int, message: str, left: int
) -> None:
    found = only_span(tags=tags)

    assert (found.status.code, found.status.message) == (code, message)
    assert len(found.attributes) == left


def test_logs_are_events() -> None:
    [event] = only_span(
        logs=[
            {
                "timestamp": START,
                "fields": [tag("event", "exception"), tag("exception.type", "OSError")],
            }
        ]
    ).events

    assert (event.name, event.time_unix_nano) == ("exception", START * 1_000)
    assert [each.key for each in event.attributes] == ["exception.type"]


def test_the_first_child_of_is_the_parent_and_the_others_are_links() -> None:
    found = only_span(
        references=[
            {"refType": "FOLLOWS_FROM", "traceID": TRACE_ID, "spanID": "b" * 16},
            {"refType": "CHILD_OF", "traceID": "c" * 32, "spanID": "c" * 16},
            {"refType": "CHILD_OF", "traceID": TRACE_ID, "spanID": PARENT_ID},
        ]
    )

    assert found.parent_span_id.hex() == PARENT_ID
    links = [(link.span_id.hex(), link.attributes[0].value.string_value) for link in found.links]
    assert links == [("b" * 16, "follows_from"), ("c" * 16, "child_of")]


def test_jaegers_own_warnings_stay_under_its_own_name() -> None:
    [warning] = only_span(warnings=["clock skew"]).attributes

    assert warning.key == "@jaeger@warnings"
    assert warning.value.array_value.values[0].string_value == "clock skew"


def test_a_trace_alone_is_read_as_well() -> None:
    assert read(trace(span())).spans == 1


def test_what_is_not_utf_8_stays_as_it_is() -> None:
    text = json.dumps(answer(span(operationName="?"))).encode().replace(b"?", b"\xff")
    request = JsonReader().read(otlp_of_jaeger(json.loads(text.decode(errors="surrogateescape"))))

    [(_, scope)] = request.request.scopes()
    assert b"\xff" in scope.spans[0].encoded


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is a list, not an object"),
        ({"resourceSpans": []}, 'has no "data"'),
        (answer() | {"errors": [{"msg": "no such trace"}]}, "errors is a list, for which OTLP"),
        (answer(processes=None), "data[0].processes is null, not an object"),
        (answer(warnings=["cut"]), "data[0].warnings is a list, for which OTLP has no place"),
        (answer(5), "data[0].spans[0] is 5, not an object"),
        (
            answer(span(processID="p2")),
            'data[0].spans[0].processID is "p2", and the trace has no such process',
        ),
        (answer(span(spanID=7)), "data[0].spans[0].spanID is 7, not up to 16 hex digits"),
        (answer(span(spanID="f" * 17)), "not up to 16 hex digits"),
        (answer(span(startTime="soon")), 'startTime is "soon", not a number of microseconds'),
        (answer(span(duration=-1)), "duration is -1, not a number of microseconds"),
        (answer(span(flags=3)), "data[0].spans[0].flags is 3, and OTLP has no more than 1"),
        (answer(span(baggage={"a": "b"})), "baggage is an object, for which OTLP has no place"),
        (answer(span(tags=[tag("n", 5, "number")])), 'tags[0].type of "n" is "number", not one of'),
        (answer(span(tags=[{"key": "n", "value": 5}])), 'tags[0].type of "n" is null'),
        (answer(span(tags=[tag("n", True, "int64")])), 'value of "n" is true, not a int64'),
        (answer(span(tags=[tag("n", 5)])), 'tags[0].value of "n" is 5, not a string'),
        (
            answer(span(references=[{"refType": "PART_OF", "traceID": "1", "spanID": "2"}])),
            'references[0].refType is "PART_OF", not CHILD_OF or FOLLOWS_FROM',
        ),
        (answer(span(warnings=[5])), "warnings is a list, not a list of strings"),
    ],
)
def test_what_can_not_be_told_in_otlp_is_an_error_that_names_the_field(
    value: object, said: str
) -> None:
    with pytest.raises(FieldError) as raised:
        otlp_of_jaeger(value)

    assert said in str(raised.value)
