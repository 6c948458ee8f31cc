from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from otel_embedder.api.news import News
from otel_embedder.api.telling import Telling
from otel_embedder.search.stores.memory import MemoryStore
from tests.support.failing import BEGIN, failed, failures
from tests.support.made_up import Seen, write
from tests.support.sites import a_catalogue

if TYPE_CHECKING:
    from otel_embedder.search.catalogue import Catalogue
    from otel_embedder.search.store import Store

NOW = int(time.time()) - BEGIN  # as `failed` counts


def news_of(store: MemoryStore) -> News:
    catalogue = a_catalogue(store)
    telling = Telling(lambda: catalogue, "memory", None)
    return News(telling.beat, lambda: catalogue)


def see(store: Store, *words: str) -> None:
    write(store, *(Seen(each, number=ord(each[0])) for each in words))


def test_what_is_there_at_the_beginning_is_no_news_and_each_text_is_told_once() -> None:
    store = MemoryStore()
    see(store, "a", "b")
    news = news_of(store)

    assert news.look().texts is None
    see(store, "c", "a")
    told = news.look().texts
    assert told is not None
    assert told.points.total == len(told.points.key) == 1
    see(store, "a", "b", "c")
    assert news.look().texts is None
    see(store, "d")
    later = news.look().texts
    assert later is not None
    # Nothing that could be compared came in between.
    assert (later.after, later.points.total) == (told.points.changed, 1)


def test_a_text_is_told_when_it_gets_a_vector_that_can_be_compared() -> None:
    store = MemoryStore()
    see(store, "a")
    news = news_of(store)
    news.look()
    write(store, Seen("late", model=None))
    assert news.look().texts is None

    write(store, Seen("late"))

    told = news.look().texts
    assert told is not None
    assert told.points.total == 1


def test_who_begins_anew_is_told_of_what_comes_from_then_on() -> None:
    store = MemoryStore()
    news = news_of(store)
    news.look()
    see(store, "a")
    news.begin()

    assert news.look().texts is None


def test_failures_that_are_new_are_told_the_latest_first() -> None:
    store = MemoryStore()
    news = news_of(store)
    assert news.look().groups.total == 0

    hour = 3_600
    store.write(
        failures(
            1,
            failed("a b c d", trace=1, at=NOW - 2 * hour, service="bank"),
            failed("c d e f", trace=2, at=NOW - hour, service="cart"),
            failed("e f a b", trace=3, at=NOW - 30 * hour, service="hall"),
        )
    )

    see(store, "a")

    groups = news.look().groups
    assert [(each.service, each.state) for each in groups.groups] == [
        ("cart", "new"),
        ("bank", "new"),
    ]
    assert groups.total == 2


@pytest.mark.parametrize("changes", ["c", "cdef"])
def test_where_another_catalogue_comes_in_its_place_news_go_on_from_there(changes: str) -> None:
    stores = [MemoryStore(), MemoryStore()]
    see(stores[0], "a")
    see(stores[0], "b")
    for each in changes:
        see(stores[1], each)
    catalogues = [a_catalogue(store) for store in stores]

    def catalogue() -> Catalogue:
        return catalogues[0]

    telling = Telling(catalogue, "memory", None)
    news = News(telling.beat, catalogue)
    news.look()
    catalogues.pop(0)
    assert news.look().texts is None

    see(stores[1], "new")

    told = news.look().texts
    assert told is not None
    assert told.points.total == 1
