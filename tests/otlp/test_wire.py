from __future__ import annotations

import tracemalloc
from dataclasses import astuple

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.wire import TraceRequest, length_prefix, parse_request
from tests.support.otlp_samples import UNKNOWN_FIELDS, field, messages, request, span, varint
from tests.support.wire import annotate_all, encoded_spans, spans_of

ANNOTATOR = Annotator(
    Origin("a-model", "1"),
    encoding="array",
    prefix="embedding.",
    attach_text=False,
    max_remembered=100,
)
OURS = ANNOTATOR.attributes(Embedding(np.ones(3, np.float32), "a-model", "model"), "a text")

MEGABYTE = 1_000_000
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
    encoded = annotate_all(parse_request(official.SerializeToString()), OURS).encode()

    out = ExportTraceServiceRequest.FromString(encoded)
    assert out.SerializeToString() == annotated(official).SerializeToString()


@EXAMPLES
@given(REQUESTS)
def test_every_span_begins_with_the_bytes_that_came_in(official: ExportTraceServiceRequest) -> None:
    before = encoded_spans(parse_request(official.SerializeToString()))

    wire = annotate_all(parse_request(official.SerializeToString()), OURS)
    after = encoded_spans(parse_request(wire.encode()))

    assert after == [each + OURS for each in before]


@pytest.mark.parametrize("described", [*Span.DESCRIPTOR.fields], ids=lambda each: each.name)
def test_every_field_of_a_span_is_kept(described: FieldDescriptor) -> None:
    official = Span()
    set_to_something(official, described)

    wire = annotate_all(parse_request(request(official).SerializeToString()), OURS)
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


def parsed_with_peak(encoded: bytes) -> tuple[TraceRequest, int]:
    """Parse a request; give how many bytes were held beside it at the most, too."""
    tracemalloc.start()
    try:
        return parse_request(encoded), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("level", ["request", "resource spans", "scope spans"])
def test_of_many_small_fields_nothing_is_held_but_their_bytes(level: str) -> None:
    many = bytes([15 << 3, 1]) * 100_000
    encoded = {
        "request": many,
        "resource spans": field(1, many),
        "scope spans": field(1, field(2, many)),
    }[level]
    parsed, peak = parsed_with_peak(encoded)

    assert parsed.encode() == encoded
    assert peak < 8 * len(encoded)  # as an object each had some 40 bytes, it would be 20 times


@pytest.mark.parametrize("odd", [*ODD_SPANS.values()], ids=[*ODD_SPANS])
def test_a_span_leaves_as_the_bytes_that_came_in_however_odd(odd: bytes) -> None:
    wire = parse_request(enclosed(odd, b"", odd))

    assert encoded_spans(wire) == [odd, b"", odd]
    assert wire.encode() == enclosed(odd, b"", odd)


def test_lengths_may_be_encoded_longer_than_needed() -> None:
    wire = parse_request(b"\x0a\x86\x80\x00" + b"\x12\x83\x00" + b"\x12\x80\x00")

    assert encoded_spans(wire) == [b""]


@pytest.mark.parametrize("beside", [b"", field(3, b"schema"), field(99, b"") * 3])
def test_a_resource_encoded_in_two_pieces_stays_whole(beside: bytes) -> None:
    first, second = field(1, field(1, b"1" * 3)), field(1, field(1, b"2" * 200))
    pieces = beside, field(1, first), field(2, field(2, b"")), beside, field(1, second), beside
    official = field(1, b"".join(pieces))

    wire = parse_request(official)

    assert wire.resources[0].resource == first + second
    assert ExportTraceServiceRequest.FromString(
        wire.encode()
    ) == ExportTraceServiceRequest.FromString(official)


def test_of_a_large_resource_there_is_one_copy() -> None:
    encoded = field(1, field(1, field(1, field(1, b"k" * MEGABYTE))))
    wire, peak = parsed_with_peak(encoded)

    assert len(encoded) < peak < 1.5 * len(encoded)
    assert len(wire.resources[0].resource) > MEGABYTE


def test_a_request_of_nothing_is_nothing() -> None:
    wire = parse_request(b"")

    assert wire.spans == 0
    assert wire.encode() == b""


def test_resources_and_scopes_without_spans_are_kept() -> None:
    encoded = request(service="idle").SerializeToString()

    wire = parse_request(encoded)

    assert wire.spans == 0
    assert ExportTraceServiceRequest.FromString(wire.encode()) == request(service="idle")


def test_the_spans_of_all_scopes_count() -> None:
    official = request(span(), span())
    official.MergeFrom(request(span(), service="another"))

    assert parse_request(official.SerializeToString()).spans == 3


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
@given(REQUESTS_OF_A_LATER_VERSION, st.data())
def test_a_request_is_never_larger_than_its_size(
    official: ExportTraceServiceRequest, data: st.DataObject
) -> None:
    wire = parse_request(official.SerializeToString())
    sizes = [wire.size - len(wire.encode())]
    for each in spans_of(wire):
        wire.add(each, data.draw(st.binary(max_size=300)))
        wire.replace(each, data.draw(st.binary(max_size=300)))
        wire.add(each, data.draw(st.binary(max_size=300)))
        sizes.append(wire.size - len(wire.encode()))

    prefixes = 1 + wire.spans + sum(1 for _ in wire.scopes()) + len(wire.resources)
    assert all(0 <= size <= 4 * prefixes for size in sizes)


def test_of_what_a_span_came_as_only_the_digest_is_kept() -> None:
    wire = parse_request(enclosed(b"\x2a\x04long", b"\x2a\x05other"))
    each, other = spans_of(wire)
    came_as, digest = each.encoded, each.digest()
    for encoded in (b"", b"\x2a\x01a"):
        wire.replace(each, encoded)

    assert each.digest() == each.bare().digest() == digest != other.digest()
    assert came_as not in astuple(each)


def test_a_bare_request_has_the_same_spans_and_leaves_the_other_alone() -> None:
    encoded = request(span("a"), span("b")).SerializeToString()
    wire = annotate_all(parse_request(encoded), OURS)
    before = wire.encode()

    bare = wire.bare()

    assert (bare.is_bare(), wire.is_bare()) == (True, False)
    assert bare.encode() == parse_request(encoded).encode()
    assert wire.encode() == before
