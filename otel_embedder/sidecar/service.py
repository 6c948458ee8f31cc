"""Builds the parts, joins them, and takes them down in the reverse order.

The parts are entered from the next hop back to the door. Leaving them then
gives the right order for free: health says NOT_SERVING, the server takes
nothing new and finishes what is in flight, then batcher, model and channel go.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from otel_embedder.annotation.annotator import annotator
from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.fallback import FallbackEmbedder
from otel_embedder.embedder.models.engines import lazy_model, model_choice
from otel_embedder.exporter.exporter import otlp_exporter
from otel_embedder.fairness import TURN_SECONDS
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.hops import Hops
from otel_embedder.receiver.messages import inbox
from otel_embedder.receiver.other_signals import PassThrough
from otel_embedder.receiver.server import listening, own_headers
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.sidecar.memory import trimming
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.telemetry.metrics import Metrics, serving_metrics
from otel_embedder.text.options import render_options
from otel_embedder.text.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otel_embedder.embedder.embedding import Embedder, Model
    from otel_embedder.embedder.models.reviving import LazyModel
    from otel_embedder.settings import Settings

SERVICE_STARTED = "service.started"
SERVICE_STOPPING = "service.stopping"
SERVICE_STOPPED = "service.stopped"

# Under overload some requests fail and some do not: that is one failure, not many.
QUIET_SECONDS = 10.0

# Of what requests in flight may have, what is encoded at the same time, in addition.
SENDING_SHARE = 2

log = get_logger()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a second signal ends the process at once.

    Raises:
        SettingsError: a file of certificates or tokens can't be used any more.
        ListenError: an address can't be had.

    """
    stop = stop_on_signals()
    async with running(settings, Metrics()) as port:
        log.info(SERVICE_STARTED, listen=settings.listen, port=port, next_hop=settings.next_hop)
        await stop.wait()
        log.info(SERVICE_STOPPING)
    log.info(SERVICE_STOPPED)


def stop_on_signals() -> asyncio.Event:
    """Give an event that the first SIGTERM or SIGINT sets."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def ask() -> None:
        stop.set()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signal_number)
            # Whoever asks twice does not want to wait.
            signal.signal(signal_number, signal.SIG_DFL)

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, ask)
    return stop


@asynccontextmanager
async def running(settings: Settings, metrics: Metrics) -> AsyncIterator[int]:
    """Run a sidecar; give the port that it listens on.

    Raises:
        SettingsError: a file of certificates or tokens can't be used any more.
        ListenError: an address can't be had.

    """
    renderer = Renderer(render_options(settings))
    model = lazy_model(model_choice(settings), patience=settings.model_timeout)
    if settings.preload:
        model.preload()
    async with AsyncExitStack() as parts:
        await parts.enter_async_context(trimming())
        parts.enter_context(serving_metrics(settings.metrics_listen, metrics))
        sending_bytes = settings.max_inflight_bytes // SENDING_SHARE
        exporter = await parts.enter_async_context(
            otlp_exporter(settings, metrics, max_sending_bytes=sending_bytes)
        )
        batcher = await parts.enter_async_context(batching_embedder(settings, model, metrics))
        # Left before the batcher, whose workers may wait for a download.
        parts.callback(model.close)
        hops = Hops()
        processor = Processor(
            renderer,
            span_embedder(settings, model, batcher, metrics),
            annotator(settings, renderer.text_version),
            exporter,
            embed_timeout=settings.embed_timeout,
            turn_seconds=TURN_SECONDS,
            metrics=metrics,
            hops=hops,
        )
        box = inbox(settings, metrics)
        withheld = own_headers(settings)
        handlers = (
            TraceReceiver(processor, box, metrics=metrics, withheld=withheld).rpc_handler(),
            *PassThrough(exporter, box, hops, metrics=metrics, withheld=withheld).rpc_handlers(),
        )
        yield await parts.enter_async_context(listening(handlers, settings))


def batching_embedder(settings: Settings, model: LazyModel, metrics: Metrics) -> BatchingEmbedder:
    """Give the embedder that runs the model."""
    batcher = BatchingEmbedder(
        model,
        workers=model_choice(settings).threads,
        max_batch_size=MAX_BATCH_SIZE,
        max_queue_size=settings.max_queue_size,
        metrics=metrics,
        batch_timeout=settings.model_timeout,
        on_hang=model.lose,
    )
    metrics.watch_queue(batcher.queue_size)
    return batcher


def span_embedder(
    settings: Settings, model: Model, batcher: Embedder, metrics: Metrics
) -> FallbackEmbedder:
    """Give the embedder that always answers, with all that stands before the batcher."""
    return FallbackEmbedder(
        CachingEmbedder(batcher, max_texts=settings.cache_size, metrics=metrics),
        dimension=lambda: model.dimension,
        on_failure=settings.on_failure,
        quiet_seconds=QUIET_SECONDS,
        metrics=metrics,
    )
