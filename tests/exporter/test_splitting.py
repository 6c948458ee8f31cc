from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.exporter.splitting import MAX_PARTS, Chunk, Splitter
from otel_embedder.otlp.wire import ResourceSpans, ScopeSpans, TraceRequest, parse_request
from otel_embedder.otlp.wire import Span as WireSpan
from tests.support.otlp_samples import field, messages, request, span
from tests.support.wire import annotate_all, chunks_of, encoded_spans, placed, spans_of, split

EXAMPLES = settings(deadline=None, max_examples=30)
REQUESTS_OF_A_LATER_VERSION = messages(ExportTraceServiceRequest, unknown=True)
ATTRIBUTES = field(9, field(1, b"k")) * 100


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.integers(1, 2_000))
def test_no_chunk_is_larger_than_it_may_be(
    official: ExportTraceServiceRequest, max_bytes: int
) -> None:
    chunks = split(parse_request(official.SerializeToString()), max_bytes)

    assert [chunk for chunk in chunks if len(chunk.encode()) > max_bytes and chunk.spans > 1] == []


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.integers(1, 2_000))
def test_splitting_loses_no_span_doubles_none_and_keeps_their_order(
    official: ExportTraceServiceRequest, max_bytes: int
) -> None:
    wire = parse_request(official.SerializeToString())

    chunks = split(wire, max_bytes)

    assert [each for chunk in chunks for each in placed(chunk)] == placed(wire)
    assert {chunk.header for chunk in chunks} == {wire.header}
    assert all(chunk.spans for chunk in chunks) or wire.spans == 0


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
    spans = [WireSpan(encoded) for _ in range(20)]
    wire = TraceRequest.of([ResourceSpans(b"", [], [ScopeSpans(b"", spans)])])

    # 512: five spans, and the prefixes of a resource and a scope.
    assert [chunk.spans for chunk in split(wire, 512)] == [5, 5, 5, 5]
    assert [chunk.spans for chunk in split(wire, 511)] == [4, 4, 4, 4, 4]


def test_no_chunk_has_more_parts_than_are_cut_in_a_moment() -> None:
    spans = [WireSpan(b"") for _ in range(2 * MAX_PARTS)]
    wire = TraceRequest.of([ResourceSpans(b"", [], [ScopeSpans(b"", spans)])])

    first, second, rest = (chunk.spans for chunk in split(wire, 10_000_000))

    # Beside them stand a scope and a resource in each.
    assert (first, second, rest) == (MAX_PARTS - 2, MAX_PARTS - 2, 4)


def test_where_each_span_has_a_resource_a_chunk_has_a_third_as_many() -> None:
    resources = [
        ResourceSpans(b"", [], [ScopeSpans(b"", [WireSpan(b"")])]) for _ in range(MAX_PARTS // 2)
    ]

    chunks = split(TraceRequest.of(resources), 10_000_000)

    assert [chunk.spans for chunk in chunks] == [MAX_PARTS // 3, MAX_PARTS // 2 - MAX_PARTS // 3]


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


@EXAMPLES
@given(REQUESTS_OF_A_LATER_VERSION, st.lists(st.integers(1, 2_000), min_size=1))
def test_each_chunk_is_as_large_as_is_allowed_when_it_is_asked_for(
    official: ExportTraceServiceRequest, limits: list[int]
) -> None:
    wire = annotate_all(parse_request(official.SerializeToString()), ATTRIBUTES)
    splitter = Splitter(wire)
    chunks: list[Chunk] = []
    while not splitter.is_empty():
        limit = limits[len(chunks) % len(limits)]
        chunk = splitter.next_chunk(limit)
        chunks.append(chunk)

        encoded = chunk.request.encode()
        assert chunk.request.spans <= 1 or len(encoded) <= limit
        assert chunk.request.size >= len(encoded) == chunk.request.encoded_size()

    requests = [chunk.request for chunk in chunks]
    assert [one for each in requests for one in placed(each, bare=True)] == placed(wire, bare=True)
    assert sum(each.spans for each in requests) == wire.spans
    bare = [each for each in requests for one in spans_of(each) if not one.added]
    assert sum(chunk.bare_spans for chunk in chunks) == len(bare)


def test_a_span_too_large_only_with_what_goes_behind_it_goes_without() -> None:
    wire = annotate_all(
        parse_request(request(span("a"), span("b")).SerializeToString()), ATTRIBUTES
    )
    limit = parse_request(request(span("a")).SerializeToString()).size

    chunks = [*chunks_of(wire, limit)]

    assert [chunk.bare_spans for chunk in chunks] == [1, 1]
    assert [encoded_spans(chunk.request) for chunk in chunks] == [
        [span("a").SerializeToString()],
        [span("b").SerializeToString()],
    ]
    assert encoded_spans(wire) == [
        each.SerializeToString() + ATTRIBUTES for each in (span("a"), span("b"))
    ]


@pytest.mark.parametrize(
    ("service", "unknown"), [("s" * 2_000, b""), ("shop", field(9, b"u" * 2_000))]
)
def test_what_is_large_above_the_spans_is_not_sent_with_each_of_them(
    service: str, unknown: bytes
) -> None:
    official = request(*[span(f"span {number}") for number in range(500)], service=service)
    wire = parse_request(official.SerializeToString() + unknown)

    for max_bytes in (1_000, 2_100, 4_000):
        chunks = [*chunks_of(wire, max_bytes, is_strict=False)]
        requests = [chunk.request for chunk in chunks]

        assert [one for each in requests for one in placed(each)] == placed(wire)
        assert sum(len(each.encode()) for each in requests) < 5 * len(wire.encode())
        assert max(each.size for each in requests) <= max(max_bytes, 2_000 * 4 / 3 + 100)
