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
