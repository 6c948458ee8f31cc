"""The contract that every embedder keeps, alone or around others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import Embedder, Embedding, WantedText
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from tests.support.embedders import nested_around
from tests.support.fakes import DIMENSION, FAKE_MODEL, FakeMetrics, FakeModel, SpanText

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from otel_embedder.embedder.embedding import Model

pytestmark = pytest.mark.timeout(120)

CONTENTS = [
    "shop checkout OK in 25ms attributes: items=3",
    "shop checkout ERROR payment refused in 1000ms attributes: items=3",
    "bank transfer UNSET in 4ms attributes:",
    "店舗 注文確定 OK in 250ms attributes: 通貨=円",
    "queue publish " + "very " * 500 + "long",
    "?",
    "!",
]


class Embed(Protocol):
    """What all embedders come down to, once their futures are awaited."""

    async def __call__(self, texts: Sequence[WantedText]) -> list[Embedding]: ...


class Wrap(Protocol):
    """Puts embedders around a model."""

    def __call__(self, model: Model) -> AbstractAsyncContextManager[Embed]: ...


@asynccontextmanager
async def batcher(model: Model, *, workers: int = 2) -> AsyncIterator[BatchingEmbedder]:
    async with BatchingEmbedder(
        model, workers=workers, max_batch_size=4, max_queue_size=1000, metrics=FakeMetrics()
    ) as embedder:
        yield embedder


def awaiting(embedder: Embedder) -> Embed:
    async def embed(texts: Sequence[WantedText]) -> list[Embedding]:
        return list(await asyncio.gather(*embedder.embed(texts)))

    return embed


@asynccontextmanager
async def batching(model: Model) -> AsyncIterator[Embed]:
    async with batcher(model) as inner:
        yield awaiting(inner)


@asynccontextmanager
async def caching(model: Model) -> AsyncIterator[Embed]:
    async with batcher(model) as inner:
        yield awaiting(CachingEmbedder(inner, max_texts=100, metrics=FakeMetrics()))


@asynccontextmanager
async def caching_too_little(model: Model) -> AsyncIterator[Embed]:
    async with batcher(model) as inner:
        yield awaiting(CachingEmbedder(inner, max_texts=2, metrics=FakeMetrics()))


@asynccontextmanager
async def falling_back(model: Model) -> AsyncIterator[Embed]:
    """Join all of them, as the service does."""
    async with nested_around(model, workers=2) as nest:

        async def embed(texts: Sequence[WantedText]) -> list[Embedding]:
            wanted = [SpanText(text.content, urgent=text.urgent) for text in texts]
            embeddings = await nest.fallback.embed(wanted, timeout=30)
            return [embedding for embedding in embeddings if embedding is not None]

        yield embed


@pytest.fixture(params=[batching, caching, caching_too_little, falling_back])
def wrap(request: pytest.FixtureRequest) -> Wrap:
    wrapping: Wrap = request.param
    return wrapping


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "fake":
        return FakeModel()
    real: Model = request.getfixturevalue("real_model")
    return real


@pytest.fixture
async def embed(wrap: Wrap, model: Model) -> AsyncIterator[Embed]:
    async with AsyncExitStack() as parts:
        yield await parts.enter_async_context(wrap(model))


def texts(contents: Iterable[str]) -> list[WantedText]:
    return [WantedText(content, urgent=bool(number % 2)) for number, content in enumerate(contents)]


def same(one: Sequence[Embedding], other: Sequence[Embedding]) -> bool:
    return all(np.array_equal(a.vector, b.vector) for a, b in zip(one, other, strict=True))


async def test_there_is_one_embedding_for_each_text(embed: Embed) -> None:
    assert len(await embed(texts(CONTENTS))) == len(CONTENTS)


async def test_no_texts_have_no_embeddings(embed: Embed) -> None:
    assert await embed([]) == []


async def test_a_vector_has_384_values_of_float32_and_unit_length(embed: Embed) -> None:
    for embedding in await embed(texts(CONTENTS)):
        assert embedding.vector.shape == (DIMENSION,)
        assert embedding.vector.dtype == np.float32
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)


async def test_an_embedding_names_the_model_that_made_it(embed: Embed) -> None:
    for embedding in await embed(texts(CONTENTS)):
        assert embedding.source == "model"
        assert embedding.model in {FAKE_MODEL, DEFAULT_MODEL}


async def test_a_text_has_the_same_bits_alone_in_company_and_in_any_order(embed: Embed) -> None:
    together = await embed(texts(CONTENTS))
    alone = [(await embed(texts([content])))[0] for content in CONTENTS]
    reversed_ = await embed(texts(reversed(CONTENTS)))

    assert same(together, alone)
    assert same(together, reversed_[::-1])


async def test_a_text_that_is_there_twice_has_the_same_vector_twice(embed: Embed) -> None:
    embeddings = await embed(texts([*CONTENTS, *CONTENTS]))

    assert same(embeddings[: len(CONTENTS)], embeddings[len(CONTENTS) :])


async def test_different_texts_have_different_vectors(embed: Embed) -> None:
    embeddings = await embed(texts(CONTENTS))

    assert len({embedding.vector.tobytes() for embedding in embeddings}) == len(CONTENTS)


async def test_requests_at_the_same_time_do_not_mix_up_their_vectors(
    embed: Embed, model: Model
) -> None:
    requests = [texts(CONTENTS[first:] + CONTENTS[:first]) for first in range(len(CONTENTS))]
    answers = await asyncio.gather(*map(embed, requests))

    for request, answer in zip(requests, answers, strict=True):
        expected = await asyncio.to_thread(model.encode, [text.content for text in request])
        assert same(answer, expected)


async def test_who_leaves_takes_nothing_from_those_who_stay(embed: Embed) -> None:
    leaving = [asyncio.create_task(embed(texts(CONTENTS))) for _ in range(3)]
    staying = asyncio.create_task(embed(texts(CONTENTS)))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()

    assert same(await staying, await embed(texts(CONTENTS)))


async def test_a_text_wanted_in_the_very_moment_that_it_is_done_is_not_computed_again() -> None:
    """The cache hears of a vector a turn of the event loop after the batcher has it."""
    model = FakeModel()
    again: list[asyncio.Future[Embedding]] = []
    async with batcher(model, workers=1) as inner:
        cache = CachingEmbedder(inner, max_texts=100, metrics=FakeMetrics())
        a, b = cache.embed([WantedText(content, urgent=False) for content in "ab"])
        a.add_done_callback(lambda _: again.extend(cache.embed([WantedText("b", urgent=False)])))
        embedding = await b
        answered_again = await again[0]

    assert answered_again is embedding
    assert model.batches == [["a", "b"]]
