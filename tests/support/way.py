"""The way of a request within this process: without a receiver, a model and a next hop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_embedder.annotation.annotator import annotator
from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.fallback import FallbackEmbedder
from otel_embedder.fairness import Turns
from otel_embedder.otlp.call import Call
from otel_embedder.otlp.wire import parse_request
from otel_embedder.pipeline.processor import Processor
from otel_embedder.settings import load_settings
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.fakes import DIMENSION, FakeClock, FakeEmbedder, FakeMetrics

if TYPE_CHECKING:
    from otel_embedder.otlp.call import Metadata
    from otel_embedder.otlp.wire import Arrived, TraceRequest

HOUR = 3600.0


class Encoding:
    """Encodes what it is to send on, and keeps nothing."""

    def take(self, encoded: bytes) -> None:
        """Take a request as it would be sent."""

    def room(self, size: int, *, deadline: float) -> float:  # noqa: ARG002 - the protocol's
        return math.inf

    async def export(
        self,
        request: TraceRequest,
        *,
        deadline: float,  # noqa: ARG002 - the protocol's
        metadata: Metadata,  # noqa: ARG002 - the protocol's
        arrived: Arrived | None = None,  # noqa: ARG002 - the protocol's
    ) -> ExportTraceServiceResponse:
        self.take(request.encode())
        return ExportTraceServiceResponse()


class Way:
    """Takes requests as bytes, and makes bytes of them again; between them is all but the model."""

    def __init__(self, *, max_texts: int) -> None:
        settings, metrics = load_settings({}), FakeMetrics()
        renderer = new_renderer(RenderOptions())
        # Where no time passes nobody is to let others go first.
        turns = Turns(clock=FakeClock())
        model = FakeEmbedder(at_once=True)
        embedder = FallbackEmbedder(
            CachingEmbedder(model, max_texts=max_texts, metrics=metrics),
            dimension=lambda: DIMENSION,
            on_failure="fallback",
            quiet_seconds=0,
            turns=turns,
            metrics=metrics,
        )
        self._processor = Processor(
            renderer,
            embedder,
            annotator(settings, renderer.text_version),
            Encoding(),
            embed_timeout=HOUR,
            turns=turns,
            metrics=metrics,
        )
        self._call = Call(deadline=math.inf, metadata=())

    async def go(self, encoded: bytes) -> None:
        """Let a request through."""
        await self._processor.consume(parse_request(encoded), self._call)
