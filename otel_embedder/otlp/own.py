"""Spans of sidecars' own work among others: they are passed on, and never embedded."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from otel_embedder.telemetry.otlp.resource import OWN_SCOPE

OWN_NAME = OWN_SCOPE.encode()


def is_own(header: bytes) -> bool:
    """Tell whether the spans of a scope are of a sidecar's own work.

    Args:
        header: the encoded ScopeSpans; it may be without its spans.

    """
    if OWN_NAME not in header:
        return False
    try:
        return trace_pb2.ScopeSpans.FromString(header).scope.name == OWN_SCOPE
    except DecodeError:
        return False
