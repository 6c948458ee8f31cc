"""One request through: render every span, embed the texts, annotate, pass on.

All but the last has its time, and what is not done by then goes without: a span
that was not rendered is one that has no vector.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError

from otel_embedder.annotation.targets import StandingCounter, find_target
from otel_embedder.embedder.embedding import UNKNOWN_TRACE_ID
from otel_embedder.errors import MalformedRequestError
from otel_embedder.fairness import Turn
from otel_embedder.pipeline.budget import Budget
from otel_embedder.pipeline.echoes import Echoes
from otel_embedder.proto import otlp_wire_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.targets import Target
    from otel_embedder.embedder.embedding import Embedding, Text
    from otel_embedder.otlp.call import Call, Metadata
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.text.renderer import Renderer


# Requests that take turns at rendering. With more of them, whoever waits for the event loop would
# wait for a turn of each.
MAX_AT_WORK = 4


class SpanEmbedder(Protocol):
    """Embeds texts within a time limit, whatever happens."""

    async def embed(self, texts: Sequence[Text], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - it answers by then, with stand-ins
        """Give one embedding a text, in order; None is no embedding."""
        ...

    async def without_text(self, trace_ids: Sequence[str]) -> list[Embedding | None]:
        """Give what spans get that have no text, in order; None is no embedding."""
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


@dataclass(slots=True)
class _Work:
    """What there is to do in a request.

    Attributes:
        targets: the spans to annotate.
        texts: the texts of as many of them as there was time to render, the first ones.
        late_traces: the trace ids of the others.

    """

    targets: list[Target] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    late_traces: list[str] = field(default_factory=list)

    def contents(self) -> list[str | None]:
        """Give the text of each span to annotate, None where it was not rendered."""
        return [*(text.content for text in self.texts), *(None for _ in self.late_traces)]


class Processor:
    """Annotates the spans of a request, then hands it to the exporter."""

    def __init__(  # noqa: PLR0913 - one for each stage that it joins
        self,
        renderer: Renderer,
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
        self._budget = Budget(max_seconds=embed_timeout)
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
        size = request.max_encoded_bytes()
        end = self._budget.end(call.deadline, size)
        work = await self._render(request, end)
        embeddings = await self._embed(work, end)
        # What was late to end is part of what it takes from here on.
        with self._budget.learning(size, since=min(end, asyncio.get_running_loop().time())):
            async with self._at_work:
                await self._annotate(work, embeddings)
            return await self._exporter.export(
                request, deadline=call.deadline, metadata=call.metadata
            )

    async def _render(self, request: TraceRequest, end: float) -> _Work:
        """Give what there is to do, rendered as far as that is possible until `end`."""
        try:
            async with self._at_work:
                self._listen_for_echo(request)
                return await self._rendered(request, end)
        except DecodeError as error:
            raise MalformedRequestError("a span is not a valid protobuf message") from error

    def _listen_for_echo(self, request: TraceRequest) -> None:
        first = next((span for _, scope in request.scopes() for span in scope.spans), b"")
        if self._echoes.is_echo(first):
            self._metrics.came_back(spans=request.span_count())

    async def _rendered(self, request: TraceRequest, end: float) -> _Work:
        work = _Work()
        turn = Turn(seconds=self._turn_seconds)
        is_late = False
        for resource, scope in request.scopes():
            service = self._renderer.service(resource.resource)
            for place, span in enumerate(scope.spans):
                target = find_target(scope, place, self._annotator, self._metrics)
                if target is not None:
                    self._add(target, service, work, is_late=is_late)
                if turn.is_over(len(span)):
                    await asyncio.sleep(0)
                    is_late = asyncio.get_running_loop().time() >= end
        return work

    def _add(self, target: Target, service: str, work: _Work, *, is_late: bool) -> None:
        work.targets.append(target)
        if is_late:
            work.late_traces.append(_trace_id(target.span))
        else:
            work.texts.append(self._renderer.render(target.span, service))

    async def _embed(self, work: _Work, end: float) -> list[Embedding | None]:
        """Give an embedding for each span to annotate, in the order of `_Work.contents`."""
        remaining = max(0.0, end - asyncio.get_running_loop().time())
        embeddings = await self._embedder.embed(work.texts, timeout=remaining)
        if not work.late_traces:
            return embeddings
        return embeddings + await self._embedder.without_text(work.late_traces)

    async def _annotate(self, work: _Work, embeddings: list[Embedding | None]) -> None:
        turn = Turn(seconds=self._turn_seconds)
        contents = work.contents()
        for target, content, embedding in zip(work.targets, contents, embeddings, strict=True):
            if embedding is not None and target.wants(embedding):
                target.append(self._annotator.attributes(embedding, content))
            if turn.is_over():
                await asyncio.sleep(0)
        if work.targets:
            self._echoes.remember(work.targets[0].span)


def _trace_id(span: bytes) -> str:
    return pb.Span.FromString(span).trace_id.hex() or UNKNOWN_TRACE_ID
