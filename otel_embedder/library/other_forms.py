"""Spans that came as a dict from elsewhere: OTLP/JSON, or what an SDK's span says of itself.

Each is told by names that only it has, and becomes a dict of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.errors import MalformedRequestError, MalformedTraceError
from otel_embedder.library.trace import Trace, TraceEvent, add_times, from_otlp
from otel_embedder.otlp.json_form.fields import plain_name
from otel_embedder.otlp.json_form.names import RESOURCE_SPANS, SCOPE_SPANS
from otel_embedder.otlp.json_form.requests import JsonReader

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import TraceRequest

    Fields = Mapping[str, object]

OURS = frozenset(Trace.__annotations__)
REQUEST_NAMES = RESOURCE_SPANS.others | SCOPE_SPANS.others
# Of a span of OTLP/JSON. The other names that protobuf has are ours, too.
OTLP_NAMES = frozenset(
    {"spanId", "startTimeUnixNano", "endTimeUnixNano", "end_time_unix_nano", "parent_span_id"}
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_trace(fields: Fields) -> Fields:
    """Give a trace by our names, whatever it came as.

    Raises:
        MalformedTraceError: it is none, or a field of it holds what it can't.

    """
    if any(plain_name(str(key)) in REQUEST_NAMES for key in fields):
        return _from_request(fields)
    if isinstance(fields.get("context"), Mapping):
        return _from_sdk_json(fields)
    if _is_otlp_span(fields):
        resource = fields.get("resource")
        scope = {"spans": [{**fields, "resource": None}]}
        return _from_request({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})
    return fields


def refuse_nothing(fields: Fields) -> None:
    """Make sure that a trace says anything: the vector of nothing would be like any other.

    Raises:
        MalformedTraceError: it has no name of ours.

    """
    if OURS.isdisjoint(fields):
        raise MalformedTraceError("a trace has at least one of " + ", ".join(sorted(OURS)))


def _is_otlp_span(fields: Fields) -> bool:
    status, attributes = fields.get("status"), fields.get("attributes")
    return (
        not OTLP_NAMES.isdisjoint(fields)
        or (isinstance(status, Mapping) and "code" in status)
        or (isinstance(attributes, list) and any(map(_is_pair, attributes)))
    )


def _is_pair(attribute: object) -> bool:
    return isinstance(attribute, Mapping) and "key" in attribute


def _from_request(fields: Fields) -> Trace:
    """Read a request of OTLP/JSON that has one span."""
    try:
        request = JsonReader().read(json.dumps(fields).encode()).request
    except MalformedRequestError as error:
        raise MalformedTraceError(f"it is not OTLP/JSON: {error}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedTraceError("it is not OTLP/JSON, but objects of another kind") from error
    return _only_span(request)


def _only_span(request: TraceRequest) -> Trace:
    if request.spans != 1:
        raise MalformedTraceError(f"a trace is one span, and here are {request.spans}")
    [(resource, span)] = [
        (resource.resource, span.encoded)
        for resource, scope in request.scopes()
        for span in scope.spans
    ]
    return from_otlp(Span.FromString(span), Resource.FromString(resource))


def _from_sdk_json(fields: Fields) -> Trace:
    """Read what `ReadableSpan.to_json` gives and console exporters print."""
    context, status = _mapping(fields, "context"), _mapping(fields, "status")
    resource = _mapping(_mapping(fields, "resource"), "attributes")
    trace = Trace(
        trace_id=str(context.get("trace_id") or "").removeprefix("0x"),
        span_id=str(context.get("span_id") or "").removeprefix("0x"),
        operation=str(fields.get("name") or ""),
        service=resource.get("service.name"),
        kind=str(fields.get("kind") or ""),
        status=str(status.get("status_code") or ""),
        status_message=str(status.get("description") or ""),
        attributes=_mapping(fields, "attributes"),
        events=[_event(event) for event in _events(fields)],
    )
    started, ended = (_nanoseconds(fields, name) for name in ("start_time", "end_time"))
    add_times(trace, started, ended)
    return trace


def _events(fields: Fields) -> list[Fields]:
    events = fields.get("events") or []
    if not isinstance(events, list) or not all(isinstance(event, Mapping) for event in events):
        raise MalformedTraceError("events must be a list of objects")
    return events


def _event(event: Fields) -> TraceEvent:
    return TraceEvent(
        name=str(event.get("name") or ""),
        time_unix_nano=_nanoseconds(event, "timestamp"),
        attributes=_mapping(event, "attributes"),
    )


def _mapping(fields: Fields, name: str) -> Fields:
    """Give the object of a name; nothing, if there is none."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedTraceError(f"{name} must be an object")
    return value


def _nanoseconds(fields: Fields, name: str) -> int:
    """Give the nanoseconds since 1970 of a time in ISO 8601; 0, if there is none."""
    value = fields.get(name)
    if value is None:
        return 0
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise MalformedTraceError(f"{name} must be a time in ISO 8601") from error
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1) * 1_000
