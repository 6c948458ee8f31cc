"""What search needs of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.search.asking.queries import LikeQuery, SearchQuery
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.links import trace_link
from otel_embedder.search.ranking import WordIndex, stem_hashes
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import MINUTE
from tests.support.made_up import MODEL, NOON, TEXT_VERSION, FakeEmbedder, Seen, vector_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_embedder.search.store import Store

CART = Seen("the cart failed", milliseconds=(1.0, 9.0, 3.0), number=1)
BANK = Seen("bank", "bank", at=NOON + 60, number=9)


@pytest.fixture(name="store", params=["memory", "sqlite"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "s.db")
    yield store
    store.close()


def words(store: Store, after: int = 0) -> list[tuple[int, list[int]]]:
    found = []
    for piece in store.stems(after=after):
        ends = piece.lengths.cumsum()
        for key, end, length in zip(piece.keys, ends, piece.lengths, strict=True):
            found.append((int(key), piece.hashes[end - length : end].tolist()))
    return found


def test_words_come_by_keys_and_after_one(store: Store) -> None:
    write(store, CART, Seen("the of"), BANK)
    first, second, third = sorted(store.columns().keys.tolist())

    assert words(store) == [
        (first, stem_hashes("cart failed").tolist()),
        (second, []),
        (third, stem_hashes("bank").tolist()),
    ]
    assert words(store, after=second) == words(store)[2:]
    assert words(store, after=third) == []


def test_a_trace_is_found_among_examples(store: Store) -> None:
    write(store, CART, BANK)

    [key] = store.with_trace((2).to_bytes(16))
    [entry] = store.entries([key])

    assert entry.words == "the cart failed"
    assert store.with_trace((5).to_bytes(16)) == []


def test_writers_are_told_with_what_each_counted(store: Store) -> None:
    write(store, CART, writer="one")
    write(store, CART, writer="two")
    write(store, BANK, writer="two")

    def counted(writer: str | None) -> list[tuple[int, int]]:
        return [
            (bucket.start, int(bucket.counts.table("texts").values[:, 0].sum()))
            for bucket in store.buckets(since=0, until=2 * NOON, finest=MINUTE, writer=writer)
        ]

    assert store.writers() == {"one": 1, "two": 2}
    assert counted("one") == [(NOON, 1)]
    assert counted("two") == [(NOON, 1), (NOON + 60, 1)]
    assert counted(None) == [(NOON, 2), (NOON + 60, 1)]
    assert counted("nobody") == []


def test_every_store_gives_the_same_answers(store: Store) -> None:
    texts = [f"{verb} {thing}" for verb in ("get", "put", "failed") for thing in ("cart", "order")]
    embedder = FakeEmbedder()
    catalogue = Catalogue(
        store, embedder, model=MODEL, text_version=TEXT_VERSION, link=trace_link(None)
    )
    for number, text in enumerate(texts):
        write(store, Seen(text, number=1 + number))
        catalogue.search(SearchQuery(question="order"))

    answer = catalogue.search(SearchQuery(question="the order failed"))
    like = catalogue.like(LikeQuery(like=text_id(Origin(MODEL, TEXT_VERSION), "put order")))

    shares = WordIndex(texts).shares("the order failed")
    asked = vector_of("the order failed")
    assert {hit.text: hit.score for hit in answer.hits} == pytest.approx(
        {
            text: float(vector_of(text) @ asked) + 0.5 * float(share)
            for text, share in zip(texts, shares, strict=True)
        },
        abs=1e-5,
    )
    assert like.hits[0].text == "put order"
