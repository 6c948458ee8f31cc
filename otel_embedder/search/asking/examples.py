"""Examples as they are told: with ids in hex, and a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_embedder.otlp.spans import NANOSECONDS_PER_MILLISECOND
from otel_embedder.search.asking.answers import FoundExample

if TYPE_CHECKING:
    from otel_embedder.search.entries import Example
    from otel_embedder.search.links import TraceLink


def found_example(example: Example, link: TraceLink) -> FoundExample:
    """Give an example as it is told."""
    trace_id, span_id = example.trace_id.hex(), example.span_id.hex()
    return FoundExample(
        trace_id, span_id, example.time, milliseconds_of(example), link(trace_id, span_id)
    )


def milliseconds_of(example: Example) -> float | None:
    """Give how long an example took, None if that is unknown."""
    duration = example.duration
    return None if duration is None else duration / NANOSECONDS_PER_MILLISECOND
