"""Reads a request's protobuf, within bounds of memory, leaving others their turn.

Bytes alone bound nothing here: a message of two bytes becomes a span, a scope or
a resource, each of them objects of some hundred bytes. So these are counted, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.errors import OtelEmbedderError, RequestTooLargeError
from otel_embedder.fairness import LOOK_BYTES, let_go
from otel_embedder.otlp.wire import RequestReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.fairness import SharedTurn
    from otel_embedder.otlp.wire import TraceRequest

# What a field that was read takes up in memory, at least: a span with its bytes, a resource.
FIELD_BYTES = 256
# So many a request may have beside its spans. Objects that are alive cost time as well: Python's
# garbage collector walks over all of them at once.
MAX_FIELDS = 131_072
# So many spans pass, however small they are; and more, if they have as many bytes as a span needs
# for its ids, a name and its times.
MIN_MAX_SPANS = 131_072
MIN_SPAN_BYTES = 56


async def parsed(encoded: bytes, turn: SharedTurn, *, grow: Callable[[int], None]) -> TraceRequest:
    """Give a request down to its spans.

    Args:
        encoded: it, inflated, of which as many bytes are admitted.
        turn: of what parses.
        grow: is told of what its objects take up besides, and may raise to end it.

    Raises:
        MalformedRequestError: it is not an ExportTraceServiceRequest.
        RequestTooLargeError: it is of more and smaller pieces than any request of real spans.

    """
    reader = RequestReader(encoded)
    purse = Purse(len(encoded), grow)
    try:
        for fields in reader.steps():
            purse.spend(fields, spans=reader.request.spans)
            if turn.is_over(LOOK_BYTES):  # a field may have any size
                await turn.let_others()
    except OtelEmbedderError:
        await _let_go_of(reader.request, turn)
        raise
    return reader.request


async def _let_go_of(request: TraceRequest, turn: SharedTurn) -> None:
    """Free what was read of a request, which whoever has the error still holds."""
    while request.resources:
        scopes = request.resources.pop().scopes
        while scopes:
            await let_go(scopes.pop().spans, turn)
        if turn.is_over():
            await turn.let_others()


class Purse:
    """What a request may be made of: by number, and by what is in flight."""

    def __init__(self, size: int, grow: Callable[[int], None]) -> None:
        self._max_spans = max(MIN_MAX_SPANS, size // MIN_SPAN_BYTES)
        self._grow = grow
        self._fields = 0
        self._admitted = size

    def spend(self, fields: int, *, spans: int) -> None:
        """Count so many more fields.

        Args:
            fields: those that were read since the last time.
            spans: how many of all were spans.

        Raises:
            BusyError: there is no room for them.
            RequestTooLargeError: these are too many.

        """
        self._fields += fields
        if spans > self._max_spans:
            raise RequestTooLargeError(
                f"more than {self._max_spans} spans of less than {MIN_SPAN_BYTES} bytes each"
            )
        if self._fields - spans > MAX_FIELDS:
            raise RequestTooLargeError(f"more than {MAX_FIELDS} fields beside the spans")
        more = self._fields * FIELD_BYTES - self._admitted
        if more > 0:
            self._grow(more)
            self._admitted += more
