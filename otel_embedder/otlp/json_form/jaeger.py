"""Jaeger's JSON, as its query API answers and its page saves it, as OTLP/JSON.

Source: jaeger's model/json/model.go, and OpenTelemetry's "OpenTelemetry to Jaeger
Transformation".
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from otel_embedder.errors import FieldError
from otel_embedder.otlp.json_form.conversion import (
    NO_SERVICE,
    SPAN_ID_DIGITS,
    TRACE_ID_DIGITS,
    Tags,
    each_of,
    encoded,
    filled,
    id_of,
    known_fields,
    microseconds,
    resource_spans,
    scope,
    span_fields,
    status,
    text_of,
    within,
)
from otel_embedder.otlp.json_form.fields import shown

if TYPE_CHECKING:
    from otel_embedder.otlp.json_form.conversion import Fields, Scope, Scopes

ANSWER = {"data", "total", "limit", "offset"}  # how many there are, and where this page begins
TRACE = {"traceID", "spans", "processes"}
SPAN = {
    *("traceID", "spanID", "operationName", "references", "startTime", "duration", "tags"),
    *("logs", "processID", "flags", "warnings"),
}
SAMPLED = 1  # the one flag that OTLP has, too
KINDS = {"client", "server", "producer", "consumer", "internal"}
VALUES = {
    "string": ("stringValue", str),
    "bool": ("boolValue", bool),
    "int64": ("intValue", int | str),
    "float64": ("doubleValue", int | float | str),
    "binary": ("bytesValue", str),
}
CHILD_OF, FOLLOWS_FROM = "CHILD_OF", "FOLLOWS_FROM"
# What Jaeger says of a span itself; its own name for it in OTLP.
WARNINGS = "@jaeger@warnings"


def otlp_of_jaeger(answer: object) -> bytes:
    """Give an answer of Jaeger's query API, or a trace of one, as OTLP/JSON.

    Raises:
        FieldError: a field holds what it can't, or what has no place in OTLP.

    """
    if isinstance(answer, dict) and "spans" in answer:
        return encoded(_resources(answer))
    fields = known_fields(answer, ANSWER, needed="data")
    return encoded(resource for trace in each_of(fields, "data", _resources) for resource in trace)


def _resources(trace: object) -> list[Fields]:
    """Give the spans of a trace, by the processes that they are of."""
    fields = known_fields(trace, TRACE, needed="processes")
    processes = fields.get("processes")
    if not isinstance(processes, dict):
        raise FieldError(f"is {shown(processes)}, not an object", "processes")
    scopes: dict[str, dict[Scope, list[Fields]]] = defaultdict(lambda: defaultdict(list))

    def add(span: object) -> None:
        of_span = known_fields(span, SPAN)
        process = text_of(of_span, "processID")
        if process not in processes:
            raise FieldError(f"is {shown(process)}, and the trace has no such process", "processID")
        tags = Tags(each_of(of_span, "tags", _attribute))
        scopes[process][scope(tags)].append(_span(of_span, tags))

    each_of(fields, "spans", add)
    return [_resource(name, processes[name], found) for name, found in scopes.items()]


def _resource(name: str, process: object, scopes: Scopes) -> Fields:
    with within(f"processes[{shown(name)}]"):
        fields = known_fields(process, {"serviceName", "tags"})
        service = text_of(fields, "serviceName")
        tags = Tags(each_of(fields, "tags", _attribute))
        return resource_spans(service if service != NO_SERVICE else None, tags.attributes(), scopes)


def _span(fields: Fields, tags: Tags) -> Fields:
    start = microseconds(fields, "startTime")
    parent, links = _references(fields)
    kind = tags.take("span.kind", fits=KINDS.__contains__)
    return filled(
        {
            "traceId": id_of(fields, "traceID", TRACE_ID_DIGITS),
            "spanId": id_of(fields, "spanID", SPAN_ID_DIGITS),
            "parentSpanId": parent,
            "flags": _flags(fields),
            "name": text_of(fields, "operationName"),
            "kind": f"SPAN_KIND_{kind.upper()}" if kind else None,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + microseconds(fields, "duration")),
            "status": status(tags, error_tells=False),
            **span_fields(tags),
            "attributes": [*tags.attributes(), *_warnings(fields)],
            "events": each_of(fields, "logs", _event),
            "links": links,
        }
    )


def _flags(fields: Fields) -> int:
    value = fields.get("flags") or 0
    if value not in (0, SAMPLED):
        raise FieldError(f"is {shown(value)}, and OTLP has no more than 1", "flags")
    return SAMPLED if value else 0


def _warnings(fields: Fields) -> list[Fields]:
    warnings = fields.get("warnings")
    if not warnings:
        return []
    if not isinstance(warnings, list) or not all(isinstance(each, str) for each in warnings):
        raise FieldError(f"is {shown(warnings)}, not a list of strings", "warnings")
    values = [{"stringValue": each} for each in warnings]
    return [{"key": WARNINGS, "value": {"arrayValue": {"values": values}}}]


def _references(fields: Fields) -> tuple[str | None, list[Fields]]:
    """Give the id of a span's parent, and its links: all other references."""
    links = each_of(fields, "references", _link)
    trace = id_of(fields, "traceID", TRACE_ID_DIGITS)
    for number, (type_, link) in enumerate(links):
        if type_ == CHILD_OF and link["traceId"] == trace:
            del links[number]
            return str(link["spanId"]), [each for _, each in links]
    return None, [each for _, each in links]


def _link(reference: object) -> tuple[str, Fields]:
    fields = known_fields(reference, {"refType", "traceID", "spanID"})
    type_ = text_of(fields, "refType")
    if type_ not in {CHILD_OF, FOLLOWS_FROM}:
        raise FieldError(f"is {shown(type_)}, not {CHILD_OF} or {FOLLOWS_FROM}", "refType")
    return type_, {
        "traceId": id_of(fields, "traceID", TRACE_ID_DIGITS),
        "spanId": id_of(fields, "spanID", SPAN_ID_DIGITS),
        "attributes": [{"key": "opentracing.ref_type", "value": {"stringValue": type_.lower()}}],
    }


def _event(log: object) -> Fields:
    fields = known_fields(log, {"timestamp", "fields"})
    tags = Tags(each_of(fields, "fields", _attribute))
    return filled(
        {
            "timeUnixNano": str(microseconds(fields, "timestamp")),
            "name": tags.take("event"),
            "droppedAttributesCount": tags.take_count("otel.dropped_attributes_count"),
            "attributes": tags.attributes(),
        }
    )


def _attribute(tag: object) -> tuple[str, Fields]:
    fields = known_fields(tag, {"key", "type", "value"})
    key = text_of(fields, "key")
    type_, value = fields.get("type"), fields.get("value")
    if not isinstance(type_, str) or type_ not in VALUES:
        types = ", ".join(VALUES)
        raise FieldError(f"of {shown(key)} is {shown(type_)}, not one of {types}", "type")
    name, kind = VALUES[type_]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FieldError(f"of {shown(key)} is {shown(value)}, not a {type_}", "value")
    return key, {name: value}
