from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.exporting import exported
from otel_embedder.search.merging import merge
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import MINUTE, Kept
from tests.support.made_up import MODEL, NOON, Seen, vector_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.store import Store


@pytest.fixture(name="target", params=["memory", "sqlite"])
def _target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "t.db")
    yield store
    store.close()


def filled(*seen: Seen, writer: str) -> MemoryStore:
    store = MemoryStore()
    write(store, *seen, writer=writer)
    return store


def merged(source: Store, target: Store) -> tuple[int, int, int]:
    steps: list[float] = []
    done = merge(source, target, advance=steps.append)
    assert sum(steps) == done.texts
    return done


def spans(store: Store) -> dict[str, int]:
    return {each.text: each.spans for each in exported(store)}


A = Seen("a", spans=3, service="cart")
B = Seen("b", spans=5, at=NOON + 600, number=20, status="ERROR")


def test_what_two_counted_is_added_up(target: Store) -> None:
    write(target, A, writer="one")

    assert merged(filled(A, B, writer="two"), target) == (2, 1, 0)

    assert spans(target) == {"a": 6, "b": 5}
    [a, b] = exported(target)
    assert (a.service, b.status, b.model) == ("cart", "ERROR", MODEL)
    [entry] = [each for each in target.entries([1, 2]) if each.words == "b"]
    found = target.vector(entry.key)
    assert found is not None
    assert found.tolist() == vector_of("b").tolist()


def test_merged_twice_it_counts_once(target: Store) -> None:
    source = filled(A, B, writer="two")
    merged(source, target)
    before = [asdict(each) for each in exported(target)]

    assert merged(source, target) == (2, 0, 1)

    assert [asdict(each) for each in exported(target)] == before
    assert [*target.writers()] == ["two"]


class Living(MemoryStore):
    """A catalogue in which a text goes over to a row that is new, once its rows were read."""

    def rows(self) -> Mapping[int, RowKey]:
        rows = super().rows()
        write(self, replace(A, service="till", at=NOON + 60), writer="two")
        return rows


def test_a_text_that_changes_its_row_meanwhile_is_of_the_new_one(target: Store) -> None:
    source = Living()
    write(source, A, B, writer="two")

    merged(source, target)

    assert {each.text: each.service for each in exported(target)} == {"a": "till", "b": "shop"}


def test_what_comes_by_two_ways_counts_once(target: Store) -> None:
    first = filled(A, writer="one")
    second = filled(B, writer="two")
    merged(first, second)

    merged(first, target)
    merged(second, target)

    assert spans(target) == {"a": 3, "b": 5}


def test_what_has_come_since_is_taken(target: Store) -> None:
    source = filled(A, writer="one")
    merged(source, target)
    write(source, replace(A, spans=10, at=NOON + 60), B, writer="one")

    merged(source, target)

    assert spans(target) == {"a": 13, "b": 5}
    starts = [each.start for each in target.buckets(since=0, until=2 * NOON, finest=MINUTE)]
    assert starts == [NOON, NOON + 60, NOON + 600]


def test_what_is_gone_from_the_source_is_not_missed(target: Store) -> None:
    source = filled(A, replace(B, at=NOON + 30 * 86_400), writer="one")
    source.tidy(Kept(86_400, 7 * 86_400, 14 * 86_400), now=NOON + 30 * 86_400, most_texts=1)

    merged(source, target)

    assert spans(target) == {"b": 5}


def test_a_catalogue_of_nothing_brings_nothing(target: Store) -> None:
    assert merged(MemoryStore(), target) == (0, 0, 0)
