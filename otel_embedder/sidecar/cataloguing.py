"""Fills the catalogue with what the next hop has taken, beside the way of the spans.

On the way what is to be counted of spans is put into a queue. A thread reads it, another one
writes. The queue has a bound, and so has what was read: what finds no room is counted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.links import trace_link
from otel_embedder.search.re_embedding import ReEmbedding
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.search.recording.writing import CatalogueWriter, Idle
from otel_embedder.search.times import kept_by, quiet_nanoseconds
from otel_embedder.sidecar.group_alerts import GroupAlerts
from otel_embedder.sidecar.waiting_spans import WaitingRequests
from otel_embedder.sidecar.warming import Opened, warming
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.nest import Nest
    from otel_embedder.pipeline.passed import Passed
    from otel_embedder.search.store import Batch, Store
    from otel_embedder.settings import Settings
    from otel_embedder.sidecar.waiting_spans import Piece
    from otel_embedder.sidecar.webhook import Webhook
    from otel_embedder.telemetry.metrics import Metrics

# Bytes of spans that may wait to be read; they are read within some tenths of a second, unless a
# batch is made.
MAX_WAITING_BYTES = 64 * 1024 * 1024
# After so long the reader lets the event loop have its turn: to let go more often costs more.
TURN_SECONDS = 0.001
LOOK_SECONDS = 0.1
# What is written and posted in the end may take so long, together.
CLOSE_SECONDS = 3.0
IDLE_TEXTS = 16  # are embedded at a time while nobody else needs the model: a tenth of a second

CATALOGUE_FAULT = "catalogue.fault"

log = get_logger()


class CataloguingMetrics(Protocol):
    """What is told of filling a catalogue."""

    def catalogue_dropped(self, reason: str, *, spans: int) -> None:
        """Count spans that passed and are not in the catalogue."""
        ...


class Cataloguing:
    """Takes what passed, reads it in a thread of its own, and lets a writer have it."""

    def __init__(
        self,
        recorder: Recorder,
        writer: CatalogueWriter,
        *,
        interval: float,
        metrics: CataloguingMetrics,
    ) -> None:
        """Start.

        Args:
            recorder: makes batches of spans.
            writer: writes them.
            interval: seconds between two batches.
            metrics: gets told.

        """
        self._recorder = recorder
        self._writer = writer
        self._interval = interval
        self._metrics = metrics
        self._waiting = WaitingRequests(max_bytes=MAX_WAITING_BYTES)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue-reader", daemon=True)
        self._thread.start()

    def passed(self, passed: Passed) -> None:
        """Take a request that the next hop has taken; never waits."""
        if self._closing.is_set() or not self._waiting.put(passed):
            self._metrics.catalogue_dropped("queue", spans=passed.request.spans)

    def passed_in_part(self, *, spans: int) -> None:
        """Count spans of which the next hop took only some: which ones, nobody knows."""
        self._metrics.catalogue_dropped("rejected", spans=spans)

    def close(self, until: float) -> None:
        """Write what is there, until this time of the monotonic clock at most."""
        self._closing.set()
        self._thread.join(_left(until))
        self._writer.close(_left(until))

    def _run(self) -> None:
        write_at = time.monotonic() + self._interval
        while not self._closing.wait(LOOK_SECONDS):
            self._read()
            if time.monotonic() >= write_at and self._writer.has_room():
                write_at = time.monotonic() + self._interval
                self._offer(is_last=False)
        self._read()
        self._offer(is_last=True)

    def _read(self) -> None:
        until = time.monotonic() + TURN_SECONDS
        for pieces in self._waiting.take():
            for piece in pieces:
                self._take(piece)
                if time.monotonic() >= until:
                    time.sleep(0)
                    until = time.monotonic() + TURN_SECONDS

    def _take(self, piece: Piece) -> None:
        try:
            dropped = piece.recorded_by(self._recorder, time.time_ns())
        except Exception:
            # A fault of ours with some spans is not to end the counting of all others.
            log.exception(CATALOGUE_FAULT, spans=len(piece))
            self._metrics.catalogue_dropped("fault", spans=len(piece))
        else:
            if dropped:
                self._metrics.catalogue_dropped("memory", spans=dropped)

    def _offer(self, *, is_last: bool) -> None:
        now = time.time_ns()
        batch = self._recorder.flush(now) if is_last else self._recorder.batch(now)
        if batch is not None:
            self._writer.offer(batch, spans=_spans_in(batch))


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _spans_in(batch: Batch) -> int:
    return sum(int(counts.table("rows").values[:, 0].sum()) for counts in batch.counts.values())


def _idle(settings: Settings, nest: Nest, embedder: TextEmbedder, text_version: str) -> Idle:
    return Idle(
        is_idle=lambda: not nest.batcher.queue_size(),
        re_embedding=lambda store: ReEmbedding(
            store,
            embedder,
            model=model_name(settings.model),
            text_version=text_version,
            batch_size=IDLE_TEXTS,
        ),
    )


@asynccontextmanager
async def cataloguing(
    settings: Settings,
    opened: Callable[[], Store],
    nest: Nest,
    embedder: TextEmbedder,
    metrics: Metrics,
) -> AsyncIterator[Cataloguing]:
    """Fill a catalogue; one that can't be opened is told of.

    Args:
        settings: say what is kept, and who is told of failures.
        opened: opens what keeps it.
        nest: has the cache that is filled from it.
        embedder: embeds, in other threads, what has no vector, while nobody else needs the model.
        metrics: who counts.

    """
    renderer = new_renderer(render_options(settings))
    webhook = _webhook(settings)
    alerts = GroupAlerts(
        quiet_after=quiet_nanoseconds(settings),
        link=trace_link(settings.trace_link),
        metrics=metrics,
        told=None if webhook is None else webhook.offer,
    )
    awaited = Opened(opened, asyncio.get_running_loop())
    writer = CatalogueWriter(
        awaited.open,
        kept_by(settings),
        most_texts=settings.catalogue_texts,
        metrics=metrics,
        idle=_idle(settings, nest, embedder, renderer.text_version),
        came=alerts.came,
    )
    recorder = Recorder(uuid4().hex, renderer, bounds=Bounds())
    filling = Cataloguing(recorder, writer, interval=settings.catalogue_interval, metrics=metrics)
    try:
        async with warming(awaited, settings, nest, renderer.text_version, metrics):
            yield filling
    finally:
        until = time.monotonic() + CLOSE_SECONDS
        await asyncio.to_thread(filling.close, until)
        if webhook is not None:
            await asyncio.to_thread(webhook.close, _left(until))


def _webhook(settings: Settings) -> Webhook | None:
    if settings.group_webhook is None:
        return None
    # For those who have one.
    from otel_embedder.sidecar.webhook import Webhook, WebhookTarget  # noqa: PLC0415

    secret = settings.group_webhook_secret
    return Webhook(
        WebhookTarget(
            settings.group_webhook,
            settings.group_webhook_form,
            "" if secret is None else secret.get_secret_value(),
        )
    )
