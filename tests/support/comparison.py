"""Compares spans that went in with spans that came out, byte for byte, our attributes taken off.

Both are read with the official messages and written again deterministically, one by one: how
spans are spread over requests is the Collector's business.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEXT_ID_DIGITS = 16
PREFIX = "embedding."
DIMENSION = 384
NAMES_BY_SOURCE = {"model": "all-MiniLM-L6-v2", "fallback": "fallback-sha256"}
DIFFERENCES_TO_SHOW = 3


class SpanBytes(NamedTuple):
    """A span as it must stay, with the resource and the scope that it stands under."""

    resource: bytes
    scope: bytes
    span: bytes


class Delivery(NamedTuple):
    """What came out.

    Attributes:
        spans: each span without our attributes, and how often it came.
        sources: how many spans have a vector of a model, how many a stand-in, how many a reference
            to another span's, and how many nothing: those for whose there was no time or no memory.

    """

    spans: Counter[SpanBytes]
    sources: Counter[str]


def spans_in(requests: Iterable[bytes]) -> Counter[SpanBytes]:
    """Give each span of encoded requests without our attributes, and how often it is there."""
    return Counter(span for span, _ in _taken_apart(requests))


def spans_as_they_are(requests: Iterable[bytes]) -> Counter[SpanBytes]:
    """Give each span of encoded requests with all its attributes, and how often it is there."""
    return Counter(span for span, _ in _taken_apart(requests, prefix=None))


def delivery(requests: Iterable[bytes], *, once_a_text: bool = False) -> Delivery:
    """Read what came out; fail if a span's embedding is not well-formed.

    Args:
        requests: encoded.
        once_a_text: whether a span may leave its vector to another one, as with `attach: new`.

    """
    delivered = Delivery(Counter(), Counter())
    for span, ours in _taken_apart(requests):
        delivered.spans[span] += 1
        delivered.sources[_checked_source(ours, once_a_text=once_a_text)] += 1
    return delivered


def differences(sent: Counter[SpanBytes], came: Counter[SpanBytes]) -> list[str]:
    """Tell in words what of what was sent did not come unchanged, and what else came."""
    missing, unexpected = sent - came, came - sent
    return [
        *([f"{missing.total()} of {sent.total()} spans are missing"] if missing else ()),
        *([f"{unexpected.total()} spans were not sent, or not so often"] if unexpected else ()),
        *(f"missing: {_words(span)}" for span in list(missing)[:DIFFERENCES_TO_SHOW]),
        *(f"not sent: {_words(span)}" for span in list(unexpected)[:DIFFERENCES_TO_SHOW]),
    ]


def _words(span: SpanBytes) -> str:
    resource, scope = ResourceSpans.FromString(span.resource), ScopeSpans.FromString(span.scope)
    return f"{resource} {scope} {Span.FromString(span.span)}"


def _taken_apart(
    requests: Iterable[bytes], prefix: str | None = PREFIX
) -> Iterator[tuple[SpanBytes, list[KeyValue]]]:
    """Give each span without the attributes whose keys begin with `prefix`, and these."""
    for request in map(ExportTraceServiceRequest.FromString, requests):
        for resource in request.resource_spans:
            scopes = list(resource.scope_spans)
            resource_bytes = _resource_bytes(resource)
            for scope in scopes:
                spans = list(scope.spans)
                scope_bytes = _scope_bytes(scope)
                for span in spans:
                    ours = _taken_off(span, prefix)
                    yield SpanBytes(resource_bytes, scope_bytes, _span_bytes(span)), ours


def _resource_bytes(resource: ResourceSpans) -> bytes:
    resource.ClearField("scope_spans")
    resource.resource.SetInParent()  # as _span_bytes
    return resource.SerializeToString(deterministic=True)


def _scope_bytes(scope: ScopeSpans) -> bytes:
    scope.ClearField("spans")
    scope.scope.SetInParent()  # as _span_bytes
    return scope.SerializeToString(deterministic=True)


def _span_bytes(span: Span) -> bytes:
    # A Collector writes an empty status where there was none: to it they are the same.
    span.status.SetInParent()
    return span.SerializeToString(deterministic=True)


def _taken_off(span: Span, prefix: str | None) -> list[KeyValue]:
    if prefix is None:
        return []
    ours = [attribute for attribute in span.attributes if attribute.key.startswith(prefix)]
    if ours:
        kept = [item for item in span.attributes if not item.key.startswith(prefix)]
        span.ClearField("attributes")
        span.attributes.extend(kept)
    return ours


def _checked_source(ours: list[KeyValue], *, once_a_text: bool) -> str:
    if not ours:
        return "nothing"
    values = {attribute.key.removeprefix(PREFIX): attribute.value for attribute in ours}
    assert len(ours) == len(values), "an attribute is there twice"
    if once_a_text and values.keys() == {"text_id"}:
        assert len(values["text_id"].string_value) == TEXT_ID_DIGITS
        return "reference"
    source = values["source"].string_value

    if once_a_text and "first_seen" in values:
        assert source == "model"
        assert values.pop("first_seen").bool_value
    # Where there was no time to render, there is no text to have an id.
    assert {*values, "text_id"} == {"vector", "model_name", "source", "text_version", "text_id"}
    assert source == "fallback" or len(values["text_id"].string_value) == TEXT_ID_DIGITS
    assert values["model_name"].string_value == NAMES_BY_SOURCE[source]
    assert values["text_version"].string_value
    assert _is_unit_vector(values["vector"].SerializeToString())
    return source


# Vectors recur as texts do, and 384 values take longer to read than all else of a span.
@lru_cache(maxsize=10_000)
def _is_unit_vector(encoded: bytes) -> bool:
    numbers = [item.double_value for item in AnyValue.FromString(encoded).array_value.values]
    return len(numbers) == DIMENSION and math.isclose(math.hypot(*numbers), 1, abs_tol=1e-5)
