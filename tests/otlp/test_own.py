from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from otel_embedder.otlp.own import is_own
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, Span, TraceRequest

OWN = trace_pb2.ScopeSpans(scope=InstrumentationScope(name="otel_embedder", version="1"))
ATTRIBUTE = KeyValue(key="of", value=AnyValue(string_value="otel_embedder"))
OTHERS = [
    trace_pb2.ScopeSpans(),
    trace_pb2.ScopeSpans(scope=InstrumentationScope(name="otel_embedder.story")),
    trace_pb2.ScopeSpans(scope=InstrumentationScope(name="shop", attributes=[ATTRIBUTE])),
    trace_pb2.ScopeSpans(schema_url="otel_embedder"),
]


def test_the_scope_tells() -> None:
    assert is_own(OWN.SerializeToString())


@pytest.mark.parametrize("scope", OTHERS, ids=str)
def test_other_scopes_are_others(scope: trace_pb2.ScopeSpans) -> None:
    assert not is_own(scope.SerializeToString())


def test_what_is_no_scope_is_anothers() -> None:
    # A field of 15 bytes that says of itself that it holds one of 127.
    assert not is_own(b"\x0a\x0f\x0a\x7fotel_embedder")


def test_own_spans_are_counted_over_all_scopes() -> None:
    own, other = OWN.SerializeToString(), OTHERS[2].SerializeToString()
    scopes = [ScopeSpans(own, [Span(b""), Span(b"")]), ScopeSpans(other, [Span(b"")])]
    request = TraceRequest.of([ResourceSpans(b"", [], [*scopes, ScopeSpans(own, [Span(b"")])])])

    assert request.own_spans() == 3
