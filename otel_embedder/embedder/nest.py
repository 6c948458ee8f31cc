"""The embedders, one in the other, around a model: built here, and taken down here."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from otel_embedder.embedder.batcher import BatchingEmbedder, BatchMetrics
from otel_embedder.embedder.cache import CacheMetrics, CachingEmbedder
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.fallback import FallbackEmbedder, FallbackMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otel_embedder.embedder.models.reviving import RevivingModel
    from otel_embedder.embedder.settings import OnFailure
    from otel_embedder.fairness import Turns


class NestMetrics(BatchMetrics, CacheMetrics, FallbackMetrics, Protocol):
    """What the embedders tell of their work."""


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """The embedders, from the outermost to the innermost.

    Attributes:
        fallback: for spans and traces, which get an answer whatever happens.
        cache: for questions, which have no use for a stand-in.
        batcher: knows how many texts wait.

    """

    fallback: FallbackEmbedder
    cache: CachingEmbedder
    batcher: BatchingEmbedder


@asynccontextmanager
async def nested(  # noqa: PLR0913 - each is one choice
    model: RevivingModel,
    *,
    workers: int,
    max_queue_size: int,
    batch_timeout: float,
    cache_size: int,
    on_failure: OnFailure,
    quiet_seconds: float,
    turns: Turns,
    metrics: NestMetrics,
) -> AsyncIterator[Nest]:
    """Put the embedders around a model, and close them and the model at the end.

    Args:
        model: what embeds; it is closed, too.
        workers: how many batches it is given at the same time.
        max_queue_size: how many texts may wait for it.
        batch_timeout: seconds after which a batch is taken to hang, and the model with it.
        cache_size: how many texts' vectors are remembered.
        on_failure: what a span gets that can't have the model's embedding.
        quiet_seconds: how long nothing may have failed for a failure to be over.
        turns: of whatever keeps the event loop busy.
        metrics: who counts.

    """
    batcher = BatchingEmbedder(
        model,
        workers=workers,
        max_batch_size=MAX_BATCH_SIZE,
        max_queue_size=max_queue_size,
        metrics=metrics,
        batch_timeout=batch_timeout,
        on_hang=model.lose,
    )
    cache = CachingEmbedder(batcher, max_texts=cache_size, metrics=metrics)
    fallback = FallbackEmbedder(
        cache,
        dimension=lambda: model.dimension,
        on_failure=on_failure,
        quiet_seconds=quiet_seconds,
        turns=turns,
        metrics=metrics,
    )
    async with batcher:
        # Closed before the batcher, which waits for its workers, and they perhaps for a download.
        with closing(model):
            yield Nest(fallback, cache, batcher)
