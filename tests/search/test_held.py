"""What is held of a catalogue while it changes under whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from otel_embedder.errors import StoreError
from otel_embedder.search.asking.browsing import FacetsQuery, MapQuery
from otel_embedder.search.asking.held import Held
from otel_embedder.search.asking.queries import SearchQuery
from otel_embedder.search.entries import Embedded
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.made_up import MODEL, TEXT_VERSION, Seen, vector_of, write
from tests.support.sites import a_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.store import Stems


class LosingStore(MemoryStore):
    """A service is taken out of it after columns were read, and before rows are."""

    leaves: str | None = None

    def rows(self) -> Mapping[int, RowKey]:
        if self.leaves is not None:
            self.delete_service(self.leaves)
            self.leaves = None
        return super().rows()


@pytest.mark.parametrize("leaves", ["cart", "bank"])
def test_rows_that_go_while_it_is_read_are_missed_by_nobody(leaves: str) -> None:
    store = LosingStore()
    write(store, Seen("a", service="cart"))
    asked = a_catalogue(store)
    asked.warm()
    write(store, Seen("b", service="bank"), Seen("c", service="hall"))

    store.leaves = leaves
    points = asked.points(MapQuery())

    assert set(points.services) <= {"cart", "bank", "hall"}
    [left] = {"cart", "bank"} - {leaves}
    assert {each.value for each in asked.facets(FacetsQuery()).service} == {left, "hall"}
    assert asked.search(SearchQuery(question="a")).compared == 2


class StemsLaterStore(MemoryStore):
    """One service is taken out of it, and another written, before words are read."""

    leaves: str | None = None
    comes: Seen | None = None

    def stems(self, *, after: int = 0) -> Iterator[Stems]:
        if self.leaves is not None and self.comes is not None:
            self.delete_service(self.leaves)
            write(self, self.comes)
            self.leaves = self.comes = None
        return super().stems(after=after)


@pytest.mark.parametrize("leaves", ["cart", "bank", "hall"])
def test_words_that_go_or_come_while_it_is_read_are_nobody_else_s(leaves: str) -> None:
    services = {"cart": "one", "bank": "two", "hall": "three"}
    store = StemsLaterStore()
    write(store, *(Seen(words, service=service) for service, words in services.items()))
    held = Held(store, model=MODEL, text_version=TEXT_VERSION)

    store.leaves, store.comes = leaves, Seen("four", service="yard")
    held.refresh()

    assert len(held.words) == len(held) == 3
    for position, (service, words) in enumerate(services.items()):
        found = np.flatnonzero(held.words.shares(words)).tolist()
        assert found == ([] if service == leaves else [position])
    held.refresh()
    assert np.flatnonzero(held.words.shares("four")).tolist() == [2]


def test_vectors_that_get_another_length_are_told_and_taken_once_all_have_it() -> None:
    store = MemoryStore()
    write(store, Seen("one"), Seen("other"))
    held = Held(store, model=MODEL, text_version=TEXT_VERSION)
    held.refresh()
    keys = held.keys(held.comparable()).tolist()

    def embed(key: int) -> None:
        longer = Embedded(MODEL, vector_of("longer", 12))
        store.put_vectors([(key, longer)], text_version=TEXT_VERSION)

    embed(keys[0])
    with pytest.raises(StoreError, match=r"of 8 and 12 numbers .*reembed"):
        held.refresh()
    embed(keys[1])
    held.refresh()

    assert held.vectors(held.comparable()).shape == (2, 12)
    assert np.array_equal(held.keys(held.comparable()), keys)
