"""Where spans stand in their traces, as they tell it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.otlp.layouts import ENDED, PARENT_SPAN, SPAN, STARTED, TRACE
from otel_embedder.otlp.remembered import Remembered
from otel_embedder.otlp.spans import code_of
from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.search.recording.columns import Places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_embedder.otlp.layouts import Numbers

_STATUSES = Remembered(code_of)


def read_places(spans: Iterable[bytes]) -> Places:
    """Give the places of some encoded Spans.

    Raises:
        google.protobuf.message.DecodeError: one is not a Span.

    """
    places = [*map(pb.SpanPlace.FromString, spans)]
    return Places(
        np.array([place.trace_id for place in places], "S16").view(np.uint64).reshape(-1, 2),
        np.array([place.span_id for place in places], "S8").view(np.uint64),
        np.array([place.parent_span_id for place in places], "S8").view(np.uint64),
        np.array([place.start_time_unix_nano for place in places], np.uint64),
        np.array([place.end_time_unix_nano for place in places], np.uint64),
        np.array([_STATUSES[place.status] for place in places], np.int8),
    )


def cut_places(own: Numbers, statuses: Iterable[int]) -> Places:
    """Give the places of spans of which ids and times were cut out.

    Args:
        own: these, shape (n, `layouts.NUMBERS`).
        statuses: of each.

    """
    return Places(
        own[:, TRACE],
        own[:, SPAN],
        own[:, PARENT_SPAN],
        own[:, STARTED],
        own[:, ENDED],
        np.fromiter(statuses, np.int8, len(own)),
    )
