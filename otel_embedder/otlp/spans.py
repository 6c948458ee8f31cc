"""Which span it is: the ids of an encoded Span."""

from __future__ import annotations

from typing import NamedTuple

from otel_embedder.proto import otlp_wire_pb2 as pb


class SpanIds(NamedTuple):
    """A span's ids, as bytes: 16 and 8 of them, where OTLP was kept to; none where it has none."""

    trace_id: bytes
    span_id: bytes


def span_ids(encoded: bytes) -> SpanIds:
    """Give the ids of an encoded Span.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    ids = pb.SpanIds.FromString(encoded)
    return SpanIds(ids.trace_id, ids.span_id)


def check_span(encoded: bytes) -> None:
    """Make sure that a span is one: itself, its status, attributes and events.

    Raises:
        google.protobuf.message.DecodeError: it is not.

    """
    span = pb.Span.FromString(encoded)
    pb.Status.FromString(span.status)
    for attribute in span.attributes:
        pb.KeyValue.FromString(attribute)
    for event in span.events:
        pb.Event.FromString(event)
