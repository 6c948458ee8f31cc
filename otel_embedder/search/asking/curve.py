"""How many spans there were, and how many failed, by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_embedder.search.asking.answers import Curve
from otel_embedder.search.asking.trends import level_of

if TYPE_CHECKING:
    from datetime import datetime

    from otel_embedder.search.asking.browsing import CurveQuery
    from otel_embedder.search.store import Bucket, Store

# As many as a screen has room for.
MOST_STEPS = 1_500


def curve(store: Store, query: CurveQuery, now: datetime) -> Curve:
    """Give the counts of a time in steps of a minute, an hour or a day.

    Where counts are kept by longer steps only, each shorter one gets its share of them.

    Raises:
        StoreError: they can't be read.

    """
    since, until = query.times(now)
    until = max(since, until)
    level = level_of(until - since, most=MOST_STEPS)
    begin = since - since % level
    steps = min((until - begin) // level + 1, MOST_STEPS)
    taken = [number for number, row in store.rows().items() if query.takes_row(row)]
    counted = np.zeros((steps, 2))
    for bucket in store.buckets(since=begin, until=begin + steps * level - 1, finest=level):
        table = bucket.counts.table("rows")
        of_these = np.isin(table.keys[:, 0], taken) if query.service else slice(None)
        _add(counted, bucket, table.values[of_these].sum(axis=0), begin, level)
    spans, errors = counted.T.tolist()
    return Curve(since=begin, step=level, spans=tuple(spans), errors=tuple(errors))


def _add(
    counted: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    bucket: Bucket,
    values: np.ndarray[tuple[int], np.dtype[np.int64]],
    begin: int,
    level: int,
) -> None:
    """Add what a bucket counted to the steps in it, to each its share."""
    share = level / max(bucket.seconds, level)
    first = (bucket.start - begin) // level
    last = first + max(bucket.seconds // level, 1)
    counted[max(first, 0) : max(last, 0)] += values * share
