"""One request through: render every span, embed the texts, annotate, pass on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError

from otel_embedder.errors import MalformedRequestError
from otel_embedder.targets import find_target
from otel_embedder.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    from otel_embedder.annotate import Annotator
    from otel_embedder.embedder import Embedding, Text
    from otel_embedder.render import Renderer
    from otel_embedder.status import Metadata
    from otel_embedder.targets import StandingCounter, Target
    from otel_embedder.wire import TraceRequest

# Of the time that the caller waits, what embedding may use; the rest is for sending.
EMBEDDING_SHARE = 0.5


class SpanEmbedder(Protocol):
    """Embeds texts within a time limit, whatever happens."""

    async def embed(self, texts: Sequence[Text], *, timeout: float) -> list[Embedding | None]:  # noqa: ASYNC109 - it answers by then, with stand-ins
        """Give one embedding a text, in order; None is no embedding."""
        ...


class Exporter(Protocol):
    """Sends requests on."""

    async def export(
        self, request: TraceRequest, *, deadline: float, metadata: Metadata
    ) -> ExportTraceServiceResponse:
        """Send a request on by `deadline`, in the event loop's time, or raise ExportError."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What a request came with.

    Attributes:
        deadline: the event loop's time at which the caller stops waiting.
        metadata: the caller's own headers.

    """

    deadline: float
    metadata: Metadata


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
        metrics: StandingCounter,
    ) -> None:
        self._renderer = renderer
        self._embedder = embedder
        self._annotator = annotator
        self._exporter = exporter
        self._embed_timeout = embed_timeout
        self._turn_seconds = turn_seconds
        self._metrics = metrics

    async def consume(self, request: TraceRequest, call: Call) -> ExportTraceServiceResponse:
        """Annotate and send on; give the next hop's answer.

        Raises:
            MalformedRequestError: a span is not valid protobuf. Nothing was sent.
            ExportError: the next hop did not take the spans.

        """
        targets, texts = await self._render(request)
        embeddings = await self._embedder.embed(texts, timeout=self._budget(call.deadline))
        turn = Turn(seconds=self._turn_seconds)
        for target, text, embedding in zip(targets, texts, embeddings, strict=True):
            if embedding is not None and target.wants(embedding):
                target.append(self._annotator.attributes(embedding, text.content))
            if turn.is_over():
                await asyncio.sleep(0)
        return await self._exporter.export(request, deadline=call.deadline, metadata=call.metadata)

    def _budget(self, deadline: float) -> float:
        remaining = deadline - asyncio.get_running_loop().time()
        return max(0.0, min(self._embed_timeout, remaining * EMBEDDING_SHARE))

    async def _render(self, request: TraceRequest) -> tuple[list[Target], list[Text]]:
        targets: list[Target] = []
        texts: list[Text] = []
        turn = Turn(seconds=self._turn_seconds)
        try:
            for resource, scope in request.scopes():
                service = self._renderer.service(resource.resource)
                for place in range(len(scope.spans)):
                    target = find_target(scope, place, self._annotator, self._metrics)
                    if target is not None:
                        targets.append(target)
                        texts.append(self._renderer.render(target.span, service))
                    if turn.is_over():
                        await asyncio.sleep(0)
        except DecodeError as error:
            raise MalformedRequestError("a span is not a valid protobuf message") from error
        return targets, texts
