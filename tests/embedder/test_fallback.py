from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from otel_embedder.embedder.batcher import BatchingEmbedder
from otel_embedder.embedder.cache import CachingEmbedder
from otel_embedder.embedder.embedding import Embedder, Embedding, WantedText
from otel_embedder.embedder.fallback import (
    EMBEDDING_FAILED,
    EMBEDDING_RECOVERED,
    PIECE,
    FallbackEmbedder,
)
from otel_embedder.embedder.stand_in import STAND_IN_MODEL, stand_in
from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingFailedError,
    ModelUnavailableError,
    QueueFullError,
)
from otel_embedder.fairness import Turns
from tests.support.embedders import nested_around
from tests.support.fakes import (
    DIMENSION,
    FAKE_MODEL,
    BrokenEmbedder,
    FakeEmbedder,
    FakeMetrics,
    FakeModel,
    LateSpan,
    SpanText,
    embedding_of,
)
from tests.support.turns import others_beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from otel_embedder.embedder.embedding import Vector, Wanted
    from otel_embedder.embedder.settings import OnFailure

pytestmark = pytest.mark.timeout(120)

TRACE_ID = "5b8efff798038103d269b633813fc60c"

CAUSES = (
    ModelUnavailableError("the model in /nowhere lacks model.safetensors"),
    ModelUnavailableError("the model in /models does not load: corrupt"),
    EmbeddingFailedError("MemoryError: 3 GB wanted"),
    QueueFullError("10000 texts wait for the model already"),
    EmbedderClosedError("the embedder has closed"),
)


def falling_back(
    next_: Embedder, *, on_failure: OnFailure = "fallback", metrics: FakeMetrics | None = None
) -> FallbackEmbedder:
    return FallbackEmbedder(
        next_,
        dimension=lambda: DIMENSION,
        on_failure=on_failure,
        quiet_seconds=0,
        turns=Turns(),
        metrics=metrics or FakeMetrics(),
    )


@asynccontextmanager
async def whole_chain(model: FakeModel) -> AsyncIterator[FallbackEmbedder]:
    """Join the embedders as the service does."""
    async with AsyncExitStack() as parts:
        nest = await parts.enter_async_context(nested_around(model))
        # A test that failed may have left the model held up.
        parts.callback(model.release)
        yield nest.fallback


def texts(contents: Iterable[str]) -> list[SpanText]:
    return [SpanText(content, TRACE_ID) for content in contents]


def sources(embeddings: Sequence[Embedding | None]) -> list[str | None]:
    return [embedding.source if embedding else None for embedding in embeddings]


def stand_ins(count: int) -> Vector:
    """Give the stand-ins of so many traces: shape (count, 384)."""
    return np.stack([stand_in(f"{number:032x}", DIMENSION).vector for number in range(count)])


async def test_the_models_vectors_pass_in_order() -> None:
    embedder = falling_back(FakeEmbedder(at_once=True))
    embeddings = await embedder.embed(texts("abca"), timeout=1)

    for content, embedding in zip("abca", embeddings, strict=True):
        assert embedding is not None
        assert embedding.model == FAKE_MODEL
        assert np.array_equal(embedding.vector, embedding_of(content).vector)


@pytest.mark.parametrize("cause", CAUSES, ids=str)
async def test_whatever_the_cause_the_span_gets_the_stand_in_of_its_trace(
    cause: Exception,
) -> None:
    [embedding] = await falling_back(BrokenEmbedder(cause)).embed(texts("a"), timeout=1)

    assert embedding is not None
    assert (embedding.source, embedding.model) == ("fallback", STAND_IN_MODEL)
    assert np.array_equal(embedding.vector, stand_in(TRACE_ID, DIMENSION).vector)


async def test_a_slow_model_is_waited_for_no_longer_than_the_time_there_is() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    embeddings = await falling_back(FakeEmbedder()).embed(texts("ab"), timeout=0.05)

    assert sources(embeddings) == ["fallback", "fallback"]
    assert 0.04 < loop.time() - started < 1


async def test_who_has_no_time_still_gets_what_is_known() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(CachingEmbedder(next_, max_texts=100, metrics=FakeMetrics()))
    await embedder.embed(texts("ab"), timeout=0)
    next_.resolve("a")
    await asyncio.sleep(0)
    embeddings = await embedder.embed(texts("ab"), timeout=0)

    assert sources(embeddings) == ["model", "fallback"]


async def test_what_is_ready_is_kept_when_others_miss_their_time() -> None:
    next_ = FakeEmbedder()
    waiting = asyncio.create_task(falling_back(next_).embed(texts("abc"), timeout=0.05))
    await asyncio.sleep(0)
    next_.resolve("b")

    assert sources(await waiting) == ["fallback", "model", "fallback"]


async def test_a_vector_that_comes_late_is_there_the_next_time() -> None:
    model = FakeModel()
    model.hold()
    async with whole_chain(model) as embedder:
        first = await embedder.embed(texts("a"), timeout=0.01)
        await model.begun()
        model.release()
        second = await embedder.embed(texts("a"), timeout=10)
        third = await embedder.embed(texts("a"), timeout=0)

    assert [*sources(first), *sources(second), *sources(third)] == ["fallback", "model", "model"]
    assert model.batches == [["a"]]


async def test_who_waits_goes_before_those_who_have_gone_on() -> None:
    model = FakeModel()
    model.hold()
    async with whole_chain(model) as embedder:
        await embedder.embed(texts("a"), timeout=0.01)
        await model.begun()
        await embedder.embed(texts(f"late {number}" for number in range(100)), timeout=0.01)
        waiting = asyncio.create_task(embedder.embed(texts(["mine"]), timeout=10))
        await asyncio.sleep(0)
        model.release()
        await waiting

    assert model.batches[1][0] == "mine"


async def test_others_have_their_turns_while_a_large_request_is_seen_to() -> None:
    wanted = texts(f"text {number}" for number in range(20 * PIECE))
    async with nested_around(FakeModel()) as nest:
        with others_beside() as others:
            embeddings = await nest.fallback.embed(wanted, timeout=0)

    assert len(embeddings) == len(wanted)
    assert others.turns > 100


async def test_of_a_large_request_each_gets_what_is_its_own() -> None:
    contents = [f"text {number}" for number in range(2 * PIECE)]
    embeddings = await falling_back(FakeEmbedder(at_once=True)).embed(texts(contents), timeout=1)

    for content, embedding in zip(contents, embeddings, strict=True):
        assert embedding is not None
        assert np.array_equal(embedding.vector, embedding_of(content).vector)


async def test_who_leaves_while_a_large_request_is_asked_for_wants_nothing_of_it() -> None:
    next_ = FakeEmbedder()
    wanted = texts(f"text {number}" for number in range(3 * PIECE))
    task = asyncio.create_task(falling_back(next_).embed(wanted, timeout=10))
    for _ in range(100):
        if next_.calls:
            break
        await asyncio.sleep(0)
    begun = len(next_.calls)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert 0 < begun < 3
    assert all(future.cancelled() for [future] in next_.futures.values())


async def test_a_queue_that_is_full_falls_back_for_what_it_refused_only() -> None:
    model = FakeModel()
    metrics = FakeMetrics()
    batcher = BatchingEmbedder(
        model, workers=1, max_batch_size=32, max_queue_size=2, metrics=metrics
    )
    async with batcher:
        embeddings = await falling_back(batcher).embed(texts("abc"), timeout=10)

    assert sources(embeddings) == ["model", "model", "fallback"]


async def test_each_span_gets_its_own_traces_stand_in_though_the_text_is_the_same() -> None:
    embedder = falling_back(BrokenEmbedder(CAUSES[0]))
    embeddings = await embedder.embed([SpanText("a", "one"), SpanText("a", "two")], timeout=1)

    for trace_id, embedding in zip(("one", "two"), embeddings, strict=True):
        assert embedding is not None
        assert np.array_equal(embedding.vector, stand_in(trace_id, DIMENSION).vector)


async def test_a_text_that_spans_share_is_asked_for_once() -> None:
    next_ = FakeEmbedder(at_once=True)
    await falling_back(next_).embed([SpanText("a", "one"), SpanText("a", "two")], timeout=1)

    assert next_.contents() == [["a"]]


@pytest.mark.parametrize("urgent", [(True, False), (False, True)], ids=str)
async def test_a_text_that_spans_share_is_urgent_if_it_is_for_one_of_them(
    urgent: tuple[bool, bool],
) -> None:
    next_ = FakeEmbedder(at_once=True)
    wanted = [SpanText("a", "one", urgent=urgent[0]), SpanText("a", "two", urgent=urgent[1])]
    await falling_back(next_).embed([*wanted, SpanText("b", "one")], timeout=1)
    [asked] = next_.calls

    assert asked == [WantedText("a", urgent=True), WantedText("b", urgent=False)]


async def test_omit_gives_nothing_in_the_place_of_a_vector() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(next_, on_failure="omit")
    waiting = asyncio.create_task(embedder.embed(texts("ab"), timeout=10))
    await asyncio.sleep(0)
    next_.resolve("a")
    next_.fail("b", EmbeddingFailedError("on purpose"))

    assert sources(await waiting) == ["model", None]


async def test_nothing_to_embed_takes_no_time() -> None:
    assert await falling_back(FakeEmbedder()).embed([], timeout=10) == []


async def test_an_error_that_is_no_embedding_error_is_not_hidden() -> None:
    embedder = falling_back(BrokenEmbedder(ZeroDivisionError("a fault of ours")))

    with pytest.raises(ZeroDivisionError):
        await embedder.embed(texts("a"), timeout=1)


async def test_a_failure_is_logged_when_it_begins_and_when_it_ends() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(next_)
    with capture_logs() as logs:
        for content in "abc":
            await embedder.embed(texts([content]), timeout=0)
        for content in "de":
            waiting = asyncio.create_task(embedder.embed(texts([content]), timeout=10))
            await asyncio.sleep(0)
            next_.resolve(content)
            await waiting

    begin, end = logs
    assert begin == {
        "event": EMBEDDING_FAILED,
        "log_level": "warning",
        "error": "the vector was not ready in time",
        "trace_id": TRACE_ID,
        "fallback": True,
    }
    assert (end["event"], end["log_level"]) == (EMBEDDING_RECOVERED, "info")
    assert EMBEDDING_FAILED == "embedding-generation-failed"


async def test_a_failure_that_begins_again_is_logged_again() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(next_)
    with capture_logs() as logs:
        for content in "ab":
            await embedder.embed(texts([content]), timeout=0)
            waiting = asyncio.create_task(embedder.embed(texts([content * 2]), timeout=10))
            await asyncio.sleep(0)
            next_.resolve(content * 2)
            await waiting

    assert [line["event"] for line in logs] == [EMBEDDING_FAILED, EMBEDDING_RECOVERED] * 2


async def test_a_known_text_does_not_end_a_failure() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(CachingEmbedder(next_, max_texts=100, metrics=FakeMetrics()))
    with capture_logs() as logs:
        await embedder.embed(texts("ab"), timeout=0)
        next_.resolve("a")
        await asyncio.sleep(0)
        await embedder.embed(texts("a"), timeout=0)

    assert [line["event"] for line in logs] == [EMBEDDING_FAILED]


async def test_the_log_names_the_first_span_that_failed_and_not_the_first_span() -> None:
    model = FakeModel({"bad": ValueError("no such text")})
    async with whole_chain(model) as embedder:
        await embedder.embed([SpanText("good", "one")], timeout=10)
        with capture_logs() as logs:
            await embedder.embed([SpanText("good", "two"), SpanText("bad", "three")], timeout=10)

    assert logs[0]["trace_id"] == "three"
    assert logs[0]["error"] == "the model failed: ValueError"


async def test_where_nothing_stands_in_the_log_says_so() -> None:
    with capture_logs() as logs:
        await falling_back(BrokenEmbedder(CAUSES[0]), on_failure="omit").embed(
            texts("a"), timeout=1
        )

    assert logs[0]["fallback"] is False


@pytest.mark.parametrize("on_failure", ["fallback", "omit"])
async def test_every_span_that_goes_without_is_counted(on_failure: OnFailure) -> None:
    metrics = FakeMetrics()
    embedder = falling_back(BrokenEmbedder(CAUSES[0]), on_failure=on_failure, metrics=metrics)
    await embedder.embed(texts("aab"), timeout=1)
    await embedder.embed(texts("a"), timeout=1)

    assert metrics.counts == {"fell_back": 4}


async def test_a_span_without_a_text_gets_its_traces_stand_in_too() -> None:
    metrics = FakeMetrics()
    embedder = falling_back(FakeEmbedder(), metrics=metrics)
    with capture_logs() as logs:
        embeddings = await embedder.embed(late_spans("one", "two", "one"), timeout=1)

    for trace_id, embedding in zip(("one", "two", "one"), embeddings, strict=True):
        assert embedding is not None
        assert np.array_equal(embedding.vector, stand_in(trace_id, DIMENSION).vector)
    assert metrics.counts == {"fell_back": 3}
    assert [(line["event"], line["error"]) for line in logs] == [
        (EMBEDDING_FAILED, "no time was left to render it")
    ]


async def test_a_span_without_a_text_stays_as_it_came_if_that_is_wanted() -> None:
    metrics = FakeMetrics()
    embedder = falling_back(FakeEmbedder(), on_failure="omit", metrics=metrics)

    assert await embedder.embed(late_spans("one", "two"), timeout=1) == [None, None]
    assert metrics.counts == {"fell_back": 2}


async def test_spans_with_and_without_a_text_keep_their_places() -> None:
    metrics = FakeMetrics()
    next_ = FakeEmbedder(at_once=True)
    wanted: list[Wanted] = [
        *(LateSpan("one"), SpanText("a", "one")),
        *(LateSpan("two"), SpanText("", "two")),
    ]
    embeddings = await falling_back(next_, metrics=metrics).embed(wanted, timeout=1)

    assert sources(embeddings) == ["fallback", "model", "fallback", "model"]
    assert next_.contents() == [["a", ""]]
    assert metrics.counts == {"fell_back": 2}


async def test_while_spans_go_without_a_text_a_failure_is_not_over() -> None:
    next_ = FakeEmbedder()
    embedder = falling_back(next_)
    with capture_logs() as logs:
        for content in "ab":
            wanted: list[Wanted] = [SpanText(content), LateSpan("one")]
            waiting = asyncio.create_task(embedder.embed(wanted, timeout=10))
            await asyncio.sleep(0)
            next_.resolve(content)
            await waiting

    assert [line["event"] for line in logs] == [EMBEDDING_FAILED]


def late_spans(*trace_ids: str) -> list[LateSpan]:
    return [LateSpan(trace_id) for trace_id in trace_ids]


async def test_many_stand_ins_leave_others_their_turn() -> None:
    spans = late_spans(*map(str, range(100_000)))
    with others_beside() as others:
        await falling_back(FakeEmbedder()).embed(spans, timeout=1)

    assert others.turns > 100


async def test_who_leaves_cancels_what_nobody_else_wants() -> None:
    model = FakeModel()
    model.hold()
    async with whole_chain(model) as embedder:
        busy = asyncio.create_task(embedder.embed(texts("a"), timeout=10))
        await model.begun()
        leaving = asyncio.create_task(embedder.embed(texts("bc"), timeout=10))
        staying = asyncio.create_task(embedder.embed(texts("c"), timeout=10))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        model.release()
        embeddings = [*await busy, *await staying]

    assert leaving.cancelled()
    assert sources(embeddings) == ["model", "model"]
    assert model.batches == [["a"], ["c"]]


@pytest.mark.parametrize("trace_id", [TRACE_ID, "", "unknown", "\udcff", "0" * 32])
def test_a_stand_in_has_mean_zero_and_unit_length(trace_id: str) -> None:
    embedding = stand_in(trace_id, DIMENSION)

    assert embedding.vector.shape == (384,)
    assert embedding.vector.dtype == np.float32
    assert abs(embedding.vector.mean()) < 1e-7
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-6)
    assert (embedding.model, embedding.source) == (STAND_IN_MODEL, "fallback")


def test_a_stand_in_is_the_same_today_and_tomorrow() -> None:
    vector = stand_in(TRACE_ID, DIMENSION).vector

    assert np.array_equal(vector, stand_in(TRACE_ID, DIMENSION).vector)
    assert vector[:3] == pytest.approx([0.018755637, 0.034929097, -0.003830913], abs=1e-8)
    assert vector[-3:] == pytest.approx([0.075037107, -0.066157483, 0.062653519], abs=1e-8)


def test_any_two_stand_ins_are_unlike() -> None:
    cosines = [abs(float(one @ other)) for one, other in combinations(stand_ins(50), 2)]

    assert max(cosines) < 0.2


def test_no_dimension_of_a_stand_in_is_zero() -> None:
    vectors = stand_ins(100)

    assert (vectors != 0).all()
    assert np.abs(vectors.mean(axis=0)).max() < 0.03


@pytest.mark.parametrize("dimension", [1_024, 768, 385, 2])
def test_a_stand_in_has_as_many_values_as_the_model(dimension: int) -> None:
    vector = stand_in(TRACE_ID, dimension).vector

    assert vector.shape == (dimension,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("on_failure", ["fallback", "omit"])
async def test_a_text_of_unknown_words_gets_what_a_failure_gets(on_failure: OnFailure) -> None:
    next_, metrics = FakeEmbedder(), FakeMetrics()
    embedder = falling_back(next_, on_failure=on_failure, metrics=metrics)
    asked = asyncio.create_task(embedder.embed([SpanText("🔥", TRACE_ID)], timeout=60))
    await asyncio.sleep(0)
    next_.futures["🔥"][0].set_result(stand_in("🔥", DIMENSION))

    with capture_logs() as logs:
        [embedding] = await asked

    assert [line["error"] for line in logs] == ["the model knows none of the words of a text"]
    if on_failure == "omit":
        assert embedding is None
    else:
        assert embedding is not None
        assert (embedding.model, embedding.source) == (STAND_IN_MODEL, "fallback")
        assert (embedding.vector == stand_in(TRACE_ID, DIMENSION).vector).all()
