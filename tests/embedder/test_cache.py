from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import Embedder, WantedText
from otel_embedder.embedder.fallback import FallbackEmbedder
from otel_embedder.embedder.known import CacheInfo
from otel_embedder.errors import EmbeddingFailedError
from otel_embedder.fairness import Turns
from tests.support.fakes import (
    DIMENSION,
    FakeEmbedder,
    FakeMetrics,
    SpanText,
    embedding_of,
    errors_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_embedder.embedder.embedding import Embedding

pytestmark = pytest.mark.timeout(120)


def caching(
    next_: Embedder, *, max_texts: int = 100, metrics: FakeMetrics | None = None
) -> CachingEmbedder:
    return CachingEmbedder(next_, max_texts=max_texts, metrics=metrics or FakeMetrics())


def texts(contents: Iterable[str]) -> list[WantedText]:
    return [WantedText(content, urgent=False) for content in contents]


async def gathered(futures: Sequence[asyncio.Future[Embedding]]) -> list[Embedding]:
    return list(await asyncio.gather(*futures))


async def test_a_text_is_asked_for_once_and_then_known() -> None:
    next_ = FakeEmbedder(at_once=True)
    cache = caching(next_)
    [first] = await gathered(cache.embed(texts("a")))
    [hit] = cache.embed(texts("a"))

    assert next_.contents() == [["a"]]
    assert hit.done()
    assert hit.result() is first


async def test_of_known_and_new_texts_only_the_new_are_asked_for() -> None:
    next_ = FakeEmbedder(at_once=True)
    cache = caching(next_)
    known = await gathered(cache.embed(texts("bd")))
    embeddings = await gathered(cache.embed(texts("abcd")))

    assert next_.contents() == [["b", "d"], ["a", "c"]]
    assert [embeddings[1], embeddings[3]] == known


async def test_texts_keep_their_places_when_one_is_there_twice() -> None:
    next_ = FakeEmbedder()
    futures = caching(next_).embed(texts("aba"))
    next_.resolve("a", "b")
    embeddings = await gathered(futures)

    assert embeddings[0] is not embeddings[1]
    assert (embeddings[0].vector == embeddings[2].vector).all()


@pytest.mark.parametrize("urgent", [True, False])
async def test_urgency_goes_along(urgent: bool) -> None:  # noqa: FBT001 - a parameter of the test
    next_ = FakeEmbedder(at_once=True)
    text = WantedText("a", urgent=urgent)
    caching(next_).embed([text])

    assert next_.calls == [[text]]


async def test_the_least_recently_wanted_text_is_forgotten_first() -> None:
    next_ = FakeEmbedder(at_once=True)
    cache = caching(next_, max_texts=2)
    for content in "ab":
        await gathered(cache.embed(texts(content)))
    await gathered(cache.embed(texts("a")))
    await gathered(cache.embed(texts("c")))
    await gathered(cache.embed(texts("ab")))

    assert next_.contents() == [["a"], ["b"], ["c"], ["b"]]


async def test_a_vector_that_comes_late_is_remembered() -> None:
    next_ = FakeEmbedder()
    cache = caching(next_)
    [late] = cache.embed(texts("a"))
    next_.resolve("a")
    await asyncio.wait([late])
    [hit] = cache.embed(texts("a"))

    assert hit.done()
    assert next_.contents() == [["a"]]


async def test_a_failure_is_not_remembered() -> None:
    next_ = FakeEmbedder()
    cache = caching(next_)
    failed = cache.embed(texts("a"))
    next_.fail("a", EmbeddingFailedError("on purpose"))
    await asyncio.wait(failed)
    again = cache.embed(texts("a"))
    next_.resolve("a")
    await asyncio.wait(again)

    assert errors_of(failed) == [EmbeddingFailedError]
    assert errors_of(again) == [None]


async def test_what_was_given_up_is_not_remembered() -> None:
    next_ = FakeEmbedder()
    cache = caching(next_)
    [given_up] = cache.embed(texts("a"))
    given_up.cancel()
    await asyncio.wait([given_up])
    [again] = cache.embed(texts("a"))

    assert not again.done()
    assert next_.contents() == [["a"], ["a"]]


async def test_a_stand_in_is_never_remembered() -> None:
    next_ = FakeEmbedder()
    metrics = FakeMetrics()
    embedder = FallbackEmbedder(
        caching(next_),
        dimension=lambda: DIMENSION,
        on_failure="fallback",
        quiet_seconds=0,
        turns=Turns(),
        metrics=metrics,
    )
    [stand_in] = await embedder.embed([SpanText("a")], timeout=0)
    next_.fail("a", EmbeddingFailedError("on purpose"))
    second = asyncio.create_task(embedder.embed([SpanText("a")], timeout=10))
    await asyncio.sleep(0)
    next_.resolve("a")
    [embedding] = await second

    assert stand_in is not None
    assert stand_in.source == "fallback"
    assert embedding is not None
    assert embedding.source == "model"


async def test_hits_and_misses_are_counted_text_by_text() -> None:
    metrics = FakeMetrics()
    cache = caching(FakeEmbedder(at_once=True), metrics=metrics)
    await gathered(cache.embed(texts("ab")))
    await gathered(cache.embed(texts("abc")))

    assert metrics.counts == {"hits": 2, "misses": 3}
    assert cache.cache_info() == CacheInfo(hits=2, misses=3, maxsize=100, currsize=3)


async def test_the_next_embedder_is_not_troubled_when_all_is_known() -> None:
    next_ = FakeEmbedder(at_once=True)
    cache = caching(next_)
    await gathered(cache.embed(texts("a")))
    cache.embed(texts("a"))
    cache.embed([])

    assert next_.contents() == [["a"]]


async def test_a_failure_that_nobody_waits_for_is_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    next_ = FakeEmbedder()
    caching(next_).embed(texts("a"))
    next_.fail("a", EmbeddingFailedError("on purpose"))
    await asyncio.sleep(0)
    next_.futures.clear()

    assert caplog.records == []


async def test_what_is_recalled_is_older_than_all_that_is_known() -> None:
    next_ = FakeEmbedder(at_once=True)
    cache = caching(next_, max_texts=3)
    [known] = await gathered(cache.embed(texts("a")))
    had_room = [cache.recall(each, embedding_of(each)) for each in "abcd"]
    await gathered(cache.embed(texts("e")))
    [again, *others] = await gathered(cache.embed(texts("abc")))

    assert had_room == [True, True, True, False]
    assert again is known
    assert next_.contents() == [["a"], ["e"], ["c"]]
    assert others[0].vector.tobytes() == embedding_of("b").vector.tobytes()
