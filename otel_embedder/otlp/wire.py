"""A trace request as bytes: taken apart no further than needed, put together by joining.

A span stays the bytes that it came in. To annotate it is to name the encoded
attributes to append, which many spans share, and to encode the request is one
`join`: no span is ever built from objects, so none can change, and 384 doubles
cost a copy. That also makes an encoded size a sum of lengths, which is what
splitting needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from otel_embedder.errors import MalformedRequestError
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCE_SPANS_TAG = b"\x0a"  # ExportTraceServiceRequest.resource_spans = 1
SCOPE_SPANS_TAG = b"\x12"  # ResourceSpans.scope_spans = 2
SPANS_TAG = b"\x12"  # ScopeSpans.spans = 2
VARINT_MORE = 128  # a varint's digits have base 128; this bit says that another follows
# A tag of one byte and a length of five: protobuf's limit for a message is 2 GiB.
MAX_PREFIX_BYTES = 6


@lru_cache(maxsize=16_384)
def length_prefix(tag: bytes, length: int) -> bytes:
    """Give the bytes in front of a length-delimited field: its tag, its length as a varint."""
    digits = bytearray(tag)
    while length >= VARINT_MORE:
        digits.append(length % VARINT_MORE + VARINT_MORE)
        length //= VARINT_MORE
    digits.append(length)
    return bytes(digits)


def message(tag: bytes, parts: list[bytes]) -> list[bytes]:
    """Give the parts of an embedded message with the field's prefix in front."""
    return [length_prefix(tag, sum(map(len, parts))), *parts]


@dataclass(slots=True)
class ScopeSpans:
    """The spans of one instrumentation scope, each as its encoded bytes.

    Attributes:
        header: the encoded ScopeSpans without its spans: scope, schema URL, unknown fields.
        spans: encoded Span messages, in the order that they came.
        appended: what is to go behind a span's bytes, by its index.

    """

    header: bytes
    spans: list[bytes] = field(default_factory=list)
    appended: dict[int, bytes] = field(default_factory=dict)

    def parts(self) -> list[bytes]:
        """Give the encoded ScopeSpans in pieces."""
        parts = [self.header]
        for span, appended in self.annotated():
            parts += (length_prefix(SPANS_TAG, len(span) + len(appended)), span, appended)
        return parts

    def annotated(self) -> Iterator[tuple[bytes, bytes]]:
        """Give each span with what is to go behind it."""
        for index, span in enumerate(self.spans):
            yield span, self.appended.get(index, b"")

    def add(self, span: bytes, appended: bytes) -> None:
        """Put a span behind the others."""
        self.appended[len(self.spans)] = appended
        self.spans.append(span)


@dataclass(slots=True)
class ResourceSpans:
    """The spans of one resource.

    Attributes:
        header: the encoded ResourceSpans without its scope_spans: resource, schema URL, unknown
            fields.
        resource: the encoded Resource, for whoever wants to read it.
        scopes: one for each ScopeSpans, in the order that they came.

    """

    header: bytes
    resource: bytes
    scopes: list[ScopeSpans] = field(default_factory=list)

    def parts(self) -> list[bytes]:
        """Give the encoded ResourceSpans in pieces."""
        parts = [self.header]
        for scope in self.scopes:
            parts += message(SCOPE_SPANS_TAG, scope.parts())
        return parts


@dataclass(slots=True)
class TraceRequest:
    """One ExportTraceServiceRequest.

    Attributes:
        header: the request's own unknown fields, encoded.
        resources: one for each ResourceSpans, in the order that they came.

    """

    header: bytes = b""
    resources: list[ResourceSpans] = field(default_factory=list)

    def parts(self) -> list[bytes]:
        """Give the encoded request in pieces."""
        parts: list[bytes] = []
        for resource in self.resources:
            parts += message(RESOURCE_SPANS_TAG, resource.parts())
        # Behind the others: what begins with a field that OTLP has not may look compressed.
        return [*parts, self.header]

    def encode(self) -> bytes:
        """Give the request as protobuf."""
        return b"".join(self.parts())

    def scopes(self) -> Iterator[tuple[ResourceSpans, ScopeSpans]]:
        """Give every scope with its resource."""
        for resource in self.resources:
            for scope in resource.scopes:
                yield resource, scope

    def max_encoded_bytes(self) -> int:
        """Give a size that the encoded request does not exceed: all prefixes at their longest."""
        size = len(self.header)
        for resource in self.resources:
            size += MAX_PREFIX_BYTES + len(resource.header)
        for _, scope in self.scopes():
            size += MAX_PREFIX_BYTES + len(scope.header)
            size += MAX_PREFIX_BYTES * len(scope.spans) + sum(map(len, scope.spans))
            size += sum(map(len, scope.appended.values()))
        return size

    def appended_count(self) -> int:
        """Count the spans that something is to go behind."""
        return sum(sum(map(bool, scope.appended.values())) for _, scope in self.scopes())

    def span_count(self) -> int:
        """Count the spans."""
        return sum(len(scope.spans) for _, scope in self.scopes())


def parse_request(encoded: bytes) -> TraceRequest:
    """Read an ExportTraceServiceRequest down to its spans, which stay bytes.

    Raises:
        MalformedRequestError: these bytes are not such a message.

    """
    try:
        request = pb.TraceRequest.FromString(encoded)
    except DecodeError as error:
        raise MalformedRequestError("the request is not a valid protobuf message") from error
    resources = [_resource_spans(resource) for resource in request.resource_spans]
    request.ClearField("resource_spans")
    return TraceRequest(request.SerializeToString(), resources)


def _resource_spans(parsed: pb.ResourceSpans) -> ResourceSpans:
    scopes = [_scope_spans(scope) for scope in parsed.scope_spans]
    parsed.ClearField("scope_spans")
    return ResourceSpans(parsed.SerializeToString(), b"".join(parsed.resource), scopes)


def _scope_spans(parsed: pb.ScopeSpans) -> ScopeSpans:
    spans = list(parsed.spans)
    parsed.ClearField("spans")
    return ScopeSpans(parsed.SerializeToString(), spans)
