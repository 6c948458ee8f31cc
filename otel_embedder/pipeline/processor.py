"""One request through: render every span, embed the texts, annotate, pass on.

All but the last has its time, and what is not done by then goes without: a span
that was not rendered is one that has no vector.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError

from otel_embedder.annotation.work import StandingCounter, collect
from otel_embedder.errors import MalformedRequestError
from otel_embedder.fairness import Turn
from otel_embedder.pipeline.budget import Budget
from otel_embedder.pipeline.echoes import Echoes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.work import SpanRenderer, Work
    from otel_embedder.embedder.embedding import Embedding, Wanted
    from otel_embedder.otlp.call import Call, Metadata
    from otel_embedder.otlp.wire import TraceRequest


# Requests that take turns at rendering. With more of them, whoever waits for the event loop would
# wait for a turn of each.
MAX_AT_WORK = 4


class SpanEmbedder(Protocol):
    """Embeds texts within a time limit, whatever happens."""

    async def embed(self, wanted: Sequence[Wanted], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - it answers by then, with stand-ins
        """Give an embedding for each, in order; None is no embedding."""
        ...


class Exporter(Protocol):
    """Sends requests on."""

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        """Send a request on by `deadline`, in the event loop's time, or raise ExportError."""
        ...


class ProcessorMetrics(StandingCounter, Protocol):
    """What the processor tells of its work."""

    def came_back(self, *, spans: int) -> None:
        """Count spans that were sent on from here before."""
        ...


class Processor:
    """Annotates the spans of a request, then hands it to the exporter."""

    def __init__(  # noqa: PLR0913 - one for each stage that it joins
        self,
        renderer: SpanRenderer,
        embedder: SpanEmbedder,
        annotator: Annotator,
        exporter: Exporter,
        *,
        embed_timeout: float,
        turn_seconds: float,
        metrics: ProcessorMetrics,
    ) -> None:
        self._renderer = renderer
        self._embedder = embedder
        self._annotator = annotator
        self._exporter = exporter
        self._budget = Budget(max_seconds=embed_timeout, clock=_now)
        self._turn_seconds = turn_seconds
        self._metrics = metrics
        self._at_work = asyncio.Semaphore(MAX_AT_WORK)
        self._echoes = Echoes(annotator)

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        """Annotate and send on; give the next hop's answer.

        Raises:
            MalformedRequestError: a span is not valid protobuf. Nothing was sent.
            ExportError: the next hop did not take the spans.

        """
        size = request.size
        end = self._budget.end(call.deadline, size)
        works = await self._render(request, end)
        embeddings = await self._embedder.embed(works, timeout=max(0.0, end - _now()))
        # What was late to end is part of what it takes from here on.
        with self._budget.learning(size, since=min(end, _now())):
            async with self._at_work:
                await self._annotate(request, works, embeddings)
            return await self._exporter.export(
                request, deadline=call.deadline, metadata=call.metadata
            )

    async def _render(self, request: TraceRequest, end: float) -> list[Work]:
        """Give what there is to do, rendered as far as that is possible until `end`."""
        try:
            async with self._at_work:
                if self._echoes.is_echo(request):
                    self._metrics.came_back(spans=request.spans)
                return await self._collected(request, end)
        except DecodeError as error:
            raise MalformedRequestError("a span is not a valid protobuf message") from error

    async def _collected(self, request: TraceRequest, end: float) -> list[Work]:
        works: list[Work] = []
        late = asyncio.Event()
        turn = Turn(seconds=self._turn_seconds)
        for span, work in collect(
            request, self._renderer, self._annotator, self._metrics, is_late=late.is_set
        ):
            if work is not None:
                works.append(work)
            if turn.is_over(len(span.encoded)):
                await asyncio.sleep(0)
                if _now() >= end:
                    late.set()
        return works

    async def _annotate(
        self, request: TraceRequest, works: list[Work], embeddings: list[Embedding | None]
    ) -> None:
        turn = Turn(seconds=self._turn_seconds)
        for work, embedding in zip(works, embeddings, strict=True):
            if embedding is not None and work.wants(embedding):
                work.attach(self._annotator.attributes(embedding, work.content), request)
            if turn.is_over():
                await asyncio.sleep(0)
        self._echoes.remember(request)


def _now() -> float:
    return asyncio.get_running_loop().time()
