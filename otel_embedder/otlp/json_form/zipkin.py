"""Zipkin's JSON, version 2, as its API answers and exporters write it, as OTLP/JSON.

Source: zipkin's zipkin2-api.yaml, and OpenTelemetry's "OpenTelemetry to Zipkin
Transformation". All of its tags are strings, and stay so.
"""

from __future__ import annotations

import json
import math
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
    is_given,
    known_fields,
    microseconds,
    resource_spans,
    scope,
    span_fields,
    status,
    text_of,
    within,
)
from otel_embedder.otlp.json_form.fields import integer, shown, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.json_form.conversion import Fields, Scope

SPAN = {
    *("traceId", "id", "parentId", "name", "kind", "timestamp", "duration", "tags"),
    *("annotations", "localEndpoint", "remoteEndpoint", "debug"),
}
ENDPOINT = {"serviceName", "ipv4", "ipv6", "port"}
SAMPLED = 1  # of OTLP's flags
KINDS = {"CLIENT", "SERVER", "PRODUCER", "CONSUMER"}


def otlp_of_zipkin(spans: object) -> bytes:
    """Give a span of Zipkin's, or a list of them, as OTLP/JSON.

    Raises:
        FieldError: a field holds what it can't, or what has no place in OTLP.

    """
    scopes: dict[str | None, dict[Scope, list[Fields]]] = defaultdict(lambda: defaultdict(list))

    def add(span: object) -> None:
        fields = known_fields(span, SPAN, needed="traceId")
        tags = Tags(_tags(fields))
        with within("localEndpoint"):
            service = _service(_endpoint(fields, "localEndpoint"))
        tags.take("service.name", fits=lambda text: text == service)  # some SDKs say it again
        scopes[service][scope(tags)].append(_span(fields, tags))

    if isinstance(spans, list):
        each_of({"": spans}, "", add)
    else:
        add(spans)
    return encoded(resource_spans(service, (), found) for service, found in scopes.items())


def _span(fields: Fields, tags: Tags) -> Fields:
    return filled(
        {
            "traceId": id_of(fields, "traceId", TRACE_ID_DIGITS),
            "spanId": id_of(fields, "id", SPAN_ID_DIGITS),
            "parentSpanId": _parent(fields),
            "flags": _flags(fields),
            "name": text_of(fields, "name") if is_given(fields, "name") else None,
            "kind": _kind(fields, tags),
            **_times(fields),
            "status": status(tags, error_tells=True),
            **span_fields(tags),
            "attributes": [*tags.attributes(), *_network(fields, tags)],
            "events": each_of(fields, "annotations", _event),
        }
    )


def _parent(fields: Fields) -> str | None:
    return id_of(fields, "parentId", SPAN_ID_DIGITS) if is_given(fields, "parentId") else None


def _flags(fields: Fields) -> int | None:
    debug = fields.get("debug")
    if debug not in (None, False, True):
        raise FieldError(f"is {shown(debug)}, not true or false", "debug")
    # Who asks for debugging asks for the span to be kept. Python's SDK says so of all it samples.
    return SAMPLED if debug else None


def _kind(fields: Fields, tags: Tags) -> str | None:
    if not is_given(fields, "kind"):
        # Where the Collector's exporter tells the kind that Zipkin has no word for.
        is_internal = tags.take("span.kind", fits=lambda text: text == "internal")
        return "SPAN_KIND_INTERNAL" if is_internal else None
    kind = text_of(fields, "kind")
    if kind not in KINDS:
        raise FieldError(f"is {shown(kind)}, not one of {', '.join(sorted(KINDS))}", "kind")
    return f"SPAN_KIND_{kind}"


def _times(fields: Fields) -> Fields:
    if fields.get("timestamp") is None:
        if fields.get("duration"):
            raise FieldError("is missing, and so nobody knows when the span ended", "timestamp")
        return {}
    start = microseconds(fields, "timestamp")
    if fields.get("duration") is None:
        return {"startTimeUnixNano": str(start)}
    end = start + microseconds(fields, "duration")
    return {"startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}


def _tags(fields: Fields) -> Iterator[tuple[str, Fields]]:
    tags = fields.get("tags")
    with within("tags"):
        if not isinstance(tags, dict | None):
            raise wanted(tags, "an object")
        for key in tags or {}:
            yield key, {"stringValue": text_of(tags or {}, key)}


def _endpoint(fields: Fields, name: str) -> Fields:
    return known_fields(fields[name], ENDPOINT) if is_given(fields, name) else {}


def _service(endpoint: Fields) -> str | None:
    name = text_of(endpoint, "serviceName") if is_given(endpoint, "serviceName") else None
    return None if name == NO_SERVICE else name


def _network(fields: Fields, tags: Tags) -> Iterator[Fields]:
    """Give the attributes for the addresses at both ends, and for the service at the other."""
    with within("localEndpoint"):
        yield from _address(_endpoint(fields, "localEndpoint"), "network.local", tags)
    with within("remoteEndpoint"):
        endpoint = _endpoint(fields, "remoteEndpoint")
        yield from _address(endpoint, "network.peer", tags)
        if service := _service(endpoint):
            yield from _unless_told(tags, "peer.service", service, "serviceName")


def _address(endpoint: Fields, prefix: str, tags: Tags) -> Iterator[Fields]:
    names = [name for name in ("ipv4", "ipv6") if is_given(endpoint, name)]
    if len(names) > 1:
        raise FieldError("stands beside ipv4, and OTLP has one address", "ipv6")
    for name in names:
        yield from _unless_told(tags, f"{prefix}.address", text_of(endpoint, name), name)
    if endpoint.get("port"):
        port = integer(endpoint["port"])
        if port is None:
            raise FieldError(f"is {shown(endpoint['port'])}, not a number", "port")
        for attribute in _unless_told(tags, f"{prefix}.port", str(port), "port"):
            yield attribute | {"value": {"intValue": str(port)}}


def _unless_told(tags: Tags, key: str, text: str, field: str) -> Iterator[dict[str, object]]:
    """Give an attribute for a field, unless a tag says the same."""
    tag = tags.text(key)
    if tag is None:
        yield {"key": key, "value": {"stringValue": text}}
    # Zipkin writes names of services in lower case.
    elif tag.lower() != text.lower():
        raise FieldError(f"is {shown(text)}, and the tag {key} another", field)


def _event(annotation: object) -> Fields:
    fields = known_fields(annotation, {"timestamp", "value"})
    name, attributes = _named(text_of(fields, "value"))
    return filled(
        {
            "timeUnixNano": str(microseconds(fields, "timestamp")),
            "name": name,
            "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
        }
    )


def _named(value: str) -> tuple[str, dict[str, Fields]]:
    """Give the name and the attributes of an event.

    SDKs write `"name": {"key": "value"}`, without these quotes or all of it as an object. What is
    written otherwise is a name.
    """
    said = value
    if value.startswith("{") and value.endswith("}"):
        said = value[1:-1]
    name, colon, rest = said.partition(": {")
    try:
        attributes = json.loads(f"{{{rest}", object_pairs_hook=_each_once) if colon else None
    except (ValueError, RecursionError):
        return value, {}
    match attributes:
        case dict() if all(map(_is_value, attributes.values())):
            return _unquoted(name), {key: _value(each) for key, each in attributes.items()}
        case _:
            return value, {}


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Give an object; one that says a key twice is none, for one of them would be lost."""
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a key stands twice")
    return told


def _unquoted(name: str) -> str:
    is_quoted = len(name) > 1 and name.startswith('"') and name.endswith('"')
    return name[1:-1] if is_quoted else name


def _is_value(value: object) -> bool:
    """Tell whether something is a plain value that OTLP has."""
    match value:
        case str() | bool():
            return True
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case _:
            return False


def _value(value: object) -> Fields:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
