from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.otlp.spans import span_milliseconds
from tests.support.otlp_samples import START, span


def test_a_span_took_the_time_between_its_start_and_its_end() -> None:
    assert span_milliseconds(span(milliseconds=2500.25).SerializeToString()) == 2500.25
    assert span_milliseconds(span(milliseconds=0).SerializeToString()) == 0


@pytest.mark.parametrize(
    "made",
    [
        Span(),
        Span(end_time_unix_nano=START),
        Span(start_time_unix_nano=START),
        Span(start_time_unix_nano=START, end_time_unix_nano=START - 1),
    ],
    ids=["no times", "no start", "no end", "ends before it starts"],
)
def test_times_that_don_t_tell_how_long_it_took_are_not_taken_for_zero(made: Span) -> None:
    assert span_milliseconds(made.SerializeToString()) is None
