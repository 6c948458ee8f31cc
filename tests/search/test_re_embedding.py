from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.errors import EmbeddingFailedError
from otel_embedder.search.re_embedding import ReEmbedding
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.made_up import MODEL, TEXT_VERSION, FakeEmbedder, Seen, vector_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.embedder.embedding import Embedding

MIXED = (
    Seen("current"),
    Seen("waiting", model=None),
    Seen("another's", model="tests/another"),
    Seen("outdated", text_version="template-1"),
)


class FailingEmbedder(FakeEmbedder):
    """Fails on a word."""

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        if "bad" in contents:
            raise EmbeddingFailedError("the model failed")
        return super().embed(contents)


def holding(*seen: Seen) -> MemoryStore:
    store = MemoryStore()
    write(store, *seen)
    return store


def re_embedding(store: MemoryStore, embedder: FakeEmbedder, size: int = 2) -> ReEmbedding:
    return ReEmbedding(store, embedder, model=MODEL, text_version=TEXT_VERSION, batch_size=size)


def origins(store: MemoryStore) -> dict[str, tuple[str, str, str]]:
    return {
        entry.words: (entry.model, entry.text_version, entry.brought_from)
        for entry in store.entries(store.columns().keys.tolist())
    }


def test_what_has_no_vector_of_this_model_and_version_gets_one() -> None:
    store, embedder = holding(*MIXED), FakeEmbedder()
    work = re_embedding(store, embedder)

    assert work.remaining() == 3
    assert [work.step(), work.step(), work.step()] == [2, 1, 0]

    assert origins(store) == {
        "current": (MODEL, TEXT_VERSION, ""),
        "waiting": (MODEL, TEXT_VERSION, ""),
        "another's": (MODEL, TEXT_VERSION, ""),
        "outdated": (MODEL, TEXT_VERSION, "template-1"),
    }
    # A vector is of words and a model: for another version of the text it is the same.
    assert {*embedder.embedded} == {"waiting", "another's"}
    for entry in store.entries(store.columns().keys.tolist()):
        found = store.vector(entry.key)
        assert found is not None
        assert found.tolist() == vector_of(entry.words).tolist()


def test_what_comes_meanwhile_is_done_too() -> None:
    store = holding()
    work = re_embedding(store, FakeEmbedder())
    assert work.step() == 0

    write(store, Seen("new", model=None))

    assert [work.step(), work.step()] == [1, 0]
    assert origins(store)["new"] == (MODEL, TEXT_VERSION, "")


def test_a_text_of_unknown_words_stays_without_a_vector_and_is_asked_for_once() -> None:
    store, embedder = holding(Seen("größe", model=None), Seen("a", model=None)), FakeEmbedder()
    work = re_embedding(store, embedder)

    assert [work.step(), work.step(), work.step()] == [2, 0, 0]

    assert work.unknown == 1
    assert origins(store)["größe"][0] == ""
    assert embedder.embedded.count("größe") == 1


def test_what_another_has_done_meanwhile_is_left_alone() -> None:
    store, embedder = holding(*MIXED), FakeEmbedder()
    work = re_embedding(store, embedder)
    work.remaining()
    other = re_embedding(store, FakeEmbedder(), size=10)
    other.step()

    assert work.step() == 2

    assert embedder.embedded == []


def test_what_fails_is_tried_again() -> None:
    store, embedder = holding(Seen("bad", model=None)), FailingEmbedder()
    work = re_embedding(store, embedder)

    for _ in range(2):
        with pytest.raises(EmbeddingFailedError):
            work.step()

    assert work.remaining() == 1
