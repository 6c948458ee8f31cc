"""Tells requests of logs and metrics from those of traces, which protobuf does not.

Their messages have the same numbers down to the record, so logs and metrics can
be read as traces, and what went behind a "span" would damage them. What a record
is, its own fields tell.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from otel_embedder.errors import ForeignContentError
from otel_embedder.otlp.spans import span_ids
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import TraceRequest

    # The number of a field, its wire type, and what it holds.
    Field = tuple[int, int, object]

# The records of a request are of one kind, but not each shows it.
RECORDS_LOOKED_AT = 8

VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5  # protobuf's wire types
IDS, NAME, TIMES = {1, 2}, 5, {7, 8}  # of Span
ID_BYTES = (16, 8)

# What no span has, by number and wire type.
# Source: opentelemetry-proto, logs.proto, metrics.proto and profiles.proto
LOG_FIELDS = {
    *((1, FIXED_64), (2, VARINT), (6, LENGTH_DELIMITED), (7, VARINT), (8, FIXED_32)),
    (11, FIXED_64),
}
METRIC_FIELDS = {(7, LENGTH_DELIMITED), (10, LENGTH_DELIMITED)}  # Sum, ExponentialHistogram
# Gauge, Histogram and Summary stand where a span has its name, attributes and events.
DATA_FIELDS = {5, 9, 11}
# Times of a data point, and how many values it has: an attribute's key would begin with `!`.
POINT_FIELDS = {(2, FIXED_64), (3, FIXED_64), (4, FIXED_64)}


def refuse_other_signals(request: TraceRequest) -> None:
    """Make sure that what was read as traces is none of the other signals.

    Raises:
        ForeignContentError: it is logs or metrics.

    """
    spans = (span.encoded for _, scope in request.scopes() for span in scope.spans)
    for record in islice(spans, RECORDS_LOOKED_AT):
        if _is_span(record):
            return
        if signal := signal_of(record):
            raise ForeignContentError(f"it holds OTLP {signal}, and traces are wanted")


def _is_span(record: bytes) -> bool:
    """Tell quickly of what nearly every span is that it is one: it has ids and a start."""
    try:
        ids = span_ids(record)
        has_start = bool(pb.Span.FromString(record).start_time_unix_nano)
    except DecodeError:
        return False
    return (len(ids.trace_id), len(ids.span_id)) == ID_BYTES and has_start


def signal_of(record: bytes) -> str | None:
    """Tell of which other signal an encoded record is; None if it may be a span."""
    fields = _fields(record)
    kinds = {(number, kind) for number, kind, _ in fields}
    if kinds & LOG_FIELDS:
        return "logs"
    if kinds & METRIC_FIELDS:
        return "metrics"
    if any(number in TIMES for number, _ in kinds):
        return None
    values = {number: value for number, _, value in fields if isinstance(value, bytes)}
    if any(_is_points(values[number]) for number in DATA_FIELDS & values.keys()):
        return "metrics"
    is_body = not IDS & values.keys() and _is_string_value(values.get(NAME, b""))
    return "logs" if is_body else None


def _is_string_value(encoded: bytes) -> bool:
    """Tell whether bytes are an AnyValue with a string, as the body of a log record is."""
    return [(number, kind) for number, kind, _ in _fields(encoded)] == [(1, LENGTH_DELIMITED)]


def _is_points(value: bytes) -> bool:
    """Tell whether encoded bytes are a Gauge, a Histogram or a Summary."""
    points = [point for number, _, point in _fields(value) if number == 1]
    return bool(points) and all(
        isinstance(point, bytes)
        and any((number, kind) in POINT_FIELDS for number, kind, _ in _fields(point))
        for point in points
    )


def _fields(encoded: bytes) -> list[Field]:
    """Give the fields of a message; none, if it is not protobuf."""
    try:
        # To a message that knows no field all are unknown.
        unknown = UnknownFieldSet(Empty.FromString(encoded))
    except DecodeError:
        return []
    return [(field.field_number, field.wire_type, field.data) for field in unknown]  # type: ignore[attr-defined]
