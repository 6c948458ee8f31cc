from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from otel_embedder.errors import EmbeddingError, ModelUnavailableError, StoreError
from otel_embedder.search.recording.writing import (
    CATALOGUE_FAILING,
    CATALOGUE_LEFT,
    CATALOGUE_RECOVERED,
    MAX_BATCHES,
    CatalogueWriter,
    Idle,
)
from otel_embedder.search.store import Batch
from otel_embedder.search.stores.sqlite import SqliteStore
from otel_embedder.search.times import Kept
from tests.support.catalogues import a_batch, counts
from tests.support.fakes import PATIENCE, FakeMetrics
from tests.support.privileges import modes_matter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from otel_embedder.search.groups.kept import Came
    from otel_embedder.search.re_embedding import ReEmbedding
    from otel_embedder.search.store import Store

pytestmark = pytest.mark.timeout(120)

KEPT = Kept(minutes=1, hours=2, all=3)
LONG = 10**10


def batch(number: int) -> Batch:
    return Batch("me", number, (), (), (), {})


class FakeStore:
    """Takes batches; fails as long as it is broken, and waits as long as it hangs."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.tidied: list[tuple[Kept, int]] = []
        self.is_closed = False
        self.is_broken = False
        self.faulty: set[int] = set()
        self.works = threading.Event()
        self.works.set()

    def write(self, batch: Batch) -> Sequence[Came]:
        self.works.wait(PATIENCE)
        if batch.number in self.faulty:
            raise KeyError("a fault of ours")
        if self.is_broken:
            raise StoreError("the disk is full: make room")
        self.written.append(batch.number)
        return ()

    def tidy(self, kept: Kept, *, now: int, most_texts: int) -> None:
        assert abs(now - time.time()) < PATIENCE
        self.tidied.append((kept, most_texts))

    def close(self) -> None:
        self.is_closed = True


def writing(store: FakeStore, metrics: FakeMetrics, *, idle: Idle | None = None) -> CatalogueWriter:
    return CatalogueWriter(
        lambda: cast("Store", store),
        KEPT,
        most_texts=7,
        metrics=metrics,
        idle=idle,
        came=lambda _: None,
        retry_seconds=0.05,
    )


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_is_offered_is_written_in_order_and_the_store_closed_in_the_end() -> None:
    store, metrics = FakeStore(), FakeMetrics()
    writer = writing(store, metrics)
    for number in (1, 2, 3):
        writer.offer(batch(number), spans=10)
    writer.close(PATIENCE)
    assert (store.written, store.is_closed) == ([1, 2, 3], True)
    assert metrics.counts["catalogue_written"] == 30


def test_it_tidies_up_with_what_is_to_be_kept() -> None:
    store = FakeStore()
    writer = writing(store, FakeMetrics())
    wait_for(lambda: store.tidied)
    writer.close(PATIENCE)
    assert store.tidied == [(KEPT, 7)]


def test_a_store_that_hangs_holds_nobody_up_and_has_only_so_many_batches_wait() -> None:
    store, metrics = FakeStore(), FakeMetrics()
    store.works.clear()
    writer = writing(store, metrics)
    offered = 0
    while writer.has_room():
        offered += 1
        writer.offer(batch(offered), spans=1)
    assert offered == MAX_BATCHES
    with captured() as lines:
        writer.close(0.1)
    assert [line["event"] for line in lines] == [CATALOGUE_LEFT]
    assert metrics.counts["catalogue_dropped store"] == MAX_BATCHES
    store.works.set()


def test_a_store_that_fails_is_told_of_once_and_written_when_it_has_recovered() -> None:
    store, metrics = FakeStore(), FakeMetrics()
    store.is_broken = True
    with captured() as lines:
        writer = writing(store, metrics)
        for number in (1, 2):
            writer.offer(batch(number), spans=1)
        wait_for(lambda: lines)
        store.is_broken = False
        wait_for(lambda: len(lines) > 1)
        writer.close(PATIENCE)
    assert [line["event"] for line in lines] == [CATALOGUE_FAILING, CATALOGUE_RECOVERED]
    assert lines[0]["error"] == "the disk is full: make room"
    assert store.written == [1, 2]


def test_a_fault_with_a_batch_is_told_of_and_counted_and_does_not_end_the_others() -> None:
    store, metrics = FakeStore(), FakeMetrics()
    store.faulty = {1, 2}
    with captured() as lines:
        writer = writing(store, metrics)
        for number in (1, 2, 3):
            writer.offer(batch(number), spans=10)
        wait_for(lambda: len(lines) > 1)
        writer.close(PATIENCE)
    assert [line["event"] for line in lines] == [CATALOGUE_FAILING, CATALOGUE_RECOVERED]
    assert isinstance(lines[0]["exc_info"], KeyError)
    assert (store.written, metrics.counts["catalogue_dropped fault"]) == ([3], 20)


class FakeReEmbedding:
    """Has some texts to embed, and fails as long as there is no model."""

    def __init__(self, texts: int) -> None:
        self.texts = texts
        self.error: EmbeddingError | None = None

    def step(self) -> int:
        if self.error:
            raise self.error
        done = min(self.texts, 1)
        self.texts -= done
        return done


def test_what_waits_for_a_vector_is_embedded_while_nobody_needs_the_model() -> None:
    store, re_embedding = FakeStore(), FakeReEmbedding(2)
    is_idle = threading.Event()
    idle = Idle(is_idle.is_set, lambda _: cast("ReEmbedding", re_embedding))
    writer = writing(store, FakeMetrics(), idle=idle)
    wait_for(lambda: store.tidied)
    assert re_embedding.texts == 2
    is_idle.set()
    writer.offer(batch(1), spans=1)
    wait_for(lambda: not re_embedding.texts)
    writer.close(PATIENCE)
    assert store.written == [1]


def test_a_model_that_fails_does_not_keep_the_catalogue_from_being_written() -> None:
    store, re_embedding = FakeStore(), FakeReEmbedding(2)
    re_embedding.error = ModelUnavailableError("it is away")
    idle = Idle(lambda: True, lambda _: cast("ReEmbedding", re_embedding))
    writer = writing(store, FakeMetrics(), idle=idle)
    for number in (1, 2):
        writer.offer(batch(number), spans=1)
    writer.close(PATIENCE)
    assert (store.written, re_embedding.texts) == ([1, 2], 2)


def test_one_that_can_not_be_opened_is_told_of_at_the_start_and_tried_again() -> None:
    store = FakeStore()
    tries = iter((StoreError("no such folder"), None))

    def opened() -> Store:
        if error := next(tries):
            raise error
        return cast("Store", store)

    with captured() as lines:
        writer = CatalogueWriter(
            opened,
            KEPT,
            most_texts=7,
            metrics=FakeMetrics(),
            came=lambda _: None,
            retry_seconds=0.05,
        )
        wait_for(lambda: len(lines) > 1)
        writer.offer(batch(1), spans=1)
        writer.close(PATIENCE)
    assert [line["event"] for line in lines] == [CATALOGUE_FAILING, CATALOGUE_RECOVERED]
    assert store.written == [1]


def writing_to(path: Path, metrics: FakeMetrics) -> CatalogueWriter:
    return CatalogueWriter(
        lambda: SqliteStore(path),
        Kept(minutes=LONG, hours=LONG, all=LONG),
        most_texts=7,
        metrics=metrics,
        came=lambda _: None,
        retry_seconds=0.05,
    )


def counted(number: int) -> Batch:
    return a_batch(number, minutes={60 * number: counts(1)})


def minutes_in(path: Path) -> list[int]:
    with closing(SqliteStore(path, readonly=True)) as store:
        return [bucket.start for bucket in store.buckets(since=0, until=3600)]


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_file_that_was_removed_under_it_is_begun_anew(
    tmp_path: Path, *, is_replaced: bool
) -> None:
    path, metrics = tmp_path / "catalogue.db", FakeMetrics()
    with captured() as lines:
        writer = writing_to(path, metrics)
        writer.offer(counted(1), spans=1)
        wait_for(lambda: metrics.counts["catalogue_written"])
        for file in tmp_path.iterdir():
            file.unlink()
        if is_replaced:
            SqliteStore(path).close()
        writer.offer(counted(2), spans=1)
        wait_for(lambda: len(lines) > 1)
        writer.close(PATIENCE)
    assert [line["event"] for line in lines] == [CATALOGUE_FAILING, CATALOGUE_RECOVERED]
    assert minutes_in(path) == [120]


def test_a_folder_that_can_be_written_again_is(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    tmp_path.chmod(0o500)
    with captured() as lines, modes_matter():
        writer = writing_to(path, FakeMetrics())
        wait_for(lambda: lines)
        writer.offer(counted(1), spans=1)
        tmp_path.chmod(0o700)
        wait_for(lambda: len(lines) > 1)
        writer.close(PATIENCE)
    assert [line["event"] for line in lines] == [CATALOGUE_FAILING, CATALOGUE_RECOVERED]
    assert minutes_in(path) == [60]


def captured() -> AbstractContextManager[list[dict[str, object]]]:
    return cast("AbstractContextManager[list[dict[str, object]]]", capture_logs())
