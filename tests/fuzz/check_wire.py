"""What must hold of any bytes that come as a request: nothing is lost, nothing changed."""

from __future__ import annotations

import zlib
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.wire import parse_request
from tests.fuzz.encoded import Field, fields
from tests.support.wire import annotate_all, chunks_of, placed, spans_of

if TYPE_CHECKING:
    from otel_embedder.otlp.wire import TraceRequest

VECTOR = np.array([0.6, 0.8], np.float32)
ANNOTATOR = Annotator(
    Origin("a-model", "1"),
    encoding="array",
    prefix="embedding.",
    attach_text=True,
    max_remembered=1,
)
OURS = ANNOTATOR.attributes(Embedding(VECTOR, "a-model", "model"), "a text")

# The field that holds what we go down to: resource_spans, scope_spans, spans.
WAY_TO_SPANS = (1, 2, 2)

# More would only take time: each is cut into as many requests as it has spans.
MAX_CHECKED_SPANS = 64

Outline = Union[bytes, "Level"]


class Level(NamedTuple):
    """A message on the way to the spans, as what stands beside that way and what lies below."""

    beside: list[Field]
    below: tuple[Outline, ...]


def check_wire(encoded: bytes) -> None:
    """Check that a request leaves as what came in: whole, in parts, and with attributes of ours."""
    official = official_request(encoded)
    try:
        request = parse_request(encoded)
    except MalformedRequestError:
        assert official is None, "what is OTLP was refused"
        return
    check_same(encoded, request.encode())
    if request.spans <= MAX_CHECKED_SPANS:
        check_annotating(request)
        for limit in limits(encoded):
            check_splitting(request, limit)


def check_same(encoded: bytes, leaving: bytes) -> None:
    """Check that two encodings say the same, with each span's bytes as they were."""
    assert outline(leaving, WAY_TO_SPANS) == outline(encoded, WAY_TO_SPANS)
    official = official_request(encoded)
    if official is not None:
        # As bytes, for NaN is not equal to itself.
        same = ExportTraceServiceRequest.FromString(leaving)
        assert same.SerializeToString() == official.SerializeToString()


def official_request(encoded: bytes) -> ExportTraceServiceRequest | None:
    """Give the request as OTLP's own messages have it, None if they can't read it."""
    try:
        return ExportTraceServiceRequest.FromString(encoded)
    except DecodeError:
        return None


def outline(encoded: bytes, way: tuple[int, ...]) -> Outline:
    """Give what a message says however its fields are mixed, down to the bytes of spans."""
    if not way:
        return encoded
    number, *deeper = way
    below: list[bytes] = []
    beside: list[Field] = []
    for field in fields(encoded):
        if field.number == number and isinstance(field.value, bytes):
            below.append(field.value)
        else:
            beside.append(field)
    return Level(by_number(beside), tuple(outline(each, tuple(deeper)) for each in below))


def by_number(found: list[Field]) -> list[Field]:
    """Sort fields by number and wire type: the order counts only within one of these."""
    return sorted(found, key=itemgetter(0, 1))


def limits(encoded: bytes) -> set[int]:
    """Give sizes to split at, by the input itself, so that it fails again if it fails once."""
    size = len(encoded)
    return {1, size // 2, zlib.crc32(encoded) % (size + 1)}


def check_splitting(request: TraceRequest, limit: int) -> None:
    """Check that the parts have every span once, in its place, and no part is too large."""
    before = request.encode()
    chunks = [*chunks_of(request, limit)]
    parts = [chunk.request for chunk in chunks]
    assert request.encode() == before
    assert [each for part in parts for each in placed(part, bare=True)] == placed(
        request, bare=True
    )
    assert {part.header for part in parts} == {request.header}
    for chunk in chunks:
        cut = chunk.request.encode()
        assert len(cut) <= limit or chunk.request.spans <= 1
        assert placed(parse_request(cut)) == placed(chunk.request)
    assert sum(chunk.bare_spans for chunk in chunks) == sum(
        not span.added for part in parts for span in spans_of(part)
    )


def check_annotating(request: TraceRequest) -> None:
    """Put our attributes behind every span, and check that they come off again."""
    for encoded in {span.encoded for span in spans_of(request)}:
        check_span(encoded)
    annotate_all(request, OURS)
    assert len(request.encode()) <= request.size


def check_span(span: bytes) -> None:
    """Check that a span with our attributes has them, and without them is what it was."""
    annotated = span + OURS
    try:
        # One that was cut short would take what is appended for its own end.
        before = fields(span)
        standing = ANNOTATOR.standing(annotated)
        bare = fields(ANNOTATOR.stripped(annotated))
    except DecodeError:
        assert not is_official(span), "a span that is OTLP was refused"
        return
    assert standing is Standing.CURRENT
    np.testing.assert_array_equal(ANNOTATOR.vector(annotated, dimension=2), VECTOR)
    if ANNOTATOR.standing(span) is not Standing.FOREIGN:  # which never gets ours
        assert by_number(bare) == by_number(fields(ANNOTATOR.stripped(span)))
    if ANNOTATOR.standing(span) is Standing.NONE:
        assert by_number(bare) == by_number(before)


def is_official(span: bytes) -> bool:
    """Tell whether OTLP's own message can read a span."""
    try:
        Span.FromString(span)
    except DecodeError:
        return False
    return True
