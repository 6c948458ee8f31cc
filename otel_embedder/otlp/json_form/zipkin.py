"""Zipkin's JSON, version 2, as its API answers and exporters write it, as OTLP/JSON.

Source: zipkin's zipkin2-api.yaml, and OpenTelemetry's "OpenTelemetry to Zipkin
Transformation". All of its tags are strings, and stay so.
"""

from __future__ import annotations

import json
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
from otel_embedder.otlp.json_form.fields import integer, shown, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.otlp.json_form.conversion import Fields, Scope

SPAN = {
    *("traceId", "id", "parentId", "name", "kind", "timestamp", "duration", "tags"),
    *("annotations", "localEndpoint", "remoteEndpoint"),
}
ENDPOINT = {"serviceName", "ipv4", "ipv6", "port"}
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
            "name": fields.get("name") and text_of(fields, "name"),
            "kind": _kind(fields, tags),
            **_times(fields),
            "status": status(tags, error_tells=True),
            **span_fields(tags),
            "attributes": [*tags.attributes(), *_network(fields, tags)],
            "events": each_of(fields, "annotations", _event),
        }
    )


def _parent(fields: Fields) -> str | None:
    return id_of(fields, "parentId", SPAN_ID_DIGITS) if fields.get("parentId") else None


def _kind(fields: Fields, tags: Tags) -> str | None:
    if not fields.get("kind"):
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
    return known_fields(fields.get(name) or {}, ENDPOINT)


def _service(endpoint: Fields) -> str | None:
    name = text_of(endpoint, "serviceName") if endpoint.get("serviceName") else None
    return None if name == NO_SERVICE else name


def _network(fields: Fields, tags: Tags) -> Iterator[Fields]:
    """Give the attributes for the addresses at both ends, and for the service at the other."""
    for name, prefix in (("localEndpoint", "local"), ("remoteEndpoint", "peer")):
        with within(name):
            endpoint = _endpoint(fields, name)
            yield from _address(endpoint, f"network.{prefix}")
            if prefix == "peer":
                yield from _peer(tags, _service(endpoint))


def _peer(tags: Tags, service: str | None) -> Iterator[Fields]:
    """Give the attribute for the service at the other end, unless a tag says it."""
    tag = tags.text("peer.service")
    if service and tag is None:
        yield {"key": "peer.service", "value": {"stringValue": service}}
    # Zipkin writes names of services in lower case.
    elif service and tag and tag.lower() != service.lower():
        raise FieldError(f"is {shown(service)}, and the tag peer.service another", "serviceName")


def _address(endpoint: Fields, prefix: str) -> Iterator[Fields]:
    addresses = [text_of(endpoint, name) for name in ("ipv4", "ipv6") if endpoint.get(name)]
    if len(addresses) > 1:
        raise FieldError("stands beside ipv4, and OTLP has one address", "ipv6")
    for address in addresses:
        yield {"key": f"{prefix}.address", "value": {"stringValue": address}}
    if endpoint.get("port"):
        port = integer(endpoint["port"])
        if port is None:
            raise FieldError(f"is {shown(endpoint['port'])}, not a number", "port")
        yield {"key": f"{prefix}.port", "value": {"intValue": str(port)}}


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

    SDKs write it as `"name": {"key": "value"}`; what is written otherwise is a name.
    """
    text = value if value.startswith("{") else f"{{{value}}}"
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return value, {}
    match [*parsed.items()]:
        case [(name, dict(attributes))] if all(
            isinstance(each, str | bool | int | float) for each in attributes.values()
        ):
            return name, {key: _value(each) for key, each in attributes.items()}
        case _:
            return value, {}


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
