"""Whatever is written, and whenever it is tidied: sums are those of plain addition."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.search.stores.opening import open_store
from otel_embedder.search.times import DAY, HOUR, MINUTE, Kept
from tests.support.catalogues import a_batch, a_row, counts, plain

if TYPE_CHECKING:
    from pathlib import Path

    from otel_embedder.search.store import Store

ROWS = [a_row("shop"), a_row("bank")]
# As long as two minutes, three hours, and for ever.
KEPT = Kept(minutes=2 * HOUR, hours=2 * DAY, all=1_000 * DAY)

# Minutes that are often those of the same hour and day, at both ends of them.
minutes = st.builds(
    lambda day, hour, minute: day * DAY + hour * HOUR + minute * MINUTE,
    st.integers(0, 3),
    st.sampled_from([0, 1, 23]),
    st.sampled_from([0, 1, 59]),
)
counted = st.dictionaries(minutes, st.integers(1, 9), max_size=3)
# What to do, the writer or the hour, and what was counted.
actions = st.lists(
    st.tuples(st.sampled_from(["write", "again"]), st.integers(0, 2), counted)
    | st.tuples(st.sampled_from(["tidy"]), st.integers(0, 6 * 24), counted),
    max_size=14,
)


class Truth:
    """Writes to a store, and adds up what it wrote."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.spans: Counter[int] = Counter()
        self.batches = {writer: a_batch(0, writer=str(writer)) for writer in range(3)}

    def write(self, writer: int, counted: dict[int, int]) -> None:
        tables = {
            minute: counts(n, rows={(1,): (n, 0), (2,): (1, n)}) for minute, n in counted.items()
        }
        number = self.batches[writer].number + 1
        self.batches[writer] = a_batch(number, writer=str(writer), rows=ROWS, minutes=tables)
        self.spans.update(counted)
        self.again(writer)

    def again(self, writer: int) -> None:
        self.store.write(self.batches[writer])

    def act(self, action: str, number: int, counted: dict[int, int]) -> None:
        if action == "write":
            self.write(number, counted)
        elif action == "again":
            self.again(number)
        else:
            self.store.tidy(KEPT, now=number * HOUR, most_texts=10)

    def check(self) -> None:
        for finest in (MINUTE, HOUR, DAY):
            buckets = list(self.store.buckets(since=0, until=10 * DAY, finest=finest))
            assert all(bucket.seconds >= finest for bucket in buckets)
            assert all(one.start + one.seconds <= next_.start for one, next_ in pairwise(buckets))
            assert sum(bucket.counts.roots for bucket in buckets) == self.spans.total()
            for bucket in buckets:
                expected = self.between(bucket.start, bucket.start + bucket.seconds)
                assert bucket.counts.roots == expected
                assert plain(bucket.counts)["rows"][1,][0] == expected
                assert plain(bucket.counts)["rows"][2,][1] == expected

    def between(self, since: int, until: int) -> int:
        return sum(n for minute, n in self.spans.items() if since <= minute < until)


@given(actions)
@settings(deadline=None, max_examples=100)
def test_counts_are_those_of_plain_addition_at_every_level(
    steps: list[tuple[str, int, dict[int, int]]],
) -> None:
    truth = Truth(MemoryStore())
    for step in steps:
        truth.act(*step)
        truth.check()


def test_so_they_are_in_a_file(tmp_path: Path) -> None:
    numbers = count()

    @given(actions)
    @settings(deadline=None, max_examples=25)
    def add_up(steps: list[tuple[str, int, dict[int, int]]]) -> None:
        store = open_store(f"sqlite:///{tmp_path / str(next(numbers))}.db")
        truth = Truth(store)
        for step in steps:
            truth.act(*step)
        truth.check()
        store.close()

    add_up()


@pytest.mark.parametrize("hours", [1, 2, 24, 27])
def test_an_hour_that_is_stale_is_not_read(store: Store, hours: int) -> None:
    truth = Truth(store)
    truth.write(0, {0: 1, 60: 2})
    store.tidy(KEPT, now=hours * HOUR, most_texts=10)
    truth.write(0, {60: 4})
    truth.check()
    store.tidy(KEPT, now=hours * HOUR, most_texts=10)

    truth.check()


def test_where_one_writer_has_an_hour_others_minutes_join_it(store: Store) -> None:
    truth = Truth(store)
    truth.write(0, {0: 1, 60: 2})
    store.tidy(KEPT, now=4 * HOUR, most_texts=10)
    truth.write(1, {60: 4, 120: 8})

    [bucket] = store.buckets(since=0, until=DAY)
    assert (bucket.seconds, bucket.counts.roots) == (HOUR, 15)
