"""What the real model does: texts a second when there are many, and the time of one alone."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from loky import cpu_count

from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE, WantedText
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.spans import spans_of
from otel_embedder.settings import load_settings
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.generated import requests_of_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.embedder.embedding import Model

LENGTHS = (10, 40, 160, 256)
SPECIAL_TOKENS = 2  # one before a text, one behind it
ONE_PIECE = "payment "
RUNS_OF_ONE = 30


class Unrecorded:
    """Metrics that nobody reads."""

    def left_queue(self, *, seconds: float) -> None:
        """Forget it."""

    def batch_embedded(self, *, texts: int, seconds: float) -> None:
        """Record one batch that the model has finished."""


def loaded_model() -> Model:
    model = load_model(model_choice(load_settings({})))
    model.encode(["the first text takes longer"])
    return model


def texts_a_second(model: Model, count: int) -> float:
    texts = span_texts(count)
    started = time.perf_counter()
    asyncio.run(_embed(model, texts))
    return count / (time.perf_counter() - started)


def span_texts(count: int) -> list[WantedText]:
    """Render as many different spans."""
    renderer = new_renderer(RenderOptions())
    requests = map(parse_request, requests_of_texts(count, texts=count))
    return [WantedText(*renderer.render(*span)) for span in spans_of(requests, renderer)]


async def _embed(model: Model, texts: list[WantedText]) -> None:
    async with BatchingEmbedder(
        model,
        workers=cpu_count(),
        max_batch_size=MAX_BATCH_SIZE,
        max_queue_size=len(texts),
        metrics=Unrecorded(),
    ) as embedder:
        wanted = [WantedText(text.content, urgent=False) for text in texts]
        await asyncio.gather(*embedder.embed(wanted))


def embedding_in_bulk(threads: int) -> Callable[[list[str]], object]:
    """Give what embeds many texts, as the sidecar's command line does."""
    model = loaded_model()

    def embed(texts: list[str]) -> object:
        with BulkEmbedder(model, threads=threads, max_texts=len(texts)) as embedder:
            return [*embedder.embed(texts)]

    return embed


def milliseconds_alone(model: Model, tokens: int) -> float:
    text = ONE_PIECE * (tokens - SPECIAL_TOKENS)
    return statistics.median(_milliseconds(model, text) for _ in range(RUNS_OF_ONE))


def _milliseconds(model: Model, text: str) -> float:
    started = time.perf_counter()
    model.encode([text])
    return (time.perf_counter() - started) * 1_000
