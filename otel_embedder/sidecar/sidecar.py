"""Builds the parts, joins them, and takes them down in the reverse order.

The parts are entered from the next hop back to the door. Leaving them then
gives the right order for free: health says NOT_SERVING, the server takes
nothing new and finishes what is in flight, then model, batcher and channel go.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from otel_embedder.annotation.annotator import annotator
from otel_embedder.annotation.first_sight import FirstSights
from otel_embedder.embedder.models.engines import model_choice, reviving_model
from otel_embedder.embedder.nest import nested
from otel_embedder.exporter.exporter import otlp_exporter
from otel_embedder.fairness import Turns
from otel_embedder.pipeline.processor import Processor
from otel_embedder.receiver.calls import Calls
from otel_embedder.receiver.closing import Closing
from otel_embedder.receiver.intake.headers import Headers
from otel_embedder.receiver.intake.hops import Hops
from otel_embedder.receiver.intake.messages import messages
from otel_embedder.receiver.other_signals import PassThrough
from otel_embedder.receiver.server import SERVER_OPTIONS, access, listening
from otel_embedder.receiver.traces import TraceReceiver
from otel_embedder.sidecar.background import beside
from otel_embedder.sidecar.embedding import NestTextEmbedder
from otel_embedder.sidecar.memory import collecting, trimming
from otel_embedder.sidecar.own_telemetry import own_telemetry
from otel_embedder.sidecar.rpcs import rpc_handlers
from otel_embedder.sidecar.stopping import (
    SERVICE_STARTED,
    SERVICE_STOPPED,
    SERVICE_STOPPING,
    stop_on_signals,
)
from otel_embedder.telemetry.logs import dropped_lines, get_logger
from otel_embedder.telemetry.metrics import Metrics, serving_metrics
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from otel_embedder.embedder.models.reviving import RevivingModel
    from otel_embedder.embedder.nest import Nest
    from otel_embedder.receiver.health import HealthServicer
    from otel_embedder.search.asking.opening import LazyCatalogue
    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.cataloguing import Cataloguing

# Under overload some requests fail and some do not: that is one failure, not many.
QUIET_SECONDS = 10.0

# The model is loaded by then, as a rule.
PREPARE_SECONDS = 1.0

# Of what requests in flight may have, what is encoded at the same time, in addition.
SENDING_SHARE = 2
# Of the requests that may be in flight, how many may wait for a next hop that is away.
WAITING_SHARE = 8

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


@asynccontextmanager
async def running(
    settings: Settings,
    metrics: Metrics,
    *,
    options: Sequence[tuple[str, int]] = SERVER_OPTIONS,
    health: HealthServicer | None = None,
) -> AsyncIterator[int]:
    """Run a sidecar; give the port that it listens on.

    Args:
        settings: of all its parts.
        metrics: get told.
        options: gRPC's own, of the server.
        health: tells how it is; None is one that needs to know nothing else.

    Raises:
        SettingsError: a file of certificates or tokens can't be used any more.
        ListenError: an address can't be had.

    """
    renderer = new_renderer(render_options(settings))
    model = reviving_model(model_choice(settings), patience=settings.model_timeout)
    if settings.preload:
        model.preload()
    turns = Turns()
    async with AsyncExitStack() as parts:
        await parts.enter_async_context(trimming())
        metrics.watch_log(dropped_lines)
        parts.enter_context(serving_metrics(settings.metrics_listen, metrics.registry))
        traces = await parts.enter_async_context(own_telemetry(settings, metrics))
        sending_bytes = settings.max_inflight_bytes // SENDING_SHARE
        exporter = await parts.enter_async_context(
            otlp_exporter(
                settings,
                metrics,
                max_sending_bytes=sending_bytes,
                max_waiting=settings.max_inflight_requests // WAITING_SHARE,
                turns=turns,
            )
        )
        embedders = await parts.enter_async_context(nest(settings, model, turns, metrics))
        metrics.watch_queue(embedders.batcher.queue_size)
        asked = NestTextEmbedder(embedders, asyncio.get_running_loop())
        taken, catalogue = await parts.enter_async_context(
            catalogued(settings, embedders, asked, metrics, text_version=renderer.text_version)
        )
        processor = Processor(
            renderer,
            embedders.fallback,
            annotator(settings, renderer.text_version),
            exporter,
            embed_timeout=settings.embed_timeout,
            turns=turns,
            metrics=metrics,
            taken=taken,
            sights=first_sights(settings, metrics),
        )
        metrics.watch_known_spans(processor.reader.hits, processor.reader.memory)
        closing = Closing()
        calls = Calls(
            Hops(),
            Headers(withheld=access(settings).withheld()),
            assumed_deadline=settings.assumed_deadline,
            metrics=metrics,
            traces=traces,
        )
        taken_in = messages(settings, closing, turns, metrics)
        await parts.enter_async_context(collecting(taken_in.bytes_in_flight))
        handlers = (
            TraceReceiver(processor, calls, taken_in, metrics=metrics).rpc_handler(),
            *PassThrough(exporter, calls, taken_in, metrics=metrics).rpc_handlers(),
            *await parts.enter_async_context(
                rpc_handlers(
                    settings,
                    catalogue=catalogue,
                    embedder=asked,
                    renderer=renderer,
                    closing=closing,
                    turns=turns,
                    metrics=metrics,
                    traces=traces,
                )
            ),
        )
        await parts.enter_async_context(beside(_prepare()))
        yield await parts.enter_async_context(
            listening(handlers, settings, closing, options=options, health=health)
        )


@asynccontextmanager
async def catalogued(
    settings: Settings,
    embedders: Nest,
    asked: NestTextEmbedder,
    metrics: Metrics,
    *,
    text_version: str,
) -> AsyncIterator[tuple[Cataloguing | None, LazyCatalogue | None]]:
    """Fill a catalogue, and let it be asked, if the settings name one."""
    if settings.catalogue is None:
        yield None, None
        return
    # Who has none does not pay for it: 6 MB, and a tenth of a second at the start.
    from otel_embedder.search.stores.opening import opener  # noqa: PLC0415
    from otel_embedder.sidecar.cataloguing import cataloguing  # noqa: PLC0415
    from otel_embedder.sidecar.page import asked_catalogue, page  # noqa: PLC0415

    opened = opener(settings.catalogue)
    async with cataloguing(settings, opened, embedders, asked, metrics) as taken:
        catalogue = asked_catalogue(settings, opened, asked, text_version=text_version)
        try:
            async with page(settings, catalogue, metrics):
                yield taken, catalogue
        finally:
            # It may have been opened by an RPC, too.
            await asyncio.to_thread(catalogue.close)


def first_sights(settings: Settings, metrics: Metrics) -> FirstSights | None:
    """Give what knows whose vector has arrived, if that matters."""
    if settings.attach == "all":
        return None
    sights = FirstSights(window=settings.attach_window, clock=time.monotonic)
    metrics.watch_first_seen(sights.vectors, sights.memory)
    return sights


async def _prepare() -> None:
    """Do beforehand what would keep a span waiting, once the model has had the CPU to itself."""
    await asyncio.sleep(PREPARE_SECONDS)
    await asyncio.to_thread(prepare)


def nest(
    settings: Settings, model: RevivingModel, turns: Turns, metrics: Metrics
) -> AbstractAsyncContextManager[Nest]:
    """Give the embedders around a model."""
    return nested(
        model,
        workers=model_choice(settings).threads,
        max_queue_size=settings.max_queue_size,
        batch_timeout=settings.model_timeout,
        cache_size=settings.cache_size,
        on_failure=settings.on_failure,
        quiet_seconds=QUIET_SECONDS,
        turns=turns,
        metrics=metrics,
    )
