from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator, Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import MalformedRequestError
from otel_embedder.exporter.splitting import split
from otel_embedder.otlp.wire import (
    ResourceSpans,
    ScopeSpans,
    TraceRequest,
    length_prefix,
    parse_request,
)
from tests.support.otlp_samples import UNKNOWN_FIELDS, field, messages, request, span, varint

ANNOTATOR = Annotator(
    Origin("a-model", "1"),
    encoding="array",
    prefix="embedding.",
    attach_text=False,
    max_remembered=100,
)
OURS = ANNOTATOR.attributes(Embedding(np.ones(3, np.float32), "a-model", "model"), "a text")

EXAMPLES = settings(deadline=None, max_examples=30)
REQUESTS = messages(ExportTraceServiceRequest)
REQUESTS_OF_A_LATER_VERSION = messages(ExportTraceServiceRequest, unknown=True)

# A value for a field of each type that is neither a message nor repeated.
SAMPLES: dict[int, object] = {
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BYTES: b"bytes",
    FieldDescriptor.TYPE_ENUM: 2,
    FieldDescriptor.TYPE_UINT32: 7,
    FieldDescriptor.TYPE_FIXED32: 257,
    FieldDescriptor.TYPE_FIXED64: 2**60,
}

# What no encoder writes but every decoder must take.
ODD_SPANS = {
    "a name twice": field(5, b"first") + field(5, b"second"),
    "a status in two pieces": field(15, field(2, b"message")) + field(15, b"\x18\x02"),
    "an empty status": field(15, b""),
    "an over-long varint": b"\x30\x82\x80\x80\x00",
    "a default written out": field(5, b"") + b"\x30\x00",
    "attributes among the rest": field(9, field(1, b"a")) + field(5, b"b") + field(9, b""),
    "a name that is not UTF-8": field(5, b"\xff\xfe"),
    "a name of another wire type": b"\x28\x01",
    "nothing at all": b"",
}


def annotate(wire: TraceRequest) -> TraceRequest:
    """Append our attributes to each span, as the processor does."""
    for _, scope in wire.scopes():
        scope.appended = dict.fromkeys(range(len(scope.spans)), OURS)
    return wire


def annotated(official: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Append our attributes to each span of the official message."""
    copy = ExportTraceServiceRequest.FromString(official.SerializeToString())
    for resource in copy.resource_spans:
        for scope in resource.scope_spans:
            for each in scope.spans:
                each.MergeFromString(OURS)
    return copy


def set_to_something(message: Span, described: FieldDescriptor) -> None:
    value = getattr(message, described.name)
    if described.is_repeated:
        value.add()
    elif described.message_type:
        value.SetInParent()
    else:
        setattr(message, described.name, SAMPLES[described.type])


def enclosed(*encoded_spans: bytes) -> bytes:
    """Give an encoded request around encoded spans."""
    return field(1, field(2, b"".join(field(2, each) for each in encoded_spans)))


def encoded_spans(wire: TraceRequest) -> list[bytes]:
    return [each + behind for _, scope in wire.scopes() for each, behind in scope.annotated()]


def placed(wire: TraceRequest) -> list[tuple[bytes, bytes, bytes]]:
    """Give every span with what stands above it."""
    return [
        (resource.header, scope.header, each + behind)
        for resource, scope in wire.scopes()
        for each, behind in scope.annotated()
    ]


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION)
def test_what_comes_in_goes_out(official: ExportTraceServiceRequest) -> None:
    encoded = parse_request(official.SerializeToString()).encode()

    # As bytes, for NaN is not equal to itself.
    out = ExportTraceServiceRequest.FromString(encoded)
    assert out.SerializeToString() == official.SerializeToString()


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION)
def test_what_comes_in_goes_out_with_our_attributes_and_nothing_else(
    official: ExportTraceServiceRequest,
) -> None:
    encoded = annotate(parse_request(official.SerializeToString())).encode()

    out = ExportTraceServiceRequest.FromString(encoded)
    assert out.SerializeToString() == annotated(official).SerializeToString()


@EXAMPLES
@given(REQUESTS)
def test_every_span_begins_with_the_bytes_that_came_in(official: ExportTraceServiceRequest) -> None:
    before = encoded_spans(parse_request(official.SerializeToString()))

    wire = annotate(parse_request(official.SerializeToString()))
    after = encoded_spans(parse_request(wire.encode()))

    assert after == [each + OURS for each in before]


@pytest.mark.parametrize("described", [*Span.DESCRIPTOR.fields], ids=lambda each: each.name)
def test_every_field_of_a_span_is_kept(described: FieldDescriptor) -> None:
    official = Span()
    set_to_something(official, described)

    wire = annotate(parse_request(request(official).SerializeToString()))
    [out] = encoded_spans(parse_request(wire.encode()))

    assert out == official.SerializeToString() + OURS
    assert described in [found for found, _ in Span.FromString(out).ListFields()]


@pytest.mark.parametrize("unknown", UNKNOWN_FIELDS, ids=["varint", "64", "bytes", "group", "32"])
@pytest.mark.parametrize("level", ["request", "resource spans", "resource", "scope spans", "scope"])
def test_fields_of_a_later_version_are_kept(level: str, unknown: bytes) -> None:
    official = request(span())
    [resource] = official.resource_spans
    [scope] = resource.scope_spans
    levels = {
        "request": official,
        "resource spans": resource,
        "resource": resource.resource,
        "scope spans": scope,
        "scope": scope.scope,
    }
    levels[level].MergeFromString(unknown)

    out = ExportTraceServiceRequest.FromString(parse_request(official.SerializeToString()).encode())

    assert unknown in out.SerializeToString()
    assert out == official


@pytest.mark.parametrize("odd", [*ODD_SPANS.values()], ids=[*ODD_SPANS])
def test_a_span_leaves_as_the_bytes_that_came_in_however_odd(odd: bytes) -> None:
    wire = parse_request(enclosed(odd, b"", odd))

    assert encoded_spans(wire) == [odd, b"", odd]
    assert wire.encode() == enclosed(odd, b"", odd)


def test_lengths_may_be_encoded_longer_than_needed() -> None:
    wire = parse_request(b"\x0a\x86\x80\x00" + b"\x12\x83\x00" + b"\x12\x80\x00")

    assert encoded_spans(wire) == [b""]


def test_a_resource_encoded_in_two_pieces_stays_whole() -> None:
    first, second = field(1, field(1, b"one")), field(1, field(1, b"two"))
    official = field(1, field(1, first) + field(2, field(2, b"")) + field(1, second))

    wire = parse_request(official)

    assert wire.resources[0].resource == first + second
    assert ExportTraceServiceRequest.FromString(
        wire.encode()
    ) == ExportTraceServiceRequest.FromString(official)


def test_a_request_of_nothing_is_nothing() -> None:
    wire = parse_request(b"")

    assert wire.span_count() == 0
    assert wire.encode() == b""


def test_resources_and_scopes_without_spans_are_kept() -> None:
    encoded = request(service="idle").SerializeToString()

    wire = parse_request(encoded)

    assert wire.span_count() == 0
    assert ExportTraceServiceRequest.FromString(wire.encode()) == request(service="idle")


def test_the_spans_of_all_scopes_count() -> None:
    official = request(span(), span())
    official.MergeFrom(request(span(), service="another"))

    assert parse_request(official.SerializeToString()).span_count() == 3


@pytest.mark.parametrize(
    "encoded",
    [b"\x0a\x05", b"not protobuf", b"\x0a\x02\x12\x7f", b"\x0c"],
    ids=["cut off", "text", "a scope cut off", "a group that never began"],
)
def test_what_is_not_protobuf_is_malformed(encoded: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="not a valid protobuf"):
        parse_request(encoded)


@given(st.integers(0, 2**31 - 1))
def test_a_length_is_written_as_protobuf_has_it(length: int) -> None:
    assert length_prefix(b"\x4a", length) == b"\x4a" + varint(length)


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.integers(1, 2_000))
def test_no_chunk_is_larger_than_it_may_be(
    official: ExportTraceServiceRequest, max_bytes: int
) -> None:
    chunks = split(parse_request(official.SerializeToString()), max_bytes)

    assert [
        chunk for chunk in chunks if len(chunk.encode()) > max_bytes and chunk.span_count() > 1
    ] == []


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.integers(1, 2_000))
def test_splitting_loses_no_span_doubles_none_and_keeps_their_order(
    official: ExportTraceServiceRequest, max_bytes: int
) -> None:
    wire = parse_request(official.SerializeToString())

    chunks = split(wire, max_bytes)

    assert [each for chunk in chunks for each in placed(chunk)] == placed(wire)
    assert {chunk.header for chunk in chunks} == {wire.header}
    assert all(chunk.span_count() for chunk in chunks) or wire.span_count() == 0


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.integers(1, 2_000))
def test_what_was_split_can_be_read_again(
    official: ExportTraceServiceRequest, max_bytes: int
) -> None:
    chunks = split(parse_request(official.SerializeToString()), max_bytes)

    again = [parse_request(chunk.encode()) for chunk in chunks]

    assert list(map(placed, again)) == list(map(placed, chunks))


def test_a_request_that_fits_goes_as_it_is() -> None:
    official = request(span(), span())
    official.MergeFrom(request(service="idle"))

    [chunk] = split(parse_request(official.SerializeToString()), 10_000)

    assert ExportTraceServiceRequest.FromString(chunk.encode()) == official


def test_chunks_are_as_full_as_they_may_be() -> None:
    encoded = b"x" * 94  # with its prefix at most 100
    wire = TraceRequest(b"", [ResourceSpans(b"", b"", [ScopeSpans(b"", [encoded] * 20)])])

    # 512: five spans, and the prefixes of a resource and a scope.
    assert [chunk.span_count() for chunk in split(wire, 512)] == [5, 5, 5, 5]
    assert [chunk.span_count() for chunk in split(wire, 511)] == [4, 4, 4, 4, 4]


def test_a_span_too_large_by_itself_goes_alone() -> None:
    large = span("x" * 2_000)
    official = request(span("before"), large, span("after"))

    chunks = split(parse_request(official.SerializeToString()), 500)

    assert [list(map(Span.FromString, encoded_spans(chunk))) for chunk in chunks] == [
        [span("before")],
        [large],
        [span("after")],
    ]


def test_splitting_repeats_resource_and_scope() -> None:
    official = request(span("first"), span("second"))

    chunks = split(parse_request(official.SerializeToString()), 1)

    assert [ExportTraceServiceRequest.FromString(chunk.encode()) for chunk in chunks] == [
        request(span("first")),
        request(span("second")),
    ]


def test_splitting_leaves_the_request_alone() -> None:
    wire = parse_request(request(span(), span()).SerializeToString())
    before = wire.encode()

    split(wire, 1)

    assert wire.encode() == before
