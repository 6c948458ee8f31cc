"""What is compared: the buckets of a window and of a baseline, by the same numbers of rows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from otel_embedder.search.changes.answers import Period
from otel_embedder.search.changes.callees import most_called
from otel_embedder.search.changes.finding import find_changes
from otel_embedder.search.times import END_OF_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_embedder.search.asking.queries import Minutes
    from otel_embedder.search.changes.finding import Found
    from otel_embedder.search.counts import Integers
    from otel_embedder.search.entries import RowKey
    from otel_embedder.search.store import Bucket, Store

Thing = TypeVar("Thing")

MOST_ROWS = 1_100  # are told of: as many as may be asked for, and some


class Compared(NamedTuple):
    """Two times, as they were counted.

    Attributes:
        baseline: buckets of the time before.
        window: buckets of the time in question.
        rows: what rows are, by their numbers.
        services: names of services that are called, by their numbers.
        before: the time before.
        after: the time in question.

    """

    baseline: Sequence[Bucket]
    window: Sequence[Bucket]
    rows: Mapping[int, RowKey]
    services: Mapping[int, str]
    before: Period
    after: Period

    def find(self) -> Found:
        """Find what is different."""
        baseline, window = (
            [bucket.counts for bucket in buckets] for buckets in (self.baseline, self.window)
        )
        return find_changes(baseline, window, most=MOST_ROWS)

    def called(self) -> dict[int, str]:
        """Give by row the service that it called most often, if it called one."""
        counts = (bucket.counts for bucket in (*self.baseline, *self.window))
        return {row: self.services[service] for row, service in most_called(counts).items()}


def of_one_store(store: Store, window: Minutes, baseline: Minutes) -> Compared:
    """Read two times of a catalogue; what is in both counts for the window alone.

    Where minutes have become hours a whole hour is the window, or none of it the baseline.

    Raises:
        StoreError: the catalogue can't be read.

    """
    after = [*store.buckets(since=window.since, until=window.until)]
    in_window = {(bucket.start, bucket.seconds) for bucket in after}
    before = [
        bucket
        for bucket in store.buckets(since=baseline.since, until=baseline.until)
        if (bucket.start, bucket.seconds) not in in_window
    ]
    return Compared(
        before,
        after,
        store.rows(),
        store.services(),
        _period(before, baseline),
        _period(after, window),
    )


def of_two_stores(before: Store, after: Store) -> Compared:
    """Read all of two catalogues.

    Raises:
        StoreError: one can't be read.

    """
    baseline = [*before.buckets(since=0, until=END_OF_TIME)]
    rows, services = {**before.rows()}, {**before.services()}
    numbers = {
        "row": _renumbered(after.rows(), rows),
        "service": _renumbered(after.services(), services),
    }
    window = [
        bucket._replace(counts=bucket.counts.numbered(numbers))
        for bucket in after.buckets(since=0, until=END_OF_TIME)
    ]
    return Compared(baseline, window, rows, services, _period(baseline), _period(window))


def _renumbered(theirs: Mapping[int, Thing], ours: dict[int, Thing]) -> Integers:
    """Give our numbers by theirs; what is new to us gets a new one."""
    known = {thing: number for number, thing in ours.items()}
    new = count(max(ours, default=0) + 1)
    numbers = np.zeros(max(theirs, default=0) + 1, np.int64)
    for number, thing in theirs.items():
        if thing not in known:
            known[thing] = next(new)
            ours[known[thing]] = thing
        numbers[number] = known[thing]
    return numbers


def _period(buckets: Sequence[Bucket], asked: Minutes | None = None) -> Period:
    """Give the time of buckets; nothing of what was asked is left out, and hours are whole."""
    since = [bucket.start for bucket in buckets]
    until = [bucket.start + bucket.seconds for bucket in buckets]
    if asked is not None:
        since, until = [*since, asked.since], [*until, asked.until]
    return Period(
        min(since, default=0),
        max(until, default=0),
        _spans(buckets),
        max((bucket.seconds for bucket in buckets), default=0),
    )


def _spans(buckets: Iterable[Bucket]) -> int:
    return sum(int(bucket.counts.table("rows").values[:, 0].sum()) for bucket in buckets)
