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

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import OVERALL_HEALTH
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection

from otel_embedder.embedder import MAX_BATCH_SIZE
from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.engines import lazy_model
from otel_embedder.embedder.fallback import FallbackEmbedder
from otel_embedder.errors import ListenError
from otel_embedder.exporter import NextHop, OtlpExporter
from otel_embedder.health import HealthServicer
from otel_embedder.logs import get_logger
from otel_embedder.parts import annotator, model_choice, render_options
from otel_embedder.processor import Processor
from otel_embedder.receiver import TRACE_SERVICE, TraceReceiver
from otel_embedder.render import Renderer
from otel_embedder.telemetry import Metrics, serving_metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otel_embedder.embedder import Embedder, Model
    from otel_embedder.settings import Settings

SERVICE_STARTED = "service.started"
SERVICE_STOPPING = "service.stopping"
SERVICE_STOPPED = "service.stopped"

# For so long a request may keep the event loop from others: health checks, answers.
TURN_SECONDS = 0.01
# Under overload some requests fail and some do not: that is one failure, not many.
QUIET_SECONDS = 10.0

SERVICES = (OVERALL_HEALTH, TRACE_SERVICE)

# The Collector pings every 10 s if told so; grpcio's default takes a ping more
# often than every five minutes for abuse and hangs up.
SERVER_OPTIONS = (
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A second sidecar on the same port should fail, not share it in silence.
    ("grpc.so_reuseport", 0),
)

log = get_logger()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a second signal ends the process at once.

    Raises:
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
        ListenError: an address can't be had.

    """
    renderer = Renderer(render_options(settings))
    model = lazy_model(model_choice(settings))
    if settings.preload:
        model.preload()
    async with AsyncExitStack() as parts:
        parts.enter_context(serving_metrics(settings.metrics_listen, metrics))
        exporter = await parts.enter_async_context(otlp_exporter(settings, metrics))
        batcher = await parts.enter_async_context(batching_embedder(settings, model, metrics))
        # Left before the batcher, whose workers may wait for a download.
        parts.callback(model.close)
        processor = Processor(
            renderer,
            span_embedder(settings, model, batcher, metrics),
            annotator(settings, renderer.text_version),
            exporter,
            embed_timeout=settings.embed_timeout,
            turn_seconds=TURN_SECONDS,
            metrics=metrics,
        )
        receiver = TraceReceiver(processor, metrics=metrics)
        yield await parts.enter_async_context(listening(receiver, settings))


def otlp_exporter(settings: Settings, metrics: Metrics) -> OtlpExporter:
    """Give the client of the next hop."""
    next_hop = NextHop(
        settings.next_hop,
        headers=settings.next_hop_headers,
        compression=settings.next_hop_compression,
        certificate=settings.next_hop_certificate,
    )
    return OtlpExporter(
        next_hop,
        timeout=settings.next_hop_timeout,
        max_send_bytes=settings.max_send_bytes,
        metrics=metrics,
    )


def batching_embedder(settings: Settings, model: Model, metrics: Metrics) -> BatchingEmbedder:
    """Give the embedder that runs the model."""
    batcher = BatchingEmbedder(
        model,
        workers=model_choice(settings).threads,
        max_batch_size=MAX_BATCH_SIZE,
        max_queue_size=settings.max_queue_size,
        metrics=metrics,
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


@asynccontextmanager
async def listening(receiver: TraceReceiver, settings: Settings) -> AsyncIterator[int]:
    """Listen, with health and reflection; give the port.

    Raises:
        ListenError: the address can't be had.

    """
    limit = ("grpc.max_receive_message_length", int(settings.max_receive_bytes))
    server = grpc.aio.server(options=(*SERVER_OPTIONS, limit))
    server.add_generic_rpc_handlers((receiver.rpc_handler(),))
    health_servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (TRACE_SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME), server
    )
    port = _bind(server, settings.listen)
    await server.start()
    for service in SERVICES:
        await health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await health_servicer.enter_graceful_shutdown()
        await server.stop(settings.shutdown_timeout)


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise ListenError(
            f"listen: cannot listen on {address}: another process is there already, or this host "
            "has no such address"
        ) from error
