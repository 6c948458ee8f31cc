"""What one call of the library costs, for a trace that it knows and for one that it does not."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder import EmbeddingService
from otel_embedder.library.trace import from_otlp
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.library.trace import Trace


@dataclass(frozen=True, slots=True)
class Calls:
    """Milliseconds that calls took.

    Attributes:
        median: half of them took no longer.
        slowest: none took longer.

    """

    median: float
    slowest: float


def cached_and_uncached(count: int) -> tuple[Calls, Calls]:
    """Embed as many different traces one by one, twice; give the second round first."""
    return asyncio.run(_measured(different_traces(count)))


def different_traces(count: int) -> list[Trace]:
    """Make traces of ten attributes and some 90 word pieces."""
    requests = map(ExportTraceServiceRequest.FromString, requests_of_texts(count, texts=count))
    return [
        from_otlp(span, resource.resource)
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


async def _measured(traces: Sequence[Trace]) -> tuple[Calls, Calls]:
    async with EmbeddingService(cache_size=len(traces)) as service:
        await service.preload()
        await service.embed_text("the first text takes longer")
        unknown = await _milliseconds(service, traces)
        known = await _milliseconds(service, traces)
    return known, unknown


async def _milliseconds(service: EmbeddingService, traces: Sequence[Trace]) -> Calls:
    took = []
    for trace in traces:
        started = time.perf_counter()
        await service.embed_trace(trace)
        took.append((time.perf_counter() - started) * 1_000)
    return Calls(statistics.median(took), max(took))
