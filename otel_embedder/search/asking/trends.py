"""How often texts were seen in some time, and how long their spans took."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.search.times import DAY, HOUR, MINUTE, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_embedder.search.counts import Table
    from otel_embedder.search.ranking import Floats, Integers
    from otel_embedder.search.store import Bucket, Store

# Of a trend: as wide as a table has room for.
MOST_STEPS = 24
# Of buckets: to read and add up more of them takes longer than to search.
MOST_BUCKETS = 120
MILLIDECADES = 1_000


def level_of(seconds: int, *, most: int) -> int:
    """Give the shortest buckets, in seconds, of which so many make up a time; else days."""
    return next((each for each in (MINUTE, HOUR) if seconds <= most * each), DAY)


class Span(NamedTuple):
    """A time in steps.

    Attributes:
        since: its begin, in seconds since 1970.
        step: seconds.
        steps: how many.
        finest: the level of the buckets that make it up.

    """

    since: int
    step: int
    steps: int
    finest: int

    @classmethod
    def of(cls, since: int, until: int) -> Span:
        """Cut a time in seconds since 1970 into steps that buckets make up."""
        until = max(since, until)
        level = level_of(until - since, most=MOST_BUCKETS)
        begin = since - since % level
        buckets = (until - begin) // level + 1
        step = -(-buckets // MOST_STEPS)
        return cls(begin, step * level, -(-buckets // step), level)

    @classmethod
    def asked(
        cls, since: int | None, until: int | None, *, seen: tuple[int, int], now: int
    ) -> Span:
        """Cut the time that is asked for; where nothing is said, that in which something was seen.

        Args:
            since: nanoseconds since 1970, as all here; None: when something was seen first.
            until: None: now, or if `since` is None, too, when something was seen last.
            seen: the first time that something was, and the last one.
            now: this moment.

        """
        first, last = seen
        begin, end = (first, last) if since is None else (since, now)
        end = end if until is None else until
        return cls.of(begin // NANOSECONDS, end // NANOSECONDS)

    def place(self, start: int) -> int:
        """Give the step for which a bucket counts: that in which it begins, also if it is longer.

        Args:
            start: of the bucket, in seconds since 1970.

        """
        return min(max(start - self.since, 0) // self.step, self.steps - 1)

    def buckets(self, store: Store) -> Iterator[Bucket]:
        """Give what a store counted in it.

        Raises:
            StoreError: it can't be read.

        """
        until = self.since + self.steps * self.step
        return store.buckets(since=self.since, until=until - 1, finest=self.finest)


class Trends(NamedTuple):
    """What was counted of some texts.

    Attributes:
        spans: shape (texts, steps).
        milliseconds: the geometric mean of how long they took; NaN if unknown. Shape (texts,).

    """

    spans: Integers
    milliseconds: Floats


class TrendReader:
    """Reads them from a store. Safe to use from several threads.

    What was read last is remembered: one time is asked for again and again, by one question after
    the other, and to read it takes longer than to search.
    """

    def __init__(self, store: Store) -> None:
        """Prepare to read."""
        self._store = store
        self._last: tuple[object, list[tuple[int, Table]]] = (None, [])

    def read(self, keys: Integers, span: Span, state: object) -> Trends:
        """Give what was counted of the texts of these keys.

        Args:
            keys: of the texts.
            span: the time.
            state: as long as it is the same, nothing has changed.

        Raises:
            StoreError: it can't be read.

        """
        spans = np.zeros((len(keys), span.steps), np.int64)
        known, decades = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        for start, table in self._tables(span, state):
            of_text = table.keys[:, 0]
            places = np.minimum(np.searchsorted(of_text, keys), len(of_text) - 1)
            values = np.where((of_text[places] == keys)[:, None], table.values[places], 0)
            spans[:, span.place(start)] += values[:, 0]
            known += values[:, 1]
            decades += values[:, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            return Trends(spans, 10.0 ** (decades / known / MILLIDECADES))

    def _tables(self, span: Span, state: object) -> list[tuple[int, Table]]:
        """Give the buckets' starts and texts, but for those that have none."""
        wanted = span, state
        known, tables = self._last
        if known != wanted:
            buckets = span.buckets(self._store)
            tables = [(bucket.start, bucket.counts.table("texts")) for bucket in buckets]
            tables = [(start, table) for start, table in tables if len(table)]
            self._last = wanted, tables
        return tables
