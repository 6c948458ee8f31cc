"""Where spans stand in their traces, as they tell it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.otlp.layouts import ENDED, NUMBERS, PARENT_SPAN, SPAN, STARTED, TRACE
from otel_embedder.otlp.remembered import Remembered
from otel_embedder.otlp.spans import code_of
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.otlp.layouts import Numbers
    from otel_embedder.search.counts import Integers

_STATUSES = Remembered(code_of)


def read_places(spans: Iterable[bytes]) -> tuple[Numbers, Integers]:
    """Read some encoded Spans.

    Returns:
        What is each one's own, as it is cut out of others, shape (n, `layouts.NUMBERS`): of its
        trace's id 16 bytes, of other ids 8, cut or filled up where they are not. And its status,
        shape (n,): 0 UNSET, 1 OK, 2 ERROR.

    Raises:
        google.protobuf.message.DecodeError: one is not a Span.

    """
    places = [*map(pb.SpanPlace.FromString, spans)]
    own = np.empty((len(places), NUMBERS), np.uint64)
    traces = np.array([place.trace_id for place in places], "S16")
    own[:, TRACE] = traces.view(np.uint64).reshape(-1, 2)
    own[:, SPAN] = np.array([place.span_id for place in places], "S8").view(np.uint64)
    parents = np.array([place.parent_span_id for place in places], "S8")
    own[:, PARENT_SPAN] = parents.view(np.uint64)
    own[:, STARTED] = [place.start_time_unix_nano for place in places]
    own[:, ENDED] = [place.end_time_unix_nano for place in places]
    return own, np.array([_STATUSES[place.status] for place in places], np.int64)
