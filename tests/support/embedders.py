"""The embedders around a model, as the sidecar and the library have them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otel_embedder.embedder.models.reviving import RevivingModel
from otel_embedder.embedder.nest import nested
from otel_embedder.fairness import Turns
from tests.support.fakes import FakeMetrics

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from otel_embedder.embedder.embedding import Model
    from otel_embedder.embedder.nest import Nest


def nested_around(model: Model, *, workers: int = 1) -> AbstractAsyncContextManager[Nest]:
    """Put the embedders around a model that is there."""
    reviving = RevivingModel(lambda: model, dimension=model.dimension, retry_after=0)
    return nested_in(reviving, workers=workers)


def nested_in(
    model: RevivingModel, *, workers: int = 1, batch_timeout: float = math.inf
) -> AbstractAsyncContextManager[Nest]:
    """Put the embedders around a model with a life of its own."""
    return nested(
        model,
        workers=workers,
        max_queue_size=1000,
        batch_timeout=batch_timeout,
        cache_size=100,
        on_failure="fallback",
        quiet_seconds=0,
        turns=Turns(),
        metrics=FakeMetrics(),
    )
