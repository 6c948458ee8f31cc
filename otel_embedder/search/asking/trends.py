"""How often texts were seen in some time, and how long their spans took."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_embedder.search.times import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from otel_embedder.search.counts import Table
    from otel_embedder.search.ranking import Floats, Integers
    from otel_embedder.search.store import Store

# Of a trend: as wide as a table has room for.
MOST_STEPS = 24
# Of buckets: to read and add up more of them takes longer than to search.
MOST_BUCKETS = 120
MILLIDECADES = 1_000


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
        level = next((each for each in (MINUTE, HOUR) if until - since <= MOST_BUCKETS * each), DAY)
        begin = since - since % level
        buckets = (until - begin) // level + 1
        step = -(-buckets // MOST_STEPS)
        return cls(begin, step * level, -(-buckets // step), level)

    @property
    def until(self) -> int:
        """Its end, in seconds since 1970."""
        return self.since + self.steps * self.step


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

        A bucket counts for the step in which it begins, also where it is longer than that.

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
            step = min(max(start - span.since, 0) // span.step, span.steps - 1)
            spans[:, step] += values[:, 0]
            known += values[:, 1]
            decades += values[:, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            return Trends(spans, 10.0 ** (decades / known / MILLIDECADES))

    def _tables(self, span: Span, state: object) -> list[tuple[int, Table]]:
        """Give the buckets' starts and texts, but for those that have none."""
        wanted = span, state
        known, tables = self._last
        if known != wanted:
            buckets = self._store.buckets(
                since=span.since, until=span.until - 1, finest=span.finest
            )
            tables = [(bucket.start, bucket.counts.table("texts")) for bucket in buckets]
            tables = [(start, table) for start, table in tables if len(table)]
            self._last = wanted, tables
        return tables
