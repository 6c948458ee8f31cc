from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.embedder.batcher import CLOSING_SECONDS, BatchingEmbedder
from otel_embedder.embedder.embedding import Embedding, WantedText
from otel_embedder.embedder.waiting import Party
from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingFailedError,
    EmbeddingTimeoutError,
    ModelUnavailableError,
    QueueFullError,
)
from tests.support.fakes import DIMENSION, PATIENCE, FakeMetrics, FakeModel, embedding_of, errors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from otel_embedder.embedder.embedding import Model

pytestmark = pytest.mark.timeout(120)


NO_SUCH_MEMORY = 2**47  # of a process, in bytes


class PanickingModel:
    """Fails as a library in Rust does that panics: not with an Exception."""

    class Panic(BaseException):
        pass

    dimension = DIMENSION

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        raise self.Panic(*texts)


class ForgetfulModel:
    """Gives an embedding too few."""

    dimension = DIMENSION

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        return [embedding_of(text) for text in texts[1:]]


# What does not hang takes some milliseconds, or many on a machine with much else to do.
HANG_SECONDS = 0.5


class HangingModel:
    """Never comes back from texts that say so, until it is let go."""

    dimension = DIMENSION

    def __init__(self) -> None:
        self.hanging: list[int] = []
        self._free = threading.Event()

    def let_go(self) -> None:
        self._free.set()

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        if "hang" in texts:
            self.hanging.append(threading.get_ident())
            assert self._free.wait(2 * PATIENCE)
        return [embedding_of(text) for text in texts]


def batching(
    model: Model,
    metrics: FakeMetrics | None = None,
    *,
    workers: int = 1,
    max_batch_size: int = 32,
    max_queue_size: int = 100,
    batch_timeout: float = math.inf,
    on_hang: Callable[[int], None] = lambda _: None,
    closing_seconds: float = CLOSING_SECONDS,
) -> BatchingEmbedder:
    return BatchingEmbedder(
        model,
        workers=workers,
        max_batch_size=max_batch_size,
        max_queue_size=max_queue_size,
        metrics=metrics or FakeMetrics(),
        batch_timeout=batch_timeout,
        on_hang=on_hang,
        closing_seconds=closing_seconds,
    )


@pytest.fixture
def hanging_model() -> Iterator[HangingModel]:
    model = HangingModel()
    yield model
    model.let_go()


def texts(contents: Iterable[str], *, urgent: bool = False) -> list[WantedText]:
    return [WantedText(content, urgent=urgent) for content in contents]


async def gathered(futures: Sequence[asyncio.Future[Embedding]]) -> list[Embedding]:
    return list(await asyncio.gather(*futures))


def are_vectors_of(contents: Iterable[str], embeddings: Sequence[Embedding]) -> bool:
    return all(
        np.array_equal(embedding.vector, embedding_of(content).vector)
        for content, embedding in zip(contents, embeddings, strict=True)
    )


async def test_a_lone_text_waits_for_no_company() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        [embedding] = await gathered(batcher.embed(texts("a")))

    assert model.batches == [["a"]]
    assert are_vectors_of("a", [embedding])


async def test_batches_grow_while_the_model_is_busy() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        first = batcher.embed(texts("a"))
        await model.begun()
        others = [future for content in "bcd" for future in batcher.embed(texts(content))]
        waiting = batcher.queue_size()
        model.release()
        await gathered([*first, *others])
        await gathered(batcher.embed(texts("e")))

    assert waiting == 3
    assert model.batches == [["a"], ["b", "c", "d"], ["e"]]


async def test_idle_workers_get_equal_shares() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, workers=3) as batcher:
        futures = batcher.embed(texts("abcdefgh"))
        await model.begun(3)
        model.release()
        await gathered(futures)

    assert sorted(model.batches) == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]


async def test_a_batch_is_never_larger_than_allowed() -> None:
    model = FakeModel()
    async with batching(model, max_batch_size=4) as batcher:
        await gathered(batcher.embed(texts("abcdefghij")))

    assert model.batches == [["a", "b", "c", "d"], ["e", "f", "g", "h"], ["i", "j"]]


async def test_each_text_gets_its_own_vector() -> None:
    contents = [f"text {number}" for number in range(50)]
    async with batching(FakeModel(), workers=2, max_batch_size=7) as batcher:
        embeddings = await gathered(batcher.embed(texts(contents)))

    assert are_vectors_of(contents, embeddings)


async def test_a_text_wanted_twice_at_once_is_computed_once() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        embeddings = await gathered(batcher.embed(texts(["same", "other", "same"])))

    assert model.batches == [["same", "other"]]
    assert embeddings[0] is embeddings[2]


async def test_a_text_that_the_model_is_at_already_is_not_queued_again() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        first = batcher.embed(texts("a"))
        await model.begun()
        second = batcher.embed(texts("a"))
        waiting = batcher.queue_size()
        model.release()
        embeddings = await gathered([*first, *second])

    assert waiting == 0
    assert model.batches == [["a"]]
    assert embeddings[0] is embeddings[1]


async def test_a_text_wanted_again_later_is_computed_again() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        await gathered(batcher.embed(texts("a")))
        await gathered(batcher.embed(texts("a")))

    assert model.batches == [["a"], ["a"]]


async def test_a_cancelled_caller_is_not_paid_for_and_shifts_nobodys_vector() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        left = batcher.embed(texts("bc"))
        stayed = batcher.embed(texts("de"))
        for future in left:
            future.cancel()
        model.release()
        embeddings = await gathered([*busy, *stayed])

    assert model.batches == [["a"], ["d", "e"]]
    assert are_vectors_of("ade", embeddings)


async def test_one_of_two_callers_of_a_text_may_leave() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        [left] = batcher.embed(texts("b"))
        [stayed] = batcher.embed(texts("b"))
        left.cancel()
        model.release()
        embeddings = await gathered([*busy, stayed])

    assert model.batches == [["a"], ["b"]]
    assert are_vectors_of("b", [embeddings[1]])
    assert left.cancelled()


async def test_a_caller_may_leave_while_the_model_is_at_its_text() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        [left, stayed] = batcher.embed(texts("ab"))
        await model.begun()
        left.cancel()
        model.release()
        embedding = await stayed

    assert are_vectors_of("b", [embedding])


async def test_a_text_that_was_given_up_can_be_wanted_again() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        [left] = batcher.embed(texts("b"))
        left.cancel()
        again = batcher.embed(texts("b"))
        model.release()
        embeddings = await gathered([*busy, *again])

    assert are_vectors_of("b", [embeddings[1]])
    assert model.batches == [["a"], ["b"]]


async def test_a_queue_that_everybody_left_costs_nothing() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=2) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        for future in batcher.embed(texts("bc")):
            future.cancel()
        model.release()
        await gathered(busy)
        embeddings = await gathered(batcher.embed(texts("de")))

    assert model.batches == [["a"], ["d", "e"]]
    assert are_vectors_of("de", embeddings)


async def test_those_who_left_keep_nobody_out() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=2) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        for future in batcher.embed(texts("bc")):
            future.cancel()
        newcomers = batcher.embed(texts("de"))
        model.release()
        results = await asyncio.gather(*busy, *newcomers, return_exceptions=True)

    assert not any(isinstance(result, BaseException) for result in results)


async def test_a_failed_batch_fails_its_own_callers_only() -> None:
    model = FakeModel({"bad": ModelUnavailableError("no model")})
    model.hold()
    async with batching(model) as batcher:
        before = batcher.embed(texts(["good"]))
        await model.begun()
        during = batcher.embed(texts(["bad", "companion"]))
        model.release()
        await asyncio.wait([*before, *during])
        after = batcher.embed(texts(["companion"]))
        await asyncio.wait(after)

    assert model.batches == [["good"], ["bad", "companion"], ["companion"]]
    assert errors_of(before) == [None]
    assert errors_of(during) == [ModelUnavailableError, ModelUnavailableError]
    assert errors_of(after) == [None]


async def test_another_error_becomes_an_embedding_error_that_names_it() -> None:
    async with batching(FakeModel({"a": MemoryError("3 GB wanted")})) as batcher:
        with pytest.raises(EmbeddingFailedError, match="MemoryError: 3 GB wanted"):
            await gathered(batcher.embed(texts("a")))


async def test_a_model_that_loses_a_text_fails_the_batch() -> None:
    async with batching(ForgetfulModel()) as batcher:
        futures = batcher.embed(texts("ab"))
        await asyncio.wait(futures)

    assert errors_of(futures)[1] is EmbeddingFailedError


async def test_a_model_that_panics_fails_its_callers_and_leaves_none_waiting() -> None:
    async with batching(PanickingModel()) as batcher:
        with pytest.raises(EmbeddingFailedError, match="Panic"):
            async with asyncio.timeout(1):
                await gathered(batcher.embed(texts("a")))


@pytest.mark.parametrize("error", [StopIteration(), KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_whatever_a_model_raises_ends_only_its_batch(error: BaseException) -> None:
    async with batching(FakeModel({"bad": error})) as batcher:
        failed = batcher.embed(texts(["bad"]))
        await asyncio.wait(failed)
        embeddings = await gathered(batcher.embed(texts("a")))

    assert errors_of(failed) == [EmbeddingFailedError]
    assert are_vectors_of("a", embeddings)


async def test_where_no_thread_is_to_be_had_the_batch_fails_and_the_next_one_runs() -> None:
    async with batching(FakeModel()) as batcher:
        usual = threading.stack_size(NO_SUCH_MEMORY)
        failed = batcher.embed(texts("a"))
        await asyncio.wait(failed)
        threading.stack_size(usual)
        embeddings = await gathered(batcher.embed(texts("a")))

    assert errors_of(failed) == [EmbeddingFailedError]
    assert are_vectors_of("a", embeddings)


async def test_a_batch_that_hangs_fails_and_the_next_one_runs(hanging_model: HangingModel) -> None:
    told: list[int] = []
    async with batching(hanging_model, batch_timeout=HANG_SECONDS, on_hang=told.append) as batcher:
        hung = batcher.embed(texts(["hang"]))
        later = batcher.embed(texts("ab"))
        await asyncio.wait(hung)
        embeddings = await gathered(later)

    assert errors_of(hung) == [EmbeddingTimeoutError]
    assert are_vectors_of("ab", embeddings)
    assert told == hanging_model.hanging


async def test_a_text_that_hung_can_be_wanted_again(hanging_model: HangingModel) -> None:
    async with batching(hanging_model, batch_timeout=HANG_SECONDS) as batcher:
        await asyncio.wait(batcher.embed(texts(["hang"])))
        hanging_model.let_go()
        embeddings = await gathered(batcher.embed(texts(["hang"])))

    assert are_vectors_of(["hang"], embeddings)


async def test_after_every_worker_has_hung_there_are_as_many_as_before(
    hanging_model: HangingModel,
) -> None:
    async with batching(
        hanging_model, workers=2, max_batch_size=1, batch_timeout=HANG_SECONDS
    ) as batcher:
        for _ in range(3):
            await asyncio.wait(batcher.embed(texts(["hang"])))
        futures = batcher.embed(texts("abcde"))
        waiting = batcher.queue_size()
        await gathered(futures)

    assert len("abcde") - waiting == 2
    assert len(set(hanging_model.hanging)) == 3


async def test_what_a_hung_batch_gives_in_the_end_disturbs_nobody(
    hanging_model: HangingModel,
) -> None:
    async with batching(hanging_model, batch_timeout=HANG_SECONDS) as batcher:
        hung = batcher.embed(texts(["hang"]))
        await asyncio.wait(hung)
        hanging_model.let_go()
        embeddings = await gathered(batcher.embed(texts("abc")))

    assert errors_of(hung) == [EmbeddingTimeoutError]
    assert are_vectors_of("abc", embeddings)


async def test_urgent_texts_go_first_where_texts_queue() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_batch_size=2) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        futures += batcher.embed(texts("bcd"))
        futures += batcher.embed(texts("xyz", urgent=True))
        model.release()
        await gathered(futures)

    assert model.batches == [["a"], ["x", "y"], ["z", "b"], ["c", "d"]]


async def test_a_text_that_waits_already_moves_up_once_it_is_urgent() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_batch_size=2) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        futures += batcher.embed(texts("bcde"))
        futures += batcher.embed(texts("xd", urgent=True))
        futures += batcher.embed(texts("d"))
        waiting = batcher.queue_size()
        model.release()
        embeddings = await gathered(futures)

    assert waiting == 5
    assert model.batches == [["a"], ["x", "d"], ["b", "c"], ["e"]]
    assert are_vectors_of("abcdexdd", embeddings)


async def test_those_who_left_are_not_counted_once_the_queue_is_full() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=6) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        left = batcher.embed([*texts("bc"), *texts("xy", urgent=True)])
        futures += batcher.embed([*texts("d"), *texts("z", urgent=True)])
        for future in left:
            future.cancel()
        full = batcher.queue_size()
        futures += batcher.embed(texts("e"))
        waiting = batcher.queue_size()
        model.release()
        await gathered(futures)

    assert (full, waiting) == (6, 3)
    assert model.batches == [["a"], ["z", "d", "e"]]


async def test_a_full_queue_refuses_new_texts_but_not_known_ones() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=2) as batcher:
        busy = batcher.embed(texts("a"))
        await model.begun()
        queued = [*batcher.embed(texts("b")), *batcher.embed(texts("c"))]
        [refused, known] = batcher.embed(texts("db"))
        refused_at_once = refused.done()
        model.release()
        await gathered([*busy, *queued, known])

    assert refused_at_once
    assert isinstance(refused.exception(), QueueFullError)
    assert model.batches == [["a"], ["b", "c"]]


async def test_a_text_beside_a_burst_is_in_the_next_batch() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=10_000) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        futures += batcher.embed(texts(f"burst {number}" for number in range(9_000)))
        [mine] = batcher.embed(texts(["mine"]))
        model.release()
        await mine
        for future in futures:
            future.cancel()

    assert "mine" in model.batches[1]


async def test_a_burst_for_which_the_queue_is_too_small_keeps_nobody_out() -> None:
    model = FakeModel()
    model.hold()
    async with batching(model, max_queue_size=6) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        burst = batcher.embed(texts("bcdefghij"))
        mine = batcher.embed(texts("xy"))
        waiting = batcher.queue_size()
        model.release()
        await asyncio.wait([*futures, *burst, *mine])

    assert waiting == 6
    assert errors_of(mine) == [None, None]
    assert errors_of(burst) == [None] * 4 + [QueueFullError] * 5
    assert model.batches == [["a"], ["b", "x", "c", "y", "d", "e"]]


async def test_who_asks_in_several_calls_is_one_party() -> None:
    model = FakeModel()
    model.hold()
    party = Party()
    async with batching(model) as batcher:
        futures = batcher.embed(texts("a"))
        await model.begun()
        futures += batcher.embed(texts("bc"), party=party)
        futures += batcher.embed(texts("de"), party=party)
        futures += batcher.embed(texts("xy"))
        model.release()
        await gathered(futures)

    assert model.batches == [["a"], ["b", "x", "c", "y", "d", "e"]]


async def test_closing_fails_whoever_waits_and_lets_a_running_batch_finish() -> None:
    model = FakeModel()
    model.hold()
    batcher = batching(model)
    async with asyncio.timeout(10):
        async with batcher:
            running = batcher.embed(texts("a"))
            await model.begun()
            waiting = batcher.embed([*texts("b"), *texts("c", urgent=True)])
            running[0].add_done_callback(lambda _: None)
            asyncio.get_running_loop().call_soon(model.release)

    assert errors_of(running) == [None]
    assert errors_of(waiting) == [EmbedderClosedError, EmbedderClosedError]
    assert model.batches == [["a"]]
    assert batcher.queue_size() == 0


async def test_whoever_waits_hears_of_the_closing_before_the_running_batch_ends() -> None:
    model = FakeModel()
    model.hold()
    batcher = batching(model)
    async with asyncio.timeout(10):
        async with batcher:
            batcher.embed(texts("a"))
            await model.begun()
            [waiting] = batcher.embed(texts("b"))
            waiting.add_done_callback(lambda _: model.release())

    assert isinstance(waiting.exception(), EmbedderClosedError)


async def test_a_model_that_hangs_does_not_keep_it_from_closing(
    hanging_model: HangingModel,
) -> None:
    async with asyncio.timeout(PATIENCE):
        async with batching(hanging_model, closing_seconds=0.1) as batcher:
            running = batcher.embed(texts(["hang"]))

    assert errors_of(running) == [EmbedderClosedError]


async def test_a_closed_batcher_refuses() -> None:
    model = FakeModel()
    batcher = batching(model)
    async with batcher:
        pass
    [future] = batcher.embed(texts("a"))

    assert isinstance(future.exception(), EmbedderClosedError)
    assert model.batches == []


async def test_every_batch_is_recorded_even_one_that_failed() -> None:
    metrics = FakeMetrics()
    async with batching(FakeModel({"bad": ValueError()}), metrics, max_batch_size=2) as batcher:
        await asyncio.gather(
            *batcher.embed(texts(["a", "b", "bad"])),
            return_exceptions=True,
        )

    assert metrics.batches == [2, 1]
    assert all(seconds >= 0 for seconds in metrics.seconds)


async def test_no_texts_are_no_work() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        assert batcher.embed([]) == []

    assert model.batches == []
