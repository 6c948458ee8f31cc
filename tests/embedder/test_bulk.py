from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.embedder.bulk import BulkEmbedder, embedded
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.known import CacheInfo
from otel_embedder.errors import EmbeddingFailedError
from tests.support.fakes import FakeModel, embedding_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("window", [1, 3, 10, 11])
def test_every_text_comes_with_its_vector_and_in_order(window: int) -> None:
    texts = [f"text {number}" for number in range(10)]

    with BulkEmbedder(FakeModel(), threads=2, max_texts=4) as embedder:
        answers = list(embedded(texts, embedder, window=window))

    assert [text for text, _ in answers] == texts
    for text, embedding in answers:
        assert embedding.vector.tobytes() == embedding_of(text).vector.tobytes()


def test_texts_that_the_model_is_given_are_counted_whatever_thread_embeds_them() -> None:
    model = FakeModel()
    some, others = [str(number) for number in range(100)], [str(number) for number in range(150)]

    with BulkEmbedder(model, threads=4, max_texts=1000) as embedder:
        embedder.embed([*some, *some])
        embedder.embed(others)

    assert sum(map(len, model.batches)) == 150
    assert embedder.cache_info() == CacheInfo(hits=100, misses=150, maxsize=1000, currsize=150)


def test_a_text_that_was_forgotten_is_counted_again() -> None:
    model = FakeModel()

    with BulkEmbedder(model, threads=1, max_texts=1) as embedder:
        for content in "aba":
            embedder.embed([content])

    assert model.batches == [["a"], ["b"], ["a"]]
    assert embedder.cache_info() == CacheInfo(hits=0, misses=3, maxsize=1, currsize=1)


def test_no_texts_are_no_vectors() -> None:
    with BulkEmbedder(FakeModel(), threads=1, max_texts=1) as embedder:
        assert list(embedded([], embedder, window=1)) == []


def test_no_more_than_a_window_is_read_ahead() -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for number in range(100):
            read.append(str(number))
            yield str(number)

    with BulkEmbedder(FakeModel(), threads=1, max_texts=1) as embedder:
        next(embedded(texts(), embedder, window=7))

    assert len(read) == 7


def test_an_error_of_the_model_comes_after_what_went_well() -> None:
    model = FakeModel(raises={"3": EmbeddingFailedError("no")})
    done: list[str] = []

    with (
        BulkEmbedder(model, threads=1, max_texts=1) as embedder,
        pytest.raises(EmbeddingFailedError),
    ):
        done.extend(text for text, _ in embedded(map(str, range(5)), embedder, window=2))

    assert done == ["0", "1"]


def test_a_window_holds_several_batches_for_each_worker() -> None:
    with (
        BulkEmbedder(FakeModel(), threads=1, max_texts=1) as one,
        BulkEmbedder(FakeModel(), threads=8, max_texts=1) as eight,
    ):
        assert one.window > MAX_BATCH_SIZE
        assert eight.window == 8 * one.window
