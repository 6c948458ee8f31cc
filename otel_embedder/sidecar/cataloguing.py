"""Fills the catalogue with what the next hop has taken, beside the way of the spans.

On the way the bytes of spans are copied and put into a queue: whatever else lives on of a request
costs more than that. A thread reads them, another one writes. The queue has a bound, and so has
what was read: what finds no room is counted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import uuid4

from otel_embedder.annotation.work import ENCODED
from otel_embedder.embedder.models.weights import model_name
from otel_embedder.search.links import trace_link
from otel_embedder.search.re_embedding import ReEmbedding
from otel_embedder.search.recording.packed import PackedSpans
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.search.recording.writing import CatalogueWriter, Idle
from otel_embedder.search.times import kept_by, quiet_nanoseconds
from otel_embedder.sidecar.group_alerts import GroupAlerts
from otel_embedder.sidecar.warming import Opened, warming
from otel_embedder.sidecar.webhook import Webhook, WebhookTarget
from otel_embedder.telemetry.logs import get_logger
from otel_embedder.text.options import render_options
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.embedder.embedding import Embedding
    from otel_embedder.embedder.nest import Nest
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.pipeline.passed import Passed
    from otel_embedder.search.store import Batch, Store
    from otel_embedder.settings import Settings
    from otel_embedder.telemetry.metrics import Metrics

# Bytes of spans that may wait to be read; they are read within some tenths of a second, unless a
# batch is made.
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_SPANS = 512  # are read at a time: less than half a millisecond
# After so long the reader lets the event loop have its turn: to let go more often costs more.
TURN_SECONDS = 0.001
# To pack a request of so many spans or bytes takes the event loop a millisecond.
LARGE_SPANS, LARGE_BYTES = 4_096, 8 * 1024 * 1024
POINTERS_BYTES = 32  # of a span: to its length, text and embedding
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


class SomeSpans(NamedTuple):
    """Some spans of a resource, with a text and an embedding for each; None is none.

    Attributes:
        resource: the encoded Resource.
        spans: encoded, as they came, but for outdated attributes of ours.
        texts: of these; None where none was made.
        embeddings: of these.

    """

    resource: bytes
    spans: PackedSpans
    texts: Sequence[str | None]
    embeddings: Sequence[Embedding | None]

    def size(self) -> int:
        """Give about how many bytes they hold, besides what is in caches as well."""
        return len(self.spans.joined) + POINTERS_BYTES * len(self.spans)


class _Waiting(NamedTuple):
    """A request that waits to be read: about how many bytes it holds, and its spans."""

    size: int
    pieces: Iterable[SomeSpans]


class WaitingRequests:
    """Requests that wait to be read, in bounded memory: put by one thread, taken by another."""

    def __init__(self, *, max_bytes: int) -> None:
        """Keep none yet, and about so many bytes at most."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._requests: deque[_Waiting] = deque()

    def put(self, passed: Passed) -> bool:
        """Pack and keep a request; tell whether there was room: where there is none it is left."""
        if not self._has_room(passed.request):
            return False
        waiting = _waiting(passed)
        with self._lock:
            self._bytes += waiting.size
        self._requests.append(waiting)
        return True

    def _has_room(self, request: TraceRequest) -> bool:
        left = self._max_bytes - self._bytes
        # With what is attached, which is not packed: where that has room nothing is to be measured.
        if request.size + POINTERS_BYTES * request.spans <= left:
            return True
        return not _is_large(request) and _packed_size(request) <= left

    def take(self) -> Iterator[Iterable[SomeSpans]]:
        """Give the spans of each request, the first first, and keep it no longer."""
        while self._requests:
            waiting = self._requests.popleft()
            with self._lock:
                self._bytes -= waiting.size
            yield waiting.pieces


def _is_large(request: TraceRequest) -> bool:
    """Tell whether it takes long to pack."""
    return request.spans > LARGE_SPANS or request.size > LARGE_BYTES


def _waiting(passed: Passed) -> _Waiting:
    """Pack a request, unless that takes long: then whoever reads it packs one piece at a time."""
    pieces = few_at_a_time(passed)
    if _is_large(passed.request):
        return _Waiting(passed.request.size, pieces)
    # Where it is at hand: of what lives on, to be freed in another thread, a span costs more.
    packed = [*pieces]
    return _Waiting(sum(map(SomeSpans.size, packed)), packed)


def _packed_size(request: TraceRequest) -> int:
    """Give about how many bytes the spans of a request will hold."""
    spans = (sum(map(len, map(ENCODED, scope.spans))) for _, scope in request.scopes())
    return sum(spans) + POINTERS_BYTES * request.spans


def few_at_a_time(passed: Passed) -> Iterator[SomeSpans]:
    """Give the spans that passed, by resource, and no more at once than takes a moment."""
    texts, embeddings = _for_each_span(passed)
    done = 0
    for resource, scope in passed.request.scopes():
        for begin in range(0, len(scope.spans), MAX_SPANS):
            spans = PackedSpans.of(map(ENCODED, scope.spans[begin : begin + MAX_SPANS]))
            part = slice(done, done + len(spans))
            done += len(spans)
            yield SomeSpans(resource.resource, spans, texts[part], embeddings[part])


def _for_each_span(
    passed: Passed,
) -> tuple[Sequence[str | None], Sequence[Embedding | None]]:
    """Give a text and an embedding for each span of a request, also for those that kept theirs."""
    works, embeddings = passed.works, passed.embeddings
    if len(works) == passed.request.spans:
        return [work.content for work in works], embeddings
    of_works = {
        id(work.span): (work.content, embedding)
        for work, embedding in zip(works, embeddings, strict=True)
    }
    spans = (span for _, scope in passed.request.scopes() for span in scope.spans)
    found = [of_works.get(id(span), (None, None)) for span in spans]
    return [text for text, _ in found], [embedding for _, embedding in found]


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
            for some in pieces:
                self._take(some)
                if time.monotonic() >= until:
                    time.sleep(0)
                    until = time.monotonic() + TURN_SECONDS

    def _take(self, some: SomeSpans) -> None:
        try:
            dropped = self._recorder.take(
                some.resource, some.spans, some.texts, some.embeddings, now=time.time_ns()
            )
        except Exception:
            # A fault of ours with some spans is not to end the counting of all others.
            log.exception(CATALOGUE_FAULT, spans=len(some.spans))
            self._metrics.catalogue_dropped("fault", spans=len(some.spans))
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
    secret = settings.group_webhook_secret
    return Webhook(
        WebhookTarget(
            settings.group_webhook,
            settings.group_webhook_form,
            "" if secret is None else secret.get_secret_value(),
        )
    )
