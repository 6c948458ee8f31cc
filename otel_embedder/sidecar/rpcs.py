"""RPCs on the port of the spans, with bounds of their own: what is asked keeps no span out."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from otel_embedder.api.pool import Pool
from otel_embedder.api.rpc.calls import Rpcs
from otel_embedder.api.rpc.embedding import EmbeddingRpcs
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.receiver.admission import Admission
from otel_embedder.receiver.intake.messages import Messages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from otel_embedder.fairness import Turns
    from otel_embedder.otlp.call import Traces
    from otel_embedder.receiver.closing import Closing
    from otel_embedder.search.asking.opening import LazyCatalogue
    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.embedding import NestTextEmbedder
    from otel_embedder.telemetry.metrics import Metrics
    from otel_embedder.text.rendering import TextRenderer

MAX_RPCS = 16
MAX_BYTES = 8 * 1024 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# One at a time: the loop of the spans and the model's threads come first.
THREADS = 1


class RpcMetrics:
    """Counts RPCs that found no room."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def turned_away(self) -> None:
        """Count one."""
        self._metrics.asked("rpc", "busy")


@asynccontextmanager
async def rpc_handlers(  # noqa: PLR0913 - collaborators
    settings: Settings,
    *,
    catalogue: LazyCatalogue | None,
    embedder: NestTextEmbedder,
    renderer: TextRenderer,
    closing: Closing,
    turns: Turns,
    metrics: Metrics,
    traces: Traces,
) -> AsyncIterator[list[grpc.GenericRpcHandler]]:
    """Give the handlers of the services that can be asked.

    Args:
        settings: say which model embeds.
        catalogue: what is asked; None if there is none.
        embedder: embeds.
        renderer: makes texts of spans.
        closing: ends the reading of messages.
        turns: of whatever keeps the event loop busy.
        metrics: who counts.
        traces: tells of each call.

    """
    admission = Admission(max_requests=MAX_RPCS, max_bytes=MAX_BYTES, metrics=RpcMetrics(metrics))
    taken_in = Messages(admission, closing, turns=turns, max_bytes=MAX_MESSAGE_BYTES)
    rpcs = Rpcs(taken_in, max_bytes=MAX_MESSAGE_BYTES, traces=traces)
    parts = ExitStack()
    pool = parts.enter_context(Pool(threads=THREADS, waiting=MAX_RPCS))
    embedding = EmbeddingRpcs(
        embedder,
        renderer,
        pool,
        model=model_name(settings.model),
        text_version=renderer.text_version,
    )
    handlers = [embedding.rpc_handler(rpcs)]
    if catalogue is not None:
        # For those who have one.
        from otel_embedder.api.rpc.catalogue import CatalogueRpcs  # noqa: PLC0415

        handlers.append(CatalogueRpcs(catalogue.get, pool, metrics).rpc_handler(rpcs))
    try:
        yield handlers
    finally:
        # A question that is being answered waits for this loop, to embed it.
        await asyncio.to_thread(parts.close)
