"""Spans of requests, encoded, with their services; and those of some ids among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.annotation.work import spans_of as spans_of_request
from otel_embedder.otlp.spans import span_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.text.rendering import TextRenderer


def spans_of(
    requests: Iterable[TraceRequest], renderer: TextRenderer
) -> Iterator[tuple[bytes, str]]:
    """Give each span of requests, encoded, with the name of its service.

    Raises:
        google.protobuf.message.DecodeError: a resource is none.

    """
    for request in requests:
        for span, service in spans_of_request(request, renderer):
            yield span.encoded, service


def has_id(span: bytes, span_id: bytes) -> bool:
    """Tell whether an encoded span has this id.

    Raises:
        google.protobuf.message.DecodeError: it is not a Span.

    """
    # To look for the bytes is cheaper than to read every span.
    return span_id in span and span_ids(span).span_id == span_id


def find_spans(
    spans: Iterable[tuple[bytes, str]], span_ids: Iterable[str]
) -> Iterator[tuple[str, bytes, str]]:
    """Give each of these ids in hex with the first span that has it, and that span's service.

    They come when they are found, in the order of the spans; no more is read than that takes.

    Raises:
        google.protobuf.message.DecodeError: something is not a Span.

    """
    missing = {span_id: bytes.fromhex(span_id) for span_id in span_ids}
    for span, service in spans:
        for name in [name for name, span_id in missing.items() if has_id(span, span_id)]:
            del missing[name]
            yield name, span, service
        if not missing:
            return
