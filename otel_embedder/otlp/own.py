"""Spans of sidecars' own work among others: they are passed on, and never embedded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from otel_embedder.telemetry.otlp.resource import OWN_SCOPE

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import ScopeSpans, TraceRequest

OWN_NAME = OWN_SCOPE.encode()


def is_own(scope: ScopeSpans) -> bool:
    """Tell whether the spans of a scope are of a sidecar's own work."""
    if OWN_NAME not in scope.header:
        return False
    try:
        return trace_pb2.ScopeSpans.FromString(scope.header).scope.name == OWN_SCOPE
    except DecodeError:
        return False


def own_spans(request: TraceRequest) -> int:
    """Give how many spans of a request are of sidecars' own work."""
    return sum(len(scope.spans) for _, scope in request.scopes() if is_own(scope))
