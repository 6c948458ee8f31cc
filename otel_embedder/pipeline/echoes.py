"""Spans that come back: what a wrong address makes of a pipeline.

A next hop that is this very sidecar is found in the settings. A way through
other sidecars is found by a header that each adds its own id to. A Collector
passes no headers on, so of a way through one only the spans themselves tell:
they come back with the vector that they were sent on with.

This process makes no spans of its own, so it can't embed its own telemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import LRUCache

from otel_embedder.annotation.standing import Standing
from otel_embedder.errors import LOOP_REMEDY
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.annotation.annotator import Annotator

LOOP_SUSPECTED = "loop.suspected"


# Requests whose first span is remembered: some seconds of them, in a megabyte.
MAX_REMEMBERED = 4_096


log = get_logger()


class Echoes:
    """Recognises requests that were annotated here a moment ago, by one span of each.

    A span that is sent again after a failure comes without our vector: it is no echo.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._sent: LRUCache[tuple[bytes, bytes], None] = LRUCache(MAX_REMEMBERED)
        self._is_logged = False

    def remember(self, span: bytes) -> None:
        """Remember a span that goes on with a vector.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        self._sent[_identity(span)] = None

    def is_echo(self, span: bytes) -> bool:
        """Tell whether a span has come back with the vector that it was sent on with.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        if _identity(span) not in self._sent:
            return False
        is_echo = self._annotator.standing(span) is Standing.CURRENT
        if is_echo and not self._is_logged:
            self._is_logged = True
            log.warning(LOOP_SUSPECTED, remedy=LOOP_REMEDY)
        return is_echo


def _identity(span: bytes) -> tuple[bytes, bytes]:
    """Give trace and span id."""
    # A message with bytes in its fields 1 and 2 reads just these of a span.
    ids = pb.KeyValue.FromString(span)
    return ids.key, ids.value
