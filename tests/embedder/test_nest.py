from __future__ import annotations

import asyncio
import threading
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.embedding import WantedText
from otel_embedder.embedder.models.reviving import RevivingModel
from otel_embedder.errors import EmbedderClosedError, ModelUnavailableError
from tests.support.embedders import nested_around, nested_in
from tests.support.fakes import DIMENSION, PATIENCE, FakeModel, SpanText

if TYPE_CHECKING:
    from otel_embedder.embedder.nest import Nest

pytestmark = pytest.mark.timeout(120)

A = WantedText("a", urgent=False)


async def test_what_a_span_had_embedded_a_question_finds_known() -> None:
    model = FakeModel()
    async with nested_around(model) as nest:
        [of_span] = await nest.fallback.embed([SpanText("a")], timeout=PATIENCE)
        [of_question] = nest.cache.embed([A])

    assert of_question.result() is of_span
    assert nest.cache.cache_info().hits == 1
    assert model.batches == [["a"]]


async def test_a_question_gets_the_error_where_a_span_gets_a_stand_in() -> None:
    async with nested_around(FakeModel({"a": ModelUnavailableError("no model")})) as nest:
        [embedding] = await nest.fallback.embed([SpanText("a")], timeout=PATIENCE)
        with pytest.raises(ModelUnavailableError):
            await nest.cache.embed([A])[0]

    assert embedding is not None
    assert embedding.source == "fallback"


async def test_it_is_known_how_many_texts_wait() -> None:
    model = FakeModel()
    model.hold()
    async with nested_around(model) as nest:
        futures = nest.cache.embed([A])
        await model.begun()
        futures += nest.cache.embed([WantedText(content, urgent=False) for content in "bc"])
        waiting = nest.batcher.queue_size()
        model.release()
        await asyncio.gather(*futures)

    assert waiting == 2


async def test_a_model_that_hangs_is_loaded_anew() -> None:
    hanging = FakeModel()
    hanging.hold()
    models = chain([hanging], repeat(FakeModel()))
    model = RevivingModel(lambda: next(models), dimension=DIMENSION, retry_after=0)
    async with nested_in(model, batch_timeout=0.05) as nest:
        sources = [await source_of(nest)]
        # On a busy machine another may seem to hang as well.
        async with asyncio.timeout(PATIENCE):
            while sources[-1] != "model":
                sources.append(await source_of(nest))
    hanging.release()

    assert sources[0] == "fallback"


async def source_of(nest: Nest) -> str:
    [embedding] = await nest.fallback.embed([SpanText("a")], timeout=PATIENCE)
    assert embedding is not None
    return embedding.source


async def test_a_load_under_way_does_not_keep_it_from_closing() -> None:
    begun, done = threading.Event(), threading.Event()

    def load() -> FakeModel:
        begun.set()
        assert done.wait(2 * PATIENCE)
        return FakeModel()

    model = RevivingModel(load, dimension=DIMENSION, retry_after=60)
    async with asyncio.timeout(PATIENCE):
        async with nested_in(model) as nest:
            [waiting] = nest.cache.embed([A])
            assert await asyncio.to_thread(begun.wait, PATIENCE)
    done.set()

    assert isinstance(waiting.exception(), ModelUnavailableError)


async def test_once_closed_it_refuses_but_spans_get_their_answer() -> None:
    async with nested_around(FakeModel()) as nest:
        pass
    [embedding] = await nest.fallback.embed([SpanText("a")], timeout=PATIENCE)
    [question] = nest.cache.embed([A])

    assert embedding is not None
    assert embedding.source == "fallback"
    assert isinstance(question.exception(), EmbedderClosedError)
