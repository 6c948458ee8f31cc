"""Spans that come back: what a wrong address makes of a pipeline.

A next hop that is this very sidecar is found in the settings. A way through
other sidecars is found by a header that each adds its own id to. A Collector
passes no headers on, so of a way through one only the spans themselves tell:
they come back with the vector that they were sent on with.

Spans of its own work are known by their scope and never embedded: see `otlp.own`.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from otel_embedder.annotation.standing import Standing
from otel_embedder.errors import LOOP_REMEDY
from otel_embedder.otlp.spans import span_ids
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.otlp.wire import Span, TraceRequest

LOOP_SUSPECTED = "loop.suspected"

# Requests of which a span is remembered: some seconds of them, in a megabyte.
MAX_REMEMBERED = 4_096
# How many spans with somebody else's vector may come before the one that stands for a request.
MAX_LOOKED_AT = 16

log = get_logger()


class Representative(NamedTuple):
    """The span that stands for a request.

    Attributes:
        span: it, one of the request's.
        standing: what it came with.

    """

    span: Span
    standing: Standing


class Echoes:
    """Recognises requests that were annotated here a moment ago, by one span of each.

    A span that is sent again after a failure comes without our vector: it is no echo.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        # Whether the span came with nothing of ours.
        self._sent: LRUCache[SpanIds, bool] = LRUCache(MAX_REMEMBERED)
        self._is_logged = False

    def remember(self, representative: Representative | None) -> None:
        """Remember a request that goes on, by the span that stands for it.

        Raises:
            google.protobuf.message.DecodeError: that is none.

        """
        # What came with its vector may be an archive, sent again on purpose.
        if representative is not None and representative.span.added:
            span = representative.span
            self._sent[span_ids(span.encoded)] = not span.origin

    def is_echo(self, representative: Representative | None) -> bool:
        """Tell whether a request has come back with the vectors that it was sent on with.

        Args:
            representative: the span that stands for it.

        Raises:
            google.protobuf.message.DecodeError: that is none.

        """
        if representative is None:
            return False
        span, standing = representative
        if standing not in {Standing.CURRENT, Standing.REFERRING}:
            return False
        came_bare = self._sent.get(span_ids(span.encoded))
        # What refers to a vector may have done so before, and come again after a failure.
        is_echo = came_bare is not None and (came_bare or standing is Standing.CURRENT)
        if is_echo and not self._is_logged:
            self._is_logged = True
            log.warning(LOOP_SUSPECTED, remedy=LOOP_REMEDY)
        return is_echo

    def representative(self, request: TraceRequest) -> Representative | None:
        """Give the span that stands for a request, going or coming back: the first of our business.

        What has somebody else's vector has it then as now, and never gets ours; nor do spans of
        sidecars' own work.

        Raises:
            google.protobuf.message.DecodeError: one before it is no Span.

        """
        scopes = (scope for _, scope in request.scopes() if not scope.is_own)
        spans = chain.from_iterable(scope.spans for scope in scopes)
        for span in islice(spans, MAX_LOOKED_AT):
            standing = self._annotator.standing(span.encoded)
            if standing is not Standing.FOREIGN:
                return Representative(span, standing)
        return None
