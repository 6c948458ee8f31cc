"""Requests in the wire view, for tests: annotated, told apart, cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.exporter.splitting import Splitter
from otel_embedder.otlp.layouts import Layouts
from otel_embedder.otlp.volatile import VolatileValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.exporter.splitting import Chunk
    from otel_embedder.otlp.wire import Span, TraceRequest


class Placed(NamedTuple):
    """A span with what stands above it, all of it encoded."""

    resource: bytes
    scope: bytes
    span: bytes


def new_layouts() -> Layouts:
    """Give layouts for texts that leave nothing out."""
    return Layouts(VolatileValues(lambda _: False))


def spans_of(request: TraceRequest) -> list[Span]:
    """Give all spans of a request."""
    return [span for _, scope in request.scopes() for span in scope.spans]


def annotate_all(request: TraceRequest, attributes: bytes) -> TraceRequest:
    """Let attributes go behind each span of a request, and give it."""
    for span in spans_of(request):
        request.add(span, attributes)
    return request


def encoded_spans(request: TraceRequest) -> list[bytes]:
    """Give each span as it will leave."""
    return [span.encoded + span.added for span in spans_of(request)]


def placed(request: TraceRequest, *, bare: bool = False) -> list[Placed]:
    """Give each span in its place, as it will leave, or without what goes behind it."""
    return [
        Placed(resource.header, scope.header, span.encoded + (b"" if bare else span.added))
        for resource, scope in request.scopes()
        for span in scope.spans
    ]


def chunks_of(request: TraceRequest, max_bytes: int, *, is_strict: bool = True) -> Iterator[Chunk]:
    """Cut a request into chunks of at most so many bytes, but for spans that are larger."""
    splitter = Splitter(request, is_strict=is_strict)
    while not splitter.is_empty():
        yield splitter.next_chunk(max_bytes)


def split(request: TraceRequest, max_bytes: int) -> list[TraceRequest]:
    """Cut a request into requests of at most so many bytes, but for spans that are larger."""
    return [chunk.request for chunk in chunks_of(request, max_bytes)]
