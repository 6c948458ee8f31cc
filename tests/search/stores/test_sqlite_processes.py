"""Several processes at one file, and such as are killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import HOUR, MINUTE
from tests.support.catalogue_writer import BATCHES_A_MINUTE, WriterProcess, check
from tests.support.catalogues import KEPT

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 40
KILLS = 10

pytestmark = pytest.mark.timeout(300)


def test_two_write_and_one_reads_and_nothing_is_lost_or_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with (
        WriterProcess(path, "one", batches=BATCHES) as one,
        WriterProcess(path, "other", batches=BATCHES) as other,
    ):
        seen_last = {"one": one.next_number(), "other": other.next_number()}
        reader = open_store(f"sqlite:///{path}", readonly=True)
        before = 0
        while all(seen_last.values()):
            roots = sum(bucket.counts.roots for bucket in reader.buckets(since=0, until=HOUR))
            assert roots >= max(before, *(n * (n + 1) // 2 for n in seen_last.values()))
            assert len(reader.entries(reader.columns().keys)) > 0
            before = roots
            seen_last = {"one": one.next_number(), "other": other.next_number()}
        one.wait()
        other.wait()

    check(reader, {"one": BATCHES, "other": BATCHES})
    reader.close()


def test_one_that_tidies_beside_those_that_write_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    store = open_store(f"sqlite:///{path}")
    with WriterProcess(path, "one", batches=BATCHES) as one:
        while number := one.next_number():
            now = number // BATCHES_A_MINUTE * MINUTE
            store.tidy(KEPT._replace(minutes=0), now=now + HOUR, most_texts=100_000)
        one.wait()

    check(store, {"one": BATCHES})
    store.close()


def test_one_that_is_killed_in_the_middle_of_writing_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    for turn in range(1, KILLS + 1):
        with WriterProcess(path, "killed", batches=1_000) as writer:
            said = [writer.next_number() for _ in range(turn + 1)]
            said += writer.kill()
        store = open_store(f"sqlite:///{path}")
        last = store.last_number("killed")

        assert last - max(said) in (0, 1)
        check(store, {"killed": last})
        store.close()
